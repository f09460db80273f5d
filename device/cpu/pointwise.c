#include "bf16.h"
#include "kernels.h"

MV_CLONES static void add_bias(float *restrict y, int64_t rows, int64_t c, const float *restrict bias, int relu) {
	for (int64_t i = 0; i < rows; i++, y += c)
		if (relu) {
#pragma GCC ivdep
			for (int64_t j = 0; j < c; j++) {
				float v = y[j] + bias[j];
				y[j] = v < 0 ? 0 : v; // NaN stays
			}
		} else {
#pragma GCC ivdep
			for (int64_t j = 0; j < c; j++) y[j] += bias[j];
		}
}

// A 1x1 convolution of stride 1 as a matrix product, each thread some rows.
// p: x [rows,in], w [in,out], bias or zeros, y [rows,out], room for x and y as floats
// where they are bf16. n: rows, in, out, whether w is transposed, whether there is
// anything to add or clip, relu, whether the product is added to y, whether x and y are
// bf16.
MV_LOOP(mv_pointwise) {
	(void)f;
	const float *w = p[1];
	int64_t in = n[1], out = n[2];
	MV_PARALLEL(n[0], 8, 1, {
		const float *x = (const float *)(n[7] ? p[4] : p[0]) + lo * in;
		float *y = (float *)(n[8] ? p[5] : p[3]) + lo * out;
		bf16 *rounded = (bf16 *)p[3] + lo * out;
		if (n[7]) mv_widen((const bf16 *)p[0] + lo * in, (hi - lo) * in, (float *)x);
		if (n[8] && n[6]) mv_widen(rounded, (hi - lo) * out, y);
		dnnl_sgemm('N', n[3] ? 'T' : 'N', hi - lo, out, in, 1, x, in, w, n[3] ? in : out, n[6], y, out);
		if (n[4]) add_bias(y, hi - lo, out, p[2], n[5]);
		if (n[8]) mv_round(y, (hi - lo) * out, rounded);
	});
}
