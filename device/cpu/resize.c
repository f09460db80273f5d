#include "kernels.h"
#include "loops.h"

// Forward: each output position along an axis reads two source positions with two
// weights. n: N, H, W, C, OH, OW, nearest.
typedef struct {
	int64_t h, w, c, oh, ow, nearest;
	const int32_t *yi, *xi;
	const float *yw, *xw;
} taps;

MV_CLONES static void resize_rows(taps t, const float *restrict x, int64_t lo, int64_t hi, float *restrict y) {
	for (int64_t row = lo; row < hi; row++) {
		int64_t img = row / t.oh, o = row % t.oh;
		const float *top = x + (img * t.h + t.yi[2 * o]) * t.w * t.c, *bottom = x + (img * t.h + t.yi[2 * o + 1]) * t.w * t.c;
		float wt = t.yw[2 * o], wb = t.yw[2 * o + 1];
		for (int64_t q = 0; q < t.ow; q++) {
			float *d = y + (row * t.ow + q) * t.c;
			int64_t l = t.xi[2 * q] * t.c, r = t.xi[2 * q + 1] * t.c;
			if (t.nearest) {
				memcpy(d, top + l, t.c * sizeof *d);
				continue;
			}
			float wl = t.xw[2 * q], wr = t.xw[2 * q + 1];
			const float *tl = top + l, *tr = top + r, *bl = bottom + l, *br = bottom + r;
			for (int64_t i = 0; i < t.c; i++) d[i] = wt * (wl * tl[i] + wr * tr[i]) + wb * (wl * bl[i] + wr * br[i]);
		}
	}
}

// p: x, y, row indices, row weights, column indices, column weights.
MV_LOOP(mv_resize) {
	(void)f;
	taps t = {n[1], n[2], n[3], n[4], n[5], n[6], p[2], p[4], p[3], p[5]};
	MV_PARALLEL(n[0] * t.oh, 1, n[0] * t.oh * t.ow * t.c > MV_SMALL, resize_rows(t, p[0], lo, hi, p[1]));
}

// Backward: each source position gathers from the outputs that read it; those of
// position i along an axis are entries start[i] to start[i+1] of a list.
typedef struct {
	int64_t h, w, c, oh, ow;
	const int32_t *ys, *yi, *xs, *xi;
	const float *yw, *xw;
} readers;

MV_CLONES static void resize_backward_rows(readers t, const float *restrict dy, int64_t lo, int64_t hi, float *restrict dx) {
	for (int64_t row = lo; row < hi; row++) {
		int64_t img = row / t.h, i = row % t.h;
		for (int64_t j = 0; j < t.w; j++) {
			float *d = dx + (row * t.w + j) * t.c;
			memset(d, 0, t.c * sizeof *d);
			for (int32_t a = t.ys[i]; a < t.ys[i + 1]; a++)
				for (int32_t b = t.xs[j]; b < t.xs[j + 1]; b++) {
					const float *s = dy + ((img * t.oh + t.yi[a]) * t.ow + t.xi[b]) * t.c;
					float w = t.yw[a] * t.xw[b];
					for (int64_t k = 0; k < t.c; k++) d[k] += w * s[k];
				}
		}
	}
}

// p: dy, dx, row starts, row outputs, row weights, column starts, outputs, weights.
MV_LOOP(mv_resize_backward) {
	(void)f;
	readers t = {n[1], n[2], n[3], n[4], n[5], p[2], p[3], p[5], p[6], p[4], p[7]};
	MV_PARALLEL(n[0] * t.h, 1, n[0] * t.oh * t.ow * t.c > MV_SMALL, resize_backward_rows(t, p[0], lo, hi, p[1]));
}
