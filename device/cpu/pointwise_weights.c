#include "kernels.h"
#include "loops.h"

MV_CLONES static void add_parts(const float *restrict parts, int64_t count, int64_t size, int64_t lo, int64_t hi, float *restrict sum) {
	for (int64_t t = 0; t < count; t++)
		for (int64_t i = lo; i < hi; i++) sum[i] += parts[t * size + i];
}

// aᵀ·b, the weight gradient of a 1x1 convolution of stride 1: each thread some rows, its
// products added up in the threads' order.
// p: a [rows,ac], b [rows,bc], c [ac,bc], room for such products of all threads but one.
// n: rows, ac, bc.
MV_LOOP(mv_pointwise_weights) {
	(void)f;
	int64_t rows = n[0], ac = n[1], bc = n[2], size = ac * bc, team = 1;
	const float *a = p[0], *b = p[1];
	float *c = p[2], *parts = p[3];
#pragma omp parallel
	{
		int64_t lo, hi, t = omp_get_thread_num();
		if (t == 0) team = omp_get_num_threads();
		mv_span(rows, 8, &lo, &hi);
		float *to = t ? parts + (t - 1) * size : c;
		if (lo < hi)
			dnnl_sgemm('T', 'N', ac, bc, hi - lo, 1, a + lo * ac, ac, b + lo * bc, bc, 0, to, bc);
		else
			memset(to, 0, size * sizeof *to);
	}
	MV_PARALLEL(size, 16, team > 1, add_parts(parts, team - 1, size, lo, hi, c));
}
