// The loops of resize.c for one type of numbers, as in pool_loops.h.

MV_CLONES static void NAME(resize_rows)(taps t, const NUMBER *restrict x, int64_t lo, int64_t hi, NUMBER *restrict y) {
	for (int64_t row = lo; row < hi; row++) {
		int64_t img = row / t.oh, o = row % t.oh;
		const NUMBER *top = x + (img * t.h + t.yi[2 * o]) * t.w * t.c, *bottom = x + (img * t.h + t.yi[2 * o + 1]) * t.w * t.c;
		float wt = t.yw[2 * o], wb = t.yw[2 * o + 1];
		for (int64_t q = 0; q < t.ow; q++) {
			NUMBER *d = y + (row * t.ow + q) * t.c;
			int64_t l = t.xi[2 * q] * t.c, r = t.xi[2 * q + 1] * t.c;
			if (t.nearest) {
				memcpy(d, top + l, t.c * sizeof *d);
				continue;
			}
			float wl = t.xw[2 * q], wr = t.xw[2 * q + 1];
			const NUMBER *tl = top + l, *tr = top + r, *bl = bottom + l, *br = bottom + r;
			for (int64_t i = 0; i < t.c; i++) d[i] = NARROW(wt * (wl * WIDE(tl[i]) + wr * WIDE(tr[i])) + wb * (wl * WIDE(bl[i]) + wr * WIDE(br[i])));
		}
	}
}

MV_CLONES static void NAME(resize_backward_rows)(readers t, const NUMBER *restrict dy, int64_t lo, int64_t hi, NUMBER *restrict dx) {
	float sum[STRIP];
	for (int64_t row = lo; row < hi; row++) {
		int64_t img = row / t.h, i = row % t.h;
		for (int64_t j = 0; j < t.w; j++)
			for (int64_t c0 = 0; c0 < t.c; c0 += STRIP) {
				int64_t cn = mv_min(STRIP, t.c - c0);
				NUMBER *d = dx + (row * t.w + j) * t.c + c0;
				for (int64_t k = 0; k < cn; k++) sum[k] = 0;
				for (int32_t a = t.ys[i]; a < t.ys[i + 1]; a++)
					for (int32_t b = t.xs[j]; b < t.xs[j + 1]; b++) {
						const NUMBER *s = dy + ((img * t.oh + t.yi[a]) * t.ow + t.xi[b]) * t.c + c0;
						float w = t.yw[a] * t.xw[b];
						for (int64_t k = 0; k < cn; k++) sum[k] += w * WIDE(s[k]);
					}
				for (int64_t k = 0; k < cn; k++) d[k] = NARROW(sum[k]);
			}
	}
}

// p: x, y, row indices, row weights, column indices, column weights.
MV_LOOP(NAME(mv_resize)) {
	(void)f;
	taps t = {n[1], n[2], n[3], n[4], n[5], n[6], p[2], p[4], p[3], p[5]};
	MV_PARALLEL(n[0] * t.oh, 1, n[0] * t.oh * t.ow * t.c > MV_SMALL, NAME(resize_rows)(t, p[0], lo, hi, p[1]));
}

// p: dy, dx, row starts, row outputs, row weights, column starts, outputs, weights.
MV_LOOP(NAME(mv_resize_backward)) {
	(void)f;
	readers t = {n[1], n[2], n[3], n[4], n[5], p[2], p[3], p[5], p[6], p[4], p[7]};
	MV_PARALLEL(n[0] * t.h, 1, n[0] * t.oh * t.ow * t.c > MV_SMALL, NAME(resize_backward_rows)(t, p[0], lo, hi, p[1]));
}

#undef NUMBER
#undef NAME
#undef WIDE
#undef NARROW
