#include "bf16.h"
#include "kernels.h"

MV_CLONES void mv_widen(const bf16 *restrict x, int64_t n, float *restrict y) {
	for (int64_t i = 0; i < n; i++) y[i] = mv_wide(x[i]);
}

MV_CLONES void mv_round(const float *restrict x, int64_t n, bf16 *restrict y) {
	for (int64_t i = 0; i < n; i++) y[i] = mv_narrow(x[i]);
}

// p: x (bf16), y. n: size.
MV_LOOP(mv_cast_wide) {
	(void)f;
	MV_PARALLEL(n[0], 64, n[0] > MV_SMALL, mv_widen((const bf16 *)p[0] + lo, hi - lo, (float *)p[1] + lo));
}

// p: x, y (bf16). n: size.
MV_LOOP(mv_cast_bf16) {
	(void)f;
	MV_PARALLEL(n[0], 64, n[0] > MV_SMALL, mv_round((const float *)p[0] + lo, hi - lo, (bf16 *)p[1] + lo));
}

// The inputs that a convolution of one tap and strides above 1 uses, for its rows of
// outputs first to first + rows, images on top of each other.
typedef struct {
	int64_t first, rows, oh, ow, c, h, w, sh, sw;
} grid;

static grid grid_of(const int64_t *n) { return (grid){n[0], n[1], n[2], n[3], n[4], n[5], n[6], n[7], n[8]}; }

static void widen_used(grid g, const bf16 *x, int64_t lo, int64_t hi, float *y) {
	for (int64_t r = lo; r < hi; r++) {
		int64_t at = g.first + r;
		const bf16 *from = x + (at / g.oh * g.h + at % g.oh * g.sh) * g.w * g.c;
		for (int64_t o = 0; o < g.ow; o++) mv_widen(from + o * g.sw * g.c, g.c, y + (r * g.ow + o) * g.c);
	}
}

// p: x [N,H,W,C] bf16, y [rows,OW,C]. n: grid.
MV_LOOP(mv_widen_used) {
	(void)f;
	grid g = grid_of(n);
	MV_PARALLEL(g.rows, 1, g.rows * g.ow * g.c > MV_SMALL, widen_used(g, p[0], lo, hi, p[1]));
}

static void round_used(grid g, const float *x, int64_t lo, int64_t hi, bf16 *y) {
	for (int64_t r = lo; r < hi; r++) {
		int64_t at = g.first + r, row = at % g.oh, top = row * g.sh, bottom = row + 1 < g.oh ? top + g.sh : g.h;
		bf16 *to = y + (at / g.oh * g.h + top) * g.w * g.c;
		memset(to, 0, (bottom - top) * g.w * g.c * sizeof *to);
		for (int64_t o = 0; o < g.ow; o++) mv_round(x + (r * g.ow + o) * g.c, g.c, to + o * g.sw * g.c);
	}
}

// The other way round; what is not used becomes 0. p: x [rows,OW,C], y [N,H,W,C] bf16.
// n: grid.
MV_LOOP(mv_round_used) {
	(void)f;
	grid g = grid_of(n);
	MV_PARALLEL(g.rows, 1, g.rows * g.ow * g.c > MV_SMALL, round_used(g, p[0], lo, hi, p[1]));
}

MV_CLONES static void relu(const bf16 *x, int64_t lo, int64_t hi, bf16 *y) {
#pragma GCC ivdep
	for (int64_t i = lo; i < hi; i++) y[i] = x[i] > 0x8000 && x[i] <= 0xff80 ? 0 : x[i]; // below 0; NaN stays
}

// p: x, y. n: size.
MV_LOOP(mv_relu_bf16) {
	(void)f;
	MV_PARALLEL(n[0], 64, n[0] > MV_SMALL, relu(p[0], lo, hi, p[1]));
}

MV_CLONES static void relu_backward(const bf16 *y, const bf16 *dy, int64_t lo, int64_t hi, bf16 *dx) {
#pragma GCC ivdep
	for (int64_t i = lo; i < hi; i++) dx[i] = y[i] > 0 && y[i] <= 0x7f80 ? dy[i] : 0;
}

MV_CLONES static void relu_backward_sum(const bf16 *y, const bf16 *dy, const bf16 *dz, int64_t lo, int64_t hi, bf16 *dx) {
#pragma GCC ivdep
	for (int64_t i = lo; i < hi; i++) {
		bf16 g = mv_narrow(mv_wide(dy[i]) + mv_wide(dz[i]));
		dx[i] = y[i] > 0 && y[i] <= 0x7f80 ? g : 0;
	}
}

// As mv_relu_backward.
MV_LOOP(mv_relu_backward_bf16) {
	(void)f;
	if (n[1])
		MV_PARALLEL(n[0], 64, n[0] > MV_SMALL, relu_backward_sum(p[0], p[1], p[2], lo, hi, p[3]));
	else
		MV_PARALLEL(n[0], 64, n[0] > MV_SMALL, relu_backward(p[0], p[1], lo, hi, p[2]));
}

MV_CLONES static void add(const bf16 *a, const bf16 *b, int64_t lo, int64_t hi, bf16 *y) {
#pragma GCC ivdep
	for (int64_t i = lo; i < hi; i++) y[i] = mv_narrow(mv_wide(a[i]) + mv_wide(b[i]));
}

MV_CLONES static void add_relu(const bf16 *a, const bf16 *b, int64_t lo, int64_t hi, bf16 *y) {
#pragma GCC ivdep
	for (int64_t i = lo; i < hi; i++) {
		float v = mv_wide(a[i]) + mv_wide(b[i]);
		y[i] = mv_narrow(v < 0 ? 0 : v);
	}
}

// p: a, b, y. n: size, relu.
MV_LOOP(mv_add_bf16) {
	(void)f;
	if (n[1])
		MV_PARALLEL(n[0], 64, n[0] > MV_SMALL, add_relu(p[0], p[1], lo, hi, p[2]));
	else
		MV_PARALLEL(n[0], 64, n[0] > MV_SMALL, add(p[0], p[1], lo, hi, p[2]));
}

static void move(const bf16 *x, int64_t lo, int64_t hi, bf16 *y) { memcpy(y + lo, x + lo, (hi - lo) * sizeof *y); }

// p: x, y, which may be x. n: size.
MV_LOOP(mv_move_bf16) {
	(void)f;
	if (p[0] != p[1]) MV_PARALLEL(n[0], 64, n[0] > MV_SMALL, move(p[0], lo, hi, p[1]));
}

static void columns(const bf16 *x, int64_t xw, bf16 *y, int64_t yw, int64_t lo, int64_t hi, int64_t k) {
	for (int64_t r = lo; r < hi; r++) memcpy(y + r * yw, x + r * xw, k * sizeof *y);
}

static void zero_rows(bf16 *y, int64_t yw, int64_t lo, int64_t hi) { memset(y + lo * yw, 0, (hi - lo) * yw * sizeof *y); }

// As mv_columns.
MV_LOOP(mv_columns_bf16) {
	(void)f;
	const bf16 *x = (const bf16 *)p[0] + n[3];
	bf16 *y = p[1];
	int64_t rows = n[0], k = n[1], xw = n[2], yw = n[4], at = n[5];
	if (n[6]) MV_PARALLEL(rows, 1, rows * yw > MV_SMALL, zero_rows(y, yw, lo, hi));
	MV_PARALLEL(rows, 1, rows * k > MV_SMALL, columns(x, xw, y + at, yw, lo, hi, k));
}

MV_CLONES static void fuse(float s, const bf16 *a, const bf16 *b, int64_t lo, int64_t hi, bf16 *y) {
	float u = 2 - s;
#pragma GCC ivdep
	for (int64_t i = lo; i < hi; i++) y[i] = mv_narrow(s * mv_wide(a[i]) + u * mv_wide(b[i]));
}

// p: s, a, b, y. n: size.
MV_LOOP(mv_fuse_bf16) {
	(void)f;
	float s = *(const float *)p[0];
	MV_PARALLEL(n[0], 64, n[0] > MV_SMALL, fuse(s, p[1], p[2], lo, hi, p[3]));
}

MV_CLONES static void column_sums(const bf16 *restrict x, int64_t rows, int64_t c, int64_t lo, int64_t hi, float *restrict y) {
	double acc[64];
	for (int64_t i = lo; i < hi; i += 64) {
		int64_t k = mv_min(64, hi - i);
		for (int64_t j = 0; j < k; j++) acc[j] = 0;
		for (int64_t r = 0; r < rows; r++)
			for (int64_t j = 0; j < k; j++) acc[j] += mv_wide(x[r * c + i + j]);
		for (int64_t j = 0; j < k; j++) y[i + j] = (float)acc[j];
	}
}

// As mv_column_sums.
MV_LOOP(mv_column_sums_bf16) {
	(void)f;
	int64_t rows = n[0], c = n[1];
	MV_PARALLEL(c, 64, rows * c > MV_SMALL, column_sums(p[0], rows, c, lo, hi, p[1]));
}

// Parts are pairs of image and strip of 64 channels.
MV_CLONES static void gap_parts(const bf16 *restrict x, int64_t hw, int64_t c, int64_t lo, int64_t hi, float *restrict y) {
	int64_t strips = (c + 63) / 64;
	for (int64_t part = lo; part < hi; part++) {
		int64_t img = part / strips, c0 = part % strips * 64, cn = mv_min(64, c - c0);
		const bf16 *s = x + img * hw * c + c0;
		double acc[64];
		for (int64_t i = 0; i < cn; i++) acc[i] = 0;
		for (int64_t r = 0; r < hw; r++)
			for (int64_t i = 0; i < cn; i++) acc[i] += mv_wide(s[r * c + i]);
		for (int64_t i = 0; i < cn; i++) y[img * c + c0 + i] = (float)(acc[i] / (double)hw);
	}
}

// p: x, y (float). n: N, H·W, C.
MV_LOOP(mv_gap_bf16) {
	(void)f;
	MV_PARALLEL(n[0] * ((n[2] + 63) / 64), 1, n[0] * n[1] * n[2] > MV_SMALL, gap_parts(p[0], n[1], n[2], lo, hi, p[1]));
}

MV_CLONES static void gap_backward_rows(const float *restrict dy, int64_t hw, int64_t c, int64_t lo, int64_t hi, bf16 *restrict dx) {
	float by = (float)(1 / (double)hw);
	for (int64_t r = lo; r < hi; r++) {
		const float *s = dy + r / hw * c;
		for (int64_t i = 0; i < c; i++) dx[r * c + i] = mv_narrow(s[i] * by);
	}
}

// p: dy (float), dx. n: N, H·W, C.
MV_LOOP(mv_gap_backward_bf16) {
	(void)f;
	MV_PARALLEL(n[0] * n[1], 1, n[0] * n[1] * n[2] > MV_SMALL, gap_backward_rows(p[0], n[1], n[2], lo, hi, p[1]));
}
