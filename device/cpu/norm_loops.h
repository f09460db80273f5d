// The passes of norm.c over activations of one type: NUMBER, NAME(x) naming its
// functions, WIDE and NARROW converting it to float and back.

MV_CLONES static void NAME(sum_rows)(const NUMBER *restrict x, int64_t rows, int64_t c, float *restrict s) {
	memset(s, 0, c * sizeof *s);
	int64_t r = 0;
	for (; r + 4 <= rows; r += 4) {
		const NUMBER *x0 = x + r * c, *x1 = x0 + c, *x2 = x1 + c, *x3 = x2 + c;
		for (int64_t i = 0; i < c; i++) s[i] += (WIDE(x0[i]) + WIDE(x1[i])) + (WIDE(x2[i]) + WIDE(x3[i]));
	}
	for (; r < rows; r++)
		for (int64_t i = 0; i < c; i++) s[i] += WIDE(x[r * c + i]);
}

// around sums x−m and its square.
MV_CLONES static void NAME(around_rows)(const NUMBER *restrict x, int64_t rows, int64_t c, const float *restrict m, float *restrict d, float *restrict q) {
	memset(d, 0, c * sizeof *d);
	memset(q, 0, c * sizeof *q);
	int64_t r = 0;
	for (; r + 4 <= rows; r += 4) {
		const NUMBER *x0 = x + r * c, *x1 = x0 + c, *x2 = x1 + c, *x3 = x2 + c;
		for (int64_t i = 0; i < c; i++) {
			float e0 = WIDE(x0[i]) - m[i], e1 = WIDE(x1[i]) - m[i], e2 = WIDE(x2[i]) - m[i], e3 = WIDE(x3[i]) - m[i];
			d[i] += (e0 + e1) + (e2 + e3);
			q[i] += (e0 * e0 + e1 * e1) + (e2 * e2 + e3 * e3);
		}
	}
	for (; r < rows; r++)
		for (int64_t i = 0; i < c; i++) {
			float e = WIDE(x[r * c + i]) - m[i];
			d[i] += e;
			q[i] += e * e;
		}
}

MV_CLONES static void NAME(normalise)(const NUMBER *x, int64_t rows, int64_t c, const float *restrict mean, const float *restrict scale, const float *restrict shift, NUMBER *y) {
	for (int64_t r = 0; r < rows; r++) {
		const NUMBER *xr = x + r * c;
		NUMBER *yr = y + r * c;
#pragma GCC ivdep
		for (int64_t i = 0; i < c; i++) yr[i] = NARROW((WIDE(xr[i]) - mean[i]) * scale[i] + shift[i]);
	}
}

MV_CLONES static void NAME(normalise_relu)(const NUMBER *x, int64_t rows, int64_t c, const float *restrict mean, const float *restrict scale, const float *restrict shift, float *y) {
	for (int64_t r = 0; r < rows; r++) {
		const NUMBER *xr = x + r * c;
		float *yr = y + r * c;
#pragma GCC ivdep
		for (int64_t i = 0; i < c; i++) {
			float v = (WIDE(xr[i]) - mean[i]) * scale[i] + shift[i];
			yr[i] = v < 0 ? 0 : v;
		}
	}
}

// normalise_sum adds z and takes low where that is less.
MV_CLONES static void NAME(normalise_sum)(const NUMBER *x, const NUMBER *z, int64_t rows, int64_t c, const float *restrict mean, const float *restrict scale, const float *restrict shift, float low, NUMBER *y) {
	for (int64_t r = 0; r < rows; r++) {
		const NUMBER *xr = x + r * c, *zr = z + r * c;
		NUMBER *yr = y + r * c;
#pragma GCC ivdep
		for (int64_t i = 0; i < c; i++) {
			float v = ((WIDE(xr[i]) - mean[i]) * scale[i] + shift[i]) + WIDE(zr[i]);
			yr[i] = NARROW(v < low ? low : v);
		}
	}
}

// gradient_sums adds g and g·(x−mean) over rows.
MV_CLONES static void NAME(gradient_sums)(const NUMBER *restrict x, const float *restrict g, int64_t rows, int64_t c, const float *restrict mean, float *restrict sg, float *restrict sx) {
	int64_t r = 0;
	for (; r + 4 <= rows; r += 4) {
		const NUMBER *x0 = x + r * c, *x1 = x0 + c, *x2 = x1 + c, *x3 = x2 + c;
		const float *g0 = g + r * c, *g1 = g0 + c, *g2 = g1 + c, *g3 = g2 + c;
		for (int64_t i = 0; i < c; i++) {
			float m = mean[i];
			sg[i] += (g0[i] + g1[i]) + (g2[i] + g3[i]);
			sx[i] += (g0[i] * (WIDE(x0[i]) - m) + g1[i] * (WIDE(x1[i]) - m)) + (g2[i] * (WIDE(x2[i]) - m) + g3[i] * (WIDE(x3[i]) - m));
		}
	}
	for (; r < rows; r++)
		for (int64_t i = 0; i < c; i++) {
			float v = g[r * c + i];
			sg[i] += v;
			sx[i] += v * (WIDE(x[r * c + i]) - mean[i]);
		}
}

// dx = scale·(g − mg − (x−mean)·mx)
MV_CLONES static void NAME(gradient)(const NUMBER *x, const float *g, int64_t rows, int64_t c, const float *restrict mean, const float *restrict scale, const float *restrict mg, const float *restrict mx, NUMBER *dx) {
	for (int64_t r = 0; r < rows; r++) {
		const NUMBER *xr = x + r * c;
		const float *gr = g + r * c;
		NUMBER *dr = dx + r * c;
#pragma GCC ivdep
		for (int64_t i = 0; i < c; i++) dr[i] = NARROW(scale[i] * (gr[i] - mg[i] - (WIDE(xr[i]) - mean[i]) * mx[i]));
	}
}

#undef NUMBER
#undef NAME
#undef WIDE
#undef NARROW
