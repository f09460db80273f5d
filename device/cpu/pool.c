#include "kernels.h"
#include "loops.h"
#include <math.h>

// Every pooling loop takes n: N, H, W, C, OH, OW, KH, KW, SH, SW, PH, PW.
typedef struct {
	int64_t n, h, w, c, oh, ow, kh, kw, sh, sw, ph, pw;
} window;

static window window_of(const int64_t *n) {
	window v = {n[0], n[1], n[2], n[3], n[4], n[5], n[6], n[7], n[8], n[9], n[10], n[11]};
	return v;
}

// Channels handled at a time; their best values stay in first-level cache.
enum { STRIP = 256 };

// Rows are pairs of image and output row.
MV_CLONES static void max_rows(window v, const float *restrict x, int64_t lo, int64_t hi, float *restrict y, uint8_t *restrict arg) {
	int32_t index[STRIP];
	for (int64_t row = lo; row < hi; row++) {
		int64_t img = row / v.oh, top = row % v.oh * v.sh - v.ph;
		int64_t k0 = mv_max(0, -top), k1 = mv_min(v.kh, v.h - top);
		for (int64_t o = 0; o < v.ow; o++) {
			int64_t left = o * v.sw - v.pw, l0 = mv_max(0, -left), l1 = mv_min(v.kw, v.w - left);
			for (int64_t c0 = 0; c0 < v.c; c0 += STRIP) {
				int64_t cn = mv_min(STRIP, v.c - c0);
				float *best = y + (row * v.ow + o) * v.c + c0;
				uint8_t *a = arg + (row * v.ow + o) * v.c + c0;
				int first = 1;
				for (int64_t k = k0; k < k1; k++)
					for (int64_t l = l0; l < l1; l++) {
						const float *s = x + ((img * v.h + top + k) * v.w + left + l) * v.c + c0;
						int32_t cell = (int32_t)(k * v.kw + l);
						if (first) {
							for (int64_t i = 0; i < cn; i++) best[i] = s[i];
							for (int64_t i = 0; i < cn; i++) index[i] = cell;
							first = 0;
							continue;
						}
						for (int64_t i = 0; i < cn; i++) {
							// A NaN wins and keeps winning.
							int wins = (s[i] > best[i]) | (s[i] != s[i]);
							index[i] = wins ? cell : index[i];
							best[i] = wins ? s[i] : best[i];
						}
					}
				for (int64_t i = 0; i < cn; i++) a[i] = (uint8_t)index[i];
			}
		}
	}
}

// p: x, y, argmax.
MV_LOOP(mv_maxpool) {
	(void)f;
	window v = window_of(n);
	MV_PARALLEL(v.n * v.oh, 1, v.n * v.oh * v.ow * v.c > MV_SMALL, max_rows(v, p[0], lo, hi, p[1], p[2]));
}

// covering gives the windows [first, last] along one axis that contain position i.
static inline void covering(int64_t i, int64_t k, int64_t s, int64_t pad, int64_t out, int64_t *first, int64_t *last) {
	int64_t from = i + pad - k + 1;
	*first = from <= 0 ? 0 : (from + s - 1) / s;
	*last = mv_min(out - 1, (i + pad) / s);
}

// Each input pixel gathers from the windows that cover it: no two threads write
// one place and the order of the sum is fixed. Rows are pairs of image and input
// row.
MV_CLONES static void max_backward_rows(window v, const uint8_t *restrict arg, const float *restrict dy, int64_t lo, int64_t hi, float *restrict dx) {
	for (int64_t row = lo; row < hi; row++) {
		int64_t img = row / v.h, i = row % v.h, o0, o1;
		covering(i, v.kh, v.sh, v.ph, v.oh, &o0, &o1);
		for (int64_t j = 0; j < v.w; j++) {
			int64_t q0, q1;
			covering(j, v.kw, v.sw, v.pw, v.ow, &q0, &q1);
			float *d = dx + (row * v.w + j) * v.c;
			memset(d, 0, v.c * sizeof *d);
			for (int64_t o = o0; o <= o1; o++)
				for (int64_t q = q0; q <= q1; q++) {
					int64_t at = ((img * v.oh + o) * v.ow + q) * v.c;
					int32_t cell = (int32_t)((i - (o * v.sh - v.ph)) * v.kw + (j - (q * v.sw - v.pw)));
					for (int64_t c = 0; c < v.c; c++) d[c] += arg[at + c] == cell ? dy[at + c] : 0;
				}
		}
	}
}

// p: argmax, dy, dx.
MV_LOOP(mv_maxpool_backward) {
	(void)f;
	window v = window_of(n);
	MV_PARALLEL(v.n * v.h, 1, v.n * v.h * v.w * v.c > MV_SMALL, max_backward_rows(v, p[0], p[1], lo, hi, p[2]));
}

// cells is what an average divides by: the cells of the window within the padded
// image (count_pad) or within the image.
static inline int64_t cells(window v, int64_t top, int64_t left, int64_t count_pad) {
	int64_t b = top + v.kh, r = left + v.kw;
	if (count_pad) return (mv_min(b, v.h + v.ph) - top) * (mv_min(r, v.w + v.pw) - left);
	return (mv_min(b, v.h) - mv_max(top, 0)) * (mv_min(r, v.w) - mv_max(left, 0));
}

MV_CLONES static void avg_rows(window v, int64_t count_pad, const float *restrict x, int64_t lo, int64_t hi, float *restrict y) {
	for (int64_t row = lo; row < hi; row++) {
		int64_t img = row / v.oh, top = row % v.oh * v.sh - v.ph;
		int64_t k0 = mv_max(0, -top), k1 = mv_min(v.kh, v.h - top);
		for (int64_t o = 0; o < v.ow; o++) {
			int64_t left = o * v.sw - v.pw, l0 = mv_max(0, -left), l1 = mv_min(v.kw, v.w - left);
			float *d = y + (row * v.ow + o) * v.c, by = 1 / (float)cells(v, top, left, count_pad);
			memset(d, 0, v.c * sizeof *d);
			for (int64_t k = k0; k < k1; k++)
				for (int64_t l = l0; l < l1; l++) {
					const float *s = x + ((img * v.h + top + k) * v.w + left + l) * v.c;
					for (int64_t c = 0; c < v.c; c++) d[c] += s[c];
				}
			for (int64_t c = 0; c < v.c; c++) d[c] *= by;
		}
	}
}

// p: x, y. n[12]: count padding.
MV_LOOP(mv_avgpool) {
	(void)f;
	window v = window_of(n);
	MV_PARALLEL(v.n * v.oh, 1, v.n * v.h * v.w * v.c > MV_SMALL, avg_rows(v, n[12], p[0], lo, hi, p[1]));
}

MV_CLONES static void avg_backward_rows(window v, int64_t count_pad, const float *restrict dy, int64_t lo, int64_t hi, float *restrict dx) {
	for (int64_t row = lo; row < hi; row++) {
		int64_t img = row / v.h, i = row % v.h, o0, o1;
		covering(i, v.kh, v.sh, v.ph, v.oh, &o0, &o1);
		for (int64_t j = 0; j < v.w; j++) {
			int64_t q0, q1;
			covering(j, v.kw, v.sw, v.pw, v.ow, &q0, &q1);
			float *d = dx + (row * v.w + j) * v.c;
			memset(d, 0, v.c * sizeof *d);
			for (int64_t o = o0; o <= o1; o++)
				for (int64_t q = q0; q <= q1; q++) {
					const float *s = dy + ((img * v.oh + o) * v.ow + q) * v.c;
					float by = 1 / (float)cells(v, o * v.sh - v.ph, q * v.sw - v.pw, count_pad);
					for (int64_t c = 0; c < v.c; c++) d[c] += s[c] * by;
				}
		}
	}
}

// p: dy, dx. n[12]: count padding.
MV_LOOP(mv_avgpool_backward) {
	(void)f;
	window v = window_of(n);
	MV_PARALLEL(v.n * v.h, 1, v.n * v.h * v.w * v.c > MV_SMALL, avg_backward_rows(v, n[12], p[0], lo, hi, p[1]));
}

// Parts are pairs of image and strip of 64 channels.
MV_CLONES static void gap_parts(const float *restrict x, int64_t hw, int64_t c, int64_t lo, int64_t hi, float *restrict y) {
	int64_t strips = (c + 63) / 64;
	for (int64_t part = lo; part < hi; part++) {
		int64_t img = part / strips, c0 = part % strips * 64, cn = mv_min(64, c - c0);
		const float *s = x + img * hw * c + c0;
		double acc[64];
		for (int64_t i = 0; i < cn; i++) acc[i] = 0;
		for (int64_t r = 0; r < hw; r++)
			for (int64_t i = 0; i < cn; i++) acc[i] += s[r * c + i];
		for (int64_t i = 0; i < cn; i++) y[img * c + c0 + i] = (float)(acc[i] / (double)hw);
	}
}

// p: x, y. n: N, H·W, C.
MV_LOOP(mv_gap) {
	(void)f;
	MV_PARALLEL(n[0] * ((n[2] + 63) / 64), 1, n[0] * n[1] * n[2] > MV_SMALL, gap_parts(p[0], n[1], n[2], lo, hi, p[1]));
}

MV_CLONES static void gap_backward_rows(const float *restrict dy, int64_t hw, int64_t c, int64_t lo, int64_t hi, float *restrict dx) {
	float by = (float)(1 / (double)hw);
	for (int64_t r = lo; r < hi; r++) {
		const float *s = dy + r / hw * c;
		for (int64_t i = 0; i < c; i++) dx[r * c + i] = s[i] * by;
	}
}

// p: dy, dx. n: N, H·W, C.
MV_LOOP(mv_gap_backward) {
	(void)f;
	MV_PARALLEL(n[0] * n[1], 1, n[0] * n[1] * n[2] > MV_SMALL, gap_backward_rows(p[0], n[1], n[2], lo, hi, p[1]));
}
