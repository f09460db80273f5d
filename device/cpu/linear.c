#include "kernels.h"
#include "loops.h"

enum { LANES = 16, SUMS = 4 };
typedef float vec __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

// rows is y[i] = w[i,:]·x + bias[i] for i from lo to hi: w is read once, from front to back.
MV_CLONES static void rows(const float *x, const float *w, const float *bias, float *y, int64_t k, int64_t lo, int64_t hi) {
	for (int64_t i = lo; i < hi; i++) {
		const float *v = w + i * k;
		vec s[SUMS] = {0};
		int64_t j = 0;
		for (; j + SUMS * LANES <= k; j += SUMS * LANES)
			for (int l = 0; l < SUMS; l++) s[l] += *(const vec *)(v + j + LANES * l) * *(const vec *)(x + j + LANES * l);
		vec all = (s[0] + s[1]) + (s[2] + s[3]);
		float sum = 0;
		for (int l = 0; l < LANES; l++) sum += all[l];
		for (; j < k; j++) sum += v[j] * x[j];
		y[i] = sum + bias[i];
	}
}

// A linear layer of one row. p: x [K], w [N,K], bias or zeros, y [N]. n: K, N.
MV_LOOP(mv_linear_row) {
	(void)f;
	MV_PARALLEL(n[1], 1, n[0] * n[1] > MV_SMALL, rows(p[0], p[1], p[2], p[3], n[0], lo, hi));
}
