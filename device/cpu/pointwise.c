#include "kernels.h"
#include "loops.h"

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
// p: x [rows,in], w [in,out], bias or zeros, y [rows,out]. n: rows, in, out, whether w
// is transposed, whether there is anything to add or clip, relu,
// whether the product is added to y.
MV_LOOP(mv_pointwise) {
	(void)f;
	const float *x = p[0], *w = p[1];
	float *y = p[3];
	int64_t in = n[1], out = n[2];
	MV_PARALLEL(n[0], 8, 1, {
		dnnl_sgemm('N', n[3] ? 'T' : 'N', hi - lo, out, in, 1, x + lo * in, in, w, n[3] ? in : out, n[6], y + lo * out, out);
		if (n[4]) add_bias(y + lo * out, hi - lo, out, p[2], n[5]);
	});
}
