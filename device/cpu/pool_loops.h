// The loops of pool.c for one type of numbers: NUMBER, NAME(x) naming its functions,
// WIDE and NARROW converting it to float and back.

// Rows are pairs of image and output row.
MV_CLONES static void NAME(max_rows)(window v, const NUMBER *restrict x, int64_t lo, int64_t hi, NUMBER *restrict y, uint8_t *restrict arg) {
	int32_t index[STRIP];
	float best[STRIP];
	for (int64_t row = lo; row < hi; row++) {
		int64_t img = row / v.oh, top = row % v.oh * v.sh - v.ph;
		int64_t k0 = mv_max(0, -top), k1 = mv_min(v.kh, v.h - top);
		for (int64_t o = 0; o < v.ow; o++) {
			int64_t left = o * v.sw - v.pw, l0 = mv_max(0, -left), l1 = mv_min(v.kw, v.w - left);
			for (int64_t c0 = 0; c0 < v.c; c0 += STRIP) {
				int64_t cn = mv_min(STRIP, v.c - c0);
				NUMBER *d = y + (row * v.ow + o) * v.c + c0;
				uint8_t *a = arg + (row * v.ow + o) * v.c + c0;
				int first = 1;
				for (int64_t k = k0; k < k1; k++)
					for (int64_t l = l0; l < l1; l++) {
						const NUMBER *s = x + ((img * v.h + top + k) * v.w + left + l) * v.c + c0;
						int32_t cell = (int32_t)(k * v.kw + l);
						if (first) {
							for (int64_t i = 0; i < cn; i++) best[i] = WIDE(s[i]);
							for (int64_t i = 0; i < cn; i++) index[i] = cell;
							first = 0;
							continue;
						}
						for (int64_t i = 0; i < cn; i++) {
							// A NaN wins and keeps winning.
							float u = WIDE(s[i]);
							int wins = (u > best[i]) | (u != u);
							index[i] = wins ? cell : index[i];
							best[i] = wins ? u : best[i];
						}
					}
				for (int64_t i = 0; i < cn; i++) d[i] = NARROW(best[i]);
				for (int64_t i = 0; i < cn; i++) a[i] = (uint8_t)index[i];
			}
		}
	}
}

// Each input pixel gathers from the windows that cover it: no two threads write
// one place and the order of the sum is fixed. Rows are pairs of image and input
// row.
MV_CLONES static void NAME(max_backward_rows)(window v, const uint8_t *restrict arg, const NUMBER *restrict dy, int64_t lo, int64_t hi, NUMBER *restrict dx) {
	float sum[STRIP];
	for (int64_t row = lo; row < hi; row++) {
		int64_t img = row / v.h, i = row % v.h, o0, o1;
		covering(i, v.kh, v.sh, v.ph, v.oh, &o0, &o1);
		for (int64_t j = 0; j < v.w; j++) {
			int64_t q0, q1;
			covering(j, v.kw, v.sw, v.pw, v.ow, &q0, &q1);
			for (int64_t c0 = 0; c0 < v.c; c0 += STRIP) {
				int64_t cn = mv_min(STRIP, v.c - c0);
				NUMBER *d = dx + (row * v.w + j) * v.c + c0;
				for (int64_t c = 0; c < cn; c++) sum[c] = 0;
				for (int64_t o = o0; o <= o1; o++)
					for (int64_t q = q0; q <= q1; q++) {
						int64_t at = ((img * v.oh + o) * v.ow + q) * v.c + c0;
						int32_t cell = (int32_t)((i - (o * v.sh - v.ph)) * v.kw + (j - (q * v.sw - v.pw)));
						for (int64_t c = 0; c < cn; c++) sum[c] += arg[at + c] == cell ? WIDE(dy[at + c]) : 0;
					}
				for (int64_t c = 0; c < cn; c++) d[c] = NARROW(sum[c]);
			}
		}
	}
}

MV_CLONES static void NAME(avg_rows)(window v, int64_t count_pad, const NUMBER *restrict x, int64_t lo, int64_t hi, NUMBER *restrict y) {
	float sum[STRIP];
	for (int64_t row = lo; row < hi; row++) {
		int64_t img = row / v.oh, top = row % v.oh * v.sh - v.ph;
		int64_t k0 = mv_max(0, -top), k1 = mv_min(v.kh, v.h - top);
		for (int64_t o = 0; o < v.ow; o++) {
			int64_t left = o * v.sw - v.pw, l0 = mv_max(0, -left), l1 = mv_min(v.kw, v.w - left);
			float by = 1 / (float)cells(v, top, left, count_pad);
			for (int64_t c0 = 0; c0 < v.c; c0 += STRIP) {
				int64_t cn = mv_min(STRIP, v.c - c0);
				NUMBER *d = y + (row * v.ow + o) * v.c + c0;
				for (int64_t c = 0; c < cn; c++) sum[c] = 0;
				for (int64_t k = k0; k < k1; k++)
					for (int64_t l = l0; l < l1; l++) {
						const NUMBER *s = x + ((img * v.h + top + k) * v.w + left + l) * v.c + c0;
						for (int64_t c = 0; c < cn; c++) sum[c] += WIDE(s[c]);
					}
				for (int64_t c = 0; c < cn; c++) d[c] = NARROW(sum[c] * by);
			}
		}
	}
}

// Where windows lie side by side every input has one: each output's share is written
// to all of its window's row.
MV_CLONES static void NAME(avg_backward_apart)(window v, const NUMBER *restrict dy, int64_t lo, int64_t hi, NUMBER *restrict dx) {
	enum { LANES = 16 }; // a length that the compiler knows costs no call
	float by = 1 / (float)(v.kh * v.kw);
	for (int64_t row = lo; row < hi; row++) {
		const NUMBER *s = dy + row / v.kh * v.ow * v.c; // images have whole windows
		NUMBER *d = dx + row * v.w * v.c;
		for (int64_t q = 0; q < v.ow; q++, s += v.c, d += v.kw * v.c) {
			int64_t c = 0;
			for (; c + LANES <= v.c; c += LANES) {
				NUMBER share[LANES];
				for (int i = 0; i < LANES; i++) share[i] = NARROW(WIDE(s[c + i]) * by);
				for (int64_t l = 0; l < v.kw; l++)
					for (int i = 0; i < LANES; i++) d[l * v.c + c + i] = share[i];
			}
			for (; c < v.c; c++)
				for (int64_t l = 0; l < v.kw; l++) d[l * v.c + c] = NARROW(WIDE(s[c]) * by);
		}
	}
}

MV_CLONES static void NAME(avg_backward_rows)(window v, int64_t count_pad, const NUMBER *restrict dy, int64_t lo, int64_t hi, NUMBER *restrict dx) {
	float sum[STRIP];
	for (int64_t row = lo; row < hi; row++) {
		int64_t img = row / v.h, i = row % v.h, o0, o1;
		covering(i, v.kh, v.sh, v.ph, v.oh, &o0, &o1);
		for (int64_t j = 0; j < v.w; j++) {
			int64_t q0, q1;
			covering(j, v.kw, v.sw, v.pw, v.ow, &q0, &q1);
			for (int64_t c0 = 0; c0 < v.c; c0 += STRIP) {
				int64_t cn = mv_min(STRIP, v.c - c0);
				NUMBER *d = dx + (row * v.w + j) * v.c + c0;
				for (int64_t c = 0; c < cn; c++) sum[c] = 0;
				for (int64_t o = o0; o <= o1; o++)
					for (int64_t q = q0; q <= q1; q++) {
						const NUMBER *s = dy + ((img * v.oh + o) * v.ow + q) * v.c + c0;
						float by = 1 / (float)cells(v, o * v.sh - v.ph, q * v.sw - v.pw, count_pad);
						for (int64_t c = 0; c < cn; c++) sum[c] += WIDE(s[c]) * by;
					}
				for (int64_t c = 0; c < cn; c++) d[c] = NARROW(sum[c]);
			}
		}
	}
}

// p: x, y, argmax.
MV_LOOP(NAME(mv_maxpool)) {
	(void)f;
	window v = window_of(n);
	MV_PARALLEL(v.n * v.oh, 1, v.n * v.oh * v.ow * v.c > MV_SMALL, NAME(max_rows)(v, p[0], lo, hi, p[1], p[2]));
}

// p: argmax, dy, dx.
MV_LOOP(NAME(mv_maxpool_backward)) {
	(void)f;
	window v = window_of(n);
	MV_PARALLEL(v.n * v.h, 1, v.n * v.h * v.w * v.c > MV_SMALL, NAME(max_backward_rows)(v, p[0], p[1], lo, hi, p[2]));
}

// p: x, y. n[12]: count padding.
MV_LOOP(NAME(mv_avgpool)) {
	(void)f;
	window v = window_of(n);
	MV_PARALLEL(v.n * v.oh, 1, v.n * v.h * v.w * v.c > MV_SMALL, NAME(avg_rows)(v, n[12], p[0], lo, hi, p[1]));
}

// p: dy, dx. n[12]: count padding.
MV_LOOP(NAME(mv_avgpool_backward)) {
	(void)f;
	window v = window_of(n);
	int apart = v.kh == v.sh && v.kw == v.sw && !v.ph && !v.pw && v.h == v.oh * v.kh && v.w == v.ow * v.kw;
	if (apart)
		MV_PARALLEL(v.n * v.h, 1, v.n * v.h * v.w * v.c > MV_SMALL, NAME(avg_backward_apart)(v, p[0], lo, hi, p[1]));
	else
		MV_PARALLEL(v.n * v.h, 1, v.n * v.h * v.w * v.c > MV_SMALL, NAME(avg_backward_rows)(v, n[12], p[0], lo, hi, p[1]));
}

#undef NUMBER
#undef NAME
#undef WIDE
#undef NARROW
