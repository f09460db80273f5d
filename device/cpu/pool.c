#include "bf16.h"
#include "kernels.h"

// Every pooling loop takes n: N, H, W, C, OH, OW, KH, KW, SH, SW, PH, PW.
typedef struct {
	int64_t n, h, w, c, oh, ow, kh, kw, sh, sw, ph, pw;
} window;

static window window_of(const int64_t *n) {
	window v = {n[0], n[1], n[2], n[3], n[4], n[5], n[6], n[7], n[8], n[9], n[10], n[11]};
	return v;
}

// Channels handled at a time; their values stay in first-level cache.
enum { STRIP = 256 };

// covering gives the windows [first, last] along one axis that contain position i.
static inline void covering(int64_t i, int64_t k, int64_t s, int64_t pad, int64_t out, int64_t *first, int64_t *last) {
	int64_t from = i + pad - k + 1;
	*first = from <= 0 ? 0 : (from + s - 1) / s;
	*last = mv_min(out - 1, (i + pad) / s);
}

// cells is what an average divides by: the cells of the window within the padded
// image (count_pad) or within the image.
static inline int64_t cells(window v, int64_t top, int64_t left, int64_t count_pad) {
	int64_t b = top + v.kh, r = left + v.kw;
	if (count_pad) return (mv_min(b, v.h + v.ph) - top) * (mv_min(r, v.w + v.pw) - left);
	return (mv_min(b, v.h) - mv_max(top, 0)) * (mv_min(r, v.w) - mv_max(left, 0));
}

#define NUMBER float
#define NAME(x) x
#define WIDE(x) (x)
#define NARROW(x) (x)
#include "pool_loops.h"

#define NUMBER bf16
#define NAME(x) x##_bf16
#define WIDE(x) mv_wide(x)
#define NARROW(x) mv_narrow(x)
#include "pool_loops.h"

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
