#include "kernels.h"
#include <math.h>
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif
#include "loops.h"

// Slots of the tensor of per-step numbers, as in package device.
enum { LR, CLIP, FIRST, BIAS1, BIAS2 };

MV_CLONES static void sgd_plain(const float *restrict g, int64_t lo, int64_t hi, float clip, float wd, float lr, float *restrict p) {
	for (int64_t i = lo; i < hi; i++) p[i] -= lr * (clip * g[i] + wd * p[i]);
}

// keep is the momentum, 0 at the first step; look is the factor on v, d on g of
// the update.
MV_CLONES static void sgd_momentum(const float *restrict g, int64_t lo, int64_t hi, float clip, float wd, float lr, float keep, float look, float d, float *restrict p, float *restrict v) {
	for (int64_t i = lo; i < hi; i++) {
		float u = clip * g[i] + wd * p[i];
		float w = keep * v[i] + u;
		v[i] = w;
		p[i] -= lr * (look * w + d * u);
	}
}

MV_CLONES static void sgd_first(const float *restrict g, int64_t lo, int64_t hi, float clip, float wd, float lr, float look, float d, float *restrict p, float *restrict v) {
	for (int64_t i = lo; i < hi; i++) {
		float u = clip * g[i] + wd * p[i];
		v[i] = u;
		p[i] -= lr * (look * u + d * u);
	}
}

// p: g, hyper, p, v. n: size, nesterov. f: momentum, weight decay, rate's scale.
MV_LOOP(mv_sgd) {
	const float *h = p[1];
	float m = (float)f[0], wd = (float)f[1], lr = (float)(h[LR] * f[2]), clip = h[CLIP];
	float look = n[1] ? m : 1, d = n[1] ? 1 : 0;
	int64_t size = n[0];
	if (f[0] == 0)
		MV_PARALLEL(size, 64, size > MV_SMALL, sgd_plain(p[0], lo, hi, clip, wd, lr, p[2]));
	else if (h[FIRST] != 0)
		MV_PARALLEL(size, 64, size > MV_SMALL, sgd_first(p[0], lo, hi, clip, wd, lr, look, d, p[2], p[3]));
	else
		MV_PARALLEL(size, 64, size > MV_SMALL, sgd_momentum(p[0], lo, hi, clip, wd, lr, m, look, d, p[2], p[3]));
}

typedef struct {
	float clip, decay, b1, c1, b2, c2, rate, root, eps;
} adam;

enum { PIECE = 512 };

// moments moves m and v and copies the new v to root.
MV_CLONES static void moments(adam a, const float *restrict g, int64_t k, float *restrict m, float *restrict v, float *restrict root) {
	for (int64_t i = 0; i < k; i++) {
		float u = a.clip * g[i], vi = a.b2 * v[i] + a.c2 * (u * u);
		m[i] = a.b1 * m[i] + a.c1 * u;
		v[i] = vi;
		root[i] = vi;
	}
}

// roots takes square roots in place. gcc keeps a call to sqrtf for errno's sake,
// which stops it from vectorising; SSE is part of x86-64.
static void roots(float *x, int64_t k) {
	int64_t i = 0;
#if defined(__x86_64__)
	for (; i + 4 <= k; i += 4) _mm_storeu_ps(x + i, _mm_sqrt_ps(_mm_loadu_ps(x + i)));
#endif
	for (; i < k; i++) x[i] = sqrtf(x[i]);
}

MV_CLONES static void descend(adam a, const float *restrict m, const float *restrict root, int64_t k, float *restrict p) {
	for (int64_t i = 0; i < k; i++) p[i] = p[i] * a.decay - a.rate * m[i] / (root[i] * a.root + a.eps);
}

static void adamw(adam a, const float *g, int64_t lo, int64_t hi, float *p, float *m, float *v) {
	float root[PIECE];
	for (int64_t i = lo; i < hi; i += PIECE) {
		int64_t k = mv_min(PIECE, hi - i);
		moments(a, g + i, k, m + i, v + i, root);
		roots(root, k);
		descend(a, m + i, root, k, p + i);
	}
}

// p: g, hyper, p, m, v. n: size. f: β1, β2, eps, weight decay, rate's scale.
MV_LOOP(mv_adamw) {
	const float *h = p[1];
	double lr = h[LR] * f[4];
	adam a = {h[CLIP], (float)(1 - lr * f[3]), (float)f[0], (float)(1 - f[0]), (float)f[1], (float)(1 - f[1]),
		(float)(lr / h[BIAS1]), (float)(1 / sqrt(h[BIAS2])), (float)f[2]};
	MV_PARALLEL(n[0], 64, n[0] > MV_SMALL, adamw(a, p[0], lo, hi, p[2], p[3], p[4]));
}

MV_CLONES static void ema(const float *restrict p, int64_t lo, int64_t hi, float keep, float take, float *restrict e) {
	for (int64_t i = lo; i < hi; i++) e[i] = keep * e[i] + take * p[i];
}

// p: p, e. n: size. f: momentum.
MV_LOOP(mv_ema) {
	float keep = (float)f[0], take = (float)(1 - f[0]);
	MV_PARALLEL(n[0], 64, n[0] > MV_SMALL, ema(p[0], lo, hi, keep, take, p[1]));
}

MV_CLONES static double squares(const float *restrict a, int64_t lo, int64_t hi) {
	double acc[16] = {0}, sum = 0;
	int64_t i = lo;
	for (; i + 16 <= hi; i += 16)
		for (int j = 0; j < 16; j++) acc[j] += (double)a[i + j] * a[i + j];
	for (; i < hi; i++) acc[0] += (double)a[i] * a[i];
	for (int j = 0; j < 16; j++) sum += acc[j];
	return sum;
}

MV_CLONES static double square_differences(const float *restrict a, const float *restrict b, int64_t lo, int64_t hi) {
	double acc[16] = {0}, sum = 0;
	int64_t i = lo;
	for (; i + 16 <= hi; i += 16)
		for (int j = 0; j < 16; j++) {
			double d = (double)a[i + j] - b[i + j];
			acc[j] += d * d;
		}
	for (; i < hi; i++) {
		double d = (double)a[i] - b[i];
		acc[0] += d * d;
	}
	for (int j = 0; j < 16; j++) sum += acc[j];
	return sum;
}

// p: a, sum, partial sums. n: size.
MV_LOOP(mv_norm2) {
	(void)f;
	double *part = p[2], total = 0;
	int64_t size = n[0];
	MV_SUM(size, 64, size > MV_SMALL, part, total, squares(p[0], lo, hi));
	*(float *)p[1] = (float)(*(float *)p[1] + total);
}

// p: a, its sum as a double. n: size.
MV_LOOP(mv_squares) {
	(void)f;
	*(double *)p[1] = squares(p[0], 0, n[0]);
}

// Adds to sums, rounding after each tensor as mv_norm2 does. p: parts, a sum for every
// tensor. n: tensors, parts of each.
MV_LOOP(mv_add_squares) {
	(void)f;
	const double *part = p[0];
	for (int64_t i = 0; i < n[0]; i++) {
		double total = 0;
		for (int64_t j = 0; j < n[1 + i]; j++) total += *part++;
		float *sum = p[1 + i];
		*sum = (float)(*sum + total);
	}
}

// p: a, b, sum, partial sums. n: size.
MV_LOOP(mv_distance2) {
	(void)f;
	double *part = p[3], total = 0;
	int64_t size = n[0];
	MV_SUM(size, 64, size > MV_SMALL, part, total, square_differences(p[0], p[1], lo, hi));
	*(float *)p[2] = (float)(*(float *)p[2] + total);
}
