#include "bf16.h"
#include "kernels.h"
#include "loops.h"

MV_CLONES static void relu(const float *x, int64_t lo, int64_t hi, float *y) {
#pragma GCC ivdep
	for (int64_t i = lo; i < hi; i++) y[i] = x[i] < 0 ? 0 : x[i]; // NaN stays
}

// p: x, y. n: size.
MV_LOOP(mv_relu) {
	(void)f;
	MV_PARALLEL(n[0], 64, n[0] > MV_SMALL, relu(p[0], lo, hi, p[1]));
}

MV_CLONES static void relu_backward(const float *y, const float *dy, int64_t lo, int64_t hi, float *dx) {
#pragma GCC ivdep
	for (int64_t i = lo; i < hi; i++) dx[i] = y[i] > 0 ? dy[i] : 0;
}

MV_CLONES static void relu_backward_sum(const float *y, const float *dy, const float *dz, int64_t lo, int64_t hi, float *dx) {
#pragma GCC ivdep
	for (int64_t i = lo; i < hi; i++) {
		float g = dy[i] + dz[i];
		dx[i] = y[i] > 0 ? g : 0;
	}
}

// p: y, dy, dx or with a sum y, dy, dz, dx. n: size, sum.
MV_LOOP(mv_relu_backward) {
	(void)f;
	if (n[1])
		MV_PARALLEL(n[0], 64, n[0] > MV_SMALL, relu_backward_sum(p[0], p[1], p[2], lo, hi, p[3]));
	else
		MV_PARALLEL(n[0], 64, n[0] > MV_SMALL, relu_backward(p[0], p[1], lo, hi, p[2]));
}

MV_CLONES static void add(const float *a, const float *b, int64_t lo, int64_t hi, float *y) {
#pragma GCC ivdep
	for (int64_t i = lo; i < hi; i++) y[i] = a[i] + b[i];
}

MV_CLONES static void add_relu(const float *a, const float *b, int64_t lo, int64_t hi, float *y) {
#pragma GCC ivdep
	for (int64_t i = lo; i < hi; i++) {
		float v = a[i] + b[i];
		y[i] = v < 0 ? 0 : v;
	}
}

// p: a, b, y. n: size, relu.
MV_LOOP(mv_add) {
	(void)f;
	if (n[1])
		MV_PARALLEL(n[0], 64, n[0] > MV_SMALL, add_relu(p[0], p[1], lo, hi, p[2]));
	else
		MV_PARALLEL(n[0], 64, n[0] > MV_SMALL, add(p[0], p[1], lo, hi, p[2]));
}

static void move(const float *x, int64_t lo, int64_t hi, float *y) { memcpy(y + lo, x + lo, (hi - lo) * sizeof *y); }

// p: x, y, which may be x. n: size.
MV_LOOP(mv_move) {
	(void)f;
	if (p[0] != p[1]) MV_PARALLEL(n[0], 64, n[0] > MV_SMALL, move(p[0], lo, hi, p[1]));
}

MV_CLONES static void fuse(float s, const float *a, const float *b, int64_t lo, int64_t hi, float *y) {
	float u = 2 - s;
#pragma GCC ivdep
	for (int64_t i = lo; i < hi; i++) y[i] = s * a[i] + u * b[i];
}

// p: s, a, b, y. n: size.
MV_LOOP(mv_fuse) {
	(void)f;
	float s = *(const float *)p[0];
	MV_PARALLEL(n[0], 64, n[0] > MV_SMALL, fuse(s, p[1], p[2], lo, hi, p[3]));
}

MV_CLONES static double fuse_backward(float s, const float *a, const float *b, const float *dy, int64_t lo, int64_t hi, float *da, float *db) {
	float u = 2 - s;
	double acc[16] = {0};
	int64_t i = lo;
	for (; i + 16 <= hi; i += 16) {
		float g[16], d[16];
		for (int j = 0; j < 16; j++) g[j] = dy[i + j];
		for (int j = 0; j < 16; j++) d[j] = a[i + j] - b[i + j];
		for (int j = 0; j < 16; j++) acc[j] += (double)g[j] * d[j];
		for (int j = 0; j < 16; j++) da[i + j] = s * g[j];
		for (int j = 0; j < 16; j++) db[i + j] = u * g[j];
	}
	for (; i < hi; i++) {
		float g = dy[i], d = a[i] - b[i];
		acc[0] += (double)g * d;
		da[i] = s * g;
		db[i] = u * g;
	}
	double sum = 0;
	for (int j = 0; j < 16; j++) sum += acc[j];
	return sum;
}

// The same of bf16, widened a piece at a time.
static double fuse_backward_halves(float s, const bf16 *a, const bf16 *b, const bf16 *dy, int64_t lo, int64_t hi, bf16 *da, bf16 *db) {
	enum { PIECE = 1024 };
	float wide[5][PIECE];
	double sum = 0;
	for (int64_t i = lo; i < hi; i += PIECE) {
		int64_t n = mv_min(PIECE, hi - i);
		mv_widen(a + i, n, wide[0]);
		mv_widen(b + i, n, wide[1]);
		mv_widen(dy + i, n, wide[2]);
		sum += fuse_backward(s, wide[0], wide[1], wide[2], 0, n, wide[3], wide[4]);
		mv_round(wide[3], n, da + i);
		mv_round(wide[4], n, db + i);
	}
	return sum;
}

// p: s, a, b, dy, da, db, ds, partial sums (a double for each thread). n: size, whether
// a, b, dy, da and db are bf16.
MV_LOOP(mv_fuse_backward) {
	(void)f;
	float s = *(const float *)p[0];
	double *part = p[7], sum = 0;
	int64_t size = n[0];
	int nt = 1;
#pragma omp parallel if (size > MV_SMALL)
	{
		int64_t lo, hi;
		mv_span(size, 64, &lo, &hi);
		part[omp_get_thread_num()] = n[1] ? fuse_backward_halves(s, p[1], p[2], p[3], lo, hi, p[4], p[5]) : fuse_backward(s, p[1], p[2], p[3], lo, hi, p[4], p[5]);
		if (omp_get_thread_num() == 0) nt = omp_get_num_threads();
	}
	for (int t = 0; t < nt; t++) sum += part[t];
	*(float *)p[6] = (float)sum;
}

MV_CLONES static void fill(float *y, int64_t lo, int64_t hi, float v) {
	for (int64_t i = lo; i < hi; i++) y[i] = v;
}

// p: y. n: size. f: value.
MV_LOOP(mv_fill) {
	float v = (float)f[0];
	MV_PARALLEL(n[0], 64, n[0] > MV_SMALL, fill(p[0], lo, hi, v));
}

static void columns(const float *x, int64_t xw, float *y, int64_t yw, int64_t lo, int64_t hi, int64_t k) {
	for (int64_t r = lo; r < hi; r++) memcpy(y + r * yw, x + r * xw, k * sizeof *y);
}

static void zero_rows(float *y, int64_t yw, int64_t lo, int64_t hi) { memset(y + lo * yw, 0, (hi - lo) * yw * sizeof *y); }

// mv_columns copies columns: p: x, y. n: rows, columns copied, width and first
// column of x, width and first column of y, whether to clear y first.
MV_LOOP(mv_columns) {
	(void)f;
	const float *x = (const float *)p[0] + n[3];
	float *y = p[1];
	int64_t rows = n[0], k = n[1], xw = n[2], yw = n[4], at = n[5];
	if (n[6]) MV_PARALLEL(rows, 1, rows * yw > MV_SMALL, zero_rows(y, yw, lo, hi));
	MV_PARALLEL(rows, 1, rows * k > MV_SMALL, columns(x, xw, y + at, yw, lo, hi, k));
}

MV_CLONES static void column_sums(const float *restrict x, int64_t rows, int64_t c, int64_t lo, int64_t hi, float *restrict y) {
	double acc[64];
	for (int64_t i = lo; i < hi; i += 64) {
		int64_t k = hi - i < 64 ? hi - i : 64;
		for (int64_t j = 0; j < k; j++) acc[j] = 0;
		for (int64_t r = 0; r < rows; r++)
			for (int64_t j = 0; j < k; j++) acc[j] += x[r * c + i + j];
		for (int64_t j = 0; j < k; j++) y[i + j] = (float)acc[j];
	}
}

// p: x, sums. n: rows, columns.
MV_LOOP(mv_column_sums) {
	(void)f;
	int64_t rows = n[0], c = n[1];
	MV_PARALLEL(c, 64, rows * c > MV_SMALL, column_sums(p[0], rows, c, lo, hi, p[1]));
}
