// Batch normalisation over rows of c channels. Statistics are taken in chunks
// that stay in cache: the chunk's mean, then the squares around it, merged into
// double precision by Chan, Golub and LeVeque's formula. Chunks and threads are
// merged in a fixed order.
#include "bf16.h"
#include "kernels.h"
#include "loops.h"
#include <math.h>

enum { CHUNK = 32768, PIECE = 4096 }; // floats: one in second-level cache, one in first-level

// A thread's accumulators, c of each.
typedef struct {
	double *mean, *m2;
	float *a, *b, *m;
} accumulators;

// A tensor of floats or bf16.
typedef struct {
	const void *p;
	int64_t half;
} numbers;

// A piece is some rows of at most so many floats.
static int64_t piece_floats(int64_t c) { return mv_max(PIECE, (c + 15) / 16 * 16); }

int64_t mv_bn_scratch(int64_t c, int64_t threads) {
	int64_t per = (c + 15) / 16 * 16;
	return threads * (per * (2 * 8 + 3 * 4) + piece_floats(c) * 4) + 3 * per * 4;
}

int64_t mv_bn_half_scratch(int64_t c, int64_t threads) { return mv_bn_scratch(c, threads) + threads * piece_floats(c) * 4; }

// widening is a thread's room for a piece of floats, behind everything else.
static float *widening(char *scratch, int64_t c, int threads, int t) {
	return (float *)(scratch + mv_bn_scratch(c, threads)) + t * piece_floats(c);
}

static accumulators of_thread(char *scratch, int64_t c, int t) {
	int64_t per = (c + 15) / 16 * 16;
	char *p = scratch + t * per * (2 * 8 + 3 * 4);
	accumulators a = {(double *)p, (double *)p + per, (float *)(p + per * 16), (float *)(p + per * 20), (float *)(p + per * 24)};
	return a;
}

static char *after_threads(char *scratch, int64_t c, int threads) {
	return scratch + threads * ((c + 15) / 16 * 16) * (2 * 8 + 3 * 4);
}

#define NUMBER float
#define NAME(x) x
#define WIDE(x) (x)
#define NARROW(x) (x)
#include "norm_loops.h"

#define NUMBER bf16
#define NAME(x) x##_half
#define WIDE(x) mv_wide(x)
#define NARROW(x) mv_narrow(x)
#include "norm_loops.h"

// merge adds nb numbers with sum of differences d and of squares q around m to
// the na numbers seen before.
MV_CLONES static void merge_chunk(accumulators a, int64_t c, double na, double nb) {
	const float *restrict d = a.a, *restrict q = a.b, *restrict m = a.m;
	double *restrict mean = a.mean, *restrict m2 = a.m2;
	double wb = nb / (na + nb), w = na * wb, inv = 1 / nb;
	for (int64_t i = 0; i < c; i++) {
		double off = d[i] * inv, delta = m[i] + off - mean[i];
		mean[i] += delta * wb;
		m2[i] += q[i] - off * d[i] + delta * delta * w;
	}
}

static void statistics(numbers x, int64_t lo, int64_t hi, int64_t c, accumulators a) {
	int64_t chunk = mv_max(4, CHUNK / c);
	memset(a.mean, 0, c * sizeof *a.mean);
	memset(a.m2, 0, c * sizeof *a.m2);
	for (int64_t r = lo; r < hi; r += chunk) {
		int64_t n = mv_min(chunk, hi - r);
		const float *rows = (const float *)x.p + r * c;
		const bf16 *halves = (const bf16 *)x.p + r * c;
		if (x.half)
			sum_rows_half(halves, n, c, a.m);
		else
			sum_rows(rows, n, c, a.m);
		for (int64_t i = 0; i < c; i++) a.m[i] /= (float)n;
		if (x.half)
			around_rows_half(halves, n, c, a.m, a.a, a.b);
		else
			around_rows(rows, n, c, a.m, a.a, a.b);
		merge_chunk(a, c, (double)(r - lo), (double)n);
	}
}

// What follows a norm: a term that is added, a ReLU, and with a ReLU alone its mask.
typedef struct {
	const void *z;
	uint16_t *mask;
	float low; // what the ReLU makes of less: 0, or without one -∞
} tail;

static tail tail_of(const int64_t *n, void **p) {
	return (tail){n[4] ? p[7] : 0, n[2] && !n[4] ? p[7] : 0, n[2] ? 0 : -INFINITY};
}

// apply normalises rows [lo,hi), last first: the end of the range is what the
// statistics left in the cache.
static void apply(numbers x, int64_t lo, int64_t hi, int64_t c, const float *mean, const float *scale, const float *shift, void *y, tail then, float *wide) {
	int64_t piece = mv_max(1, PIECE / c), words = mv_mask_bytes(c) / 2;
	for (int64_t end = hi; end > lo;) {
		int64_t r = mv_max(lo, end - piece), n = end - r;
		const float *from = (const float *)x.p + r * c;
		const bf16 *halves = (const bf16 *)x.p + r * c;
		float *to = x.half ? wide : (float *)y + r * c;
		end = r;
		uint16_t *mask = then.mask;
		if (then.z) {
			if (x.half)
				normalise_sum_half(halves, (const bf16 *)then.z + r * c, n, c, mean, scale, shift, then.low, (bf16 *)y + r * c);
			else
				normalise_sum(from, (const float *)then.z + r * c, n, c, mean, scale, shift, then.low, to);
			continue;
		}
		if (!mask) {
			if (x.half)
				normalise_half(halves, n, c, mean, scale, shift, (bf16 *)y + r * c);
			else
				normalise(from, n, c, mean, scale, shift, to);
			continue;
		}
		if (x.half)
			normalise_relu_half(halves, n, c, mean, scale, shift, to);
		else
			normalise_relu(from, n, c, mean, scale, shift, to);
		if (c % 16 == 0)
			mv_mask_pack(to, n * c, mask + r * words);
		else
			for (int64_t i = 0; i < n; i++) mv_mask_pack(to + i * c, c, mask + (r + i) * words);
		if (x.half) mv_round(to, n * c, (bf16 *)y + r * c);
	}
}

// p: x, γ, β, y, mean, var, scratch, then z (with sum) or mask (with ReLU alone).
// n: rows, c, relu, whether x, z and y are bf16, sum. f: eps.
void mv_bn(void **p, const int64_t *n, const double *f) {
	const float *gamma = p[1], *beta = p[2];
	float *mean = p[4], *var = p[5];
	numbers x = {p[0], n[3]};
	char *scratch = p[6];
	int64_t rows = n[0], c = n[1];
	tail then = tail_of(n, p);
	double eps = f[0];
	int big = rows * c > MV_SMALL;
#pragma omp parallel if (big)
	{
		int nt = omp_get_num_threads(), t = omp_get_thread_num();
		int64_t lo, hi;
		mv_span(rows, 1, &lo, &hi);
		accumulators mine = of_thread(scratch, c, t);
		float *wide = x.half ? widening(scratch, c, nt, t) : 0;
		statistics(x, lo, hi, c, mine);
		float *scale = (float *)after_threads(scratch, c, nt);
#pragma omp barrier
		int64_t clo, chi;
		mv_span(c, 16, &clo, &chi);
		for (int64_t i = clo; i < chi; i++) {
			double m = 0, m2 = 0, seen = 0;
			for (int k = 0; k < nt; k++) {
				double nb = (double)(rows * (k + 1) / nt - rows * k / nt);
				if (nb == 0) continue;
				accumulators a = of_thread(scratch, c, k);
				double delta = a.mean[i] - m;
				m += delta * nb / (seen + nb);
				m2 += a.m2[i] + delta * delta * seen * nb / (seen + nb);
				seen += nb;
			}
			double v = m2 / (double)rows;
			mean[i] = (float)m;
			var[i] = (float)v;
			scale[i] = (float)(gamma[i] / sqrt(v + eps));
		}
#pragma omp barrier
		apply(x, lo, hi, c, mean, scale, beta, p[3], then, wide);
	}
}

// p: x, γ, β, mean, var, y, scratch, z or mask. n and f as mv_bn.
void mv_bn_global(void **p, const int64_t *n, const double *f) {
	const float *gamma = p[1], *beta = p[2], *mean = p[3], *var = p[4];
	float *scale = p[6], *room = scale + (n[1] + 15) / 16 * 16;
	numbers x = {p[0], n[3]};
	int64_t rows = n[0], c = n[1];
	tail then = tail_of(n, p);
	for (int64_t i = 0; i < c; i++) scale[i] = (float)(gamma[i] / sqrt(var[i] + f[0]));
	MV_PARALLEL(rows, 1, rows * c > MV_SMALL, apply(x, lo, hi, c, mean, scale, beta, p[5], then, room + omp_get_thread_num() * piece_floats(c)));
}

MV_CLONES static void fold(int64_t c, float *restrict a, double *restrict d, float *restrict b, double *restrict e) {
	for (int64_t i = 0; i < c; i++) {
		d[i] += a[i];
		e[i] += b[i];
		a[i] = b[i] = 0;
	}
}

MV_CLONES static void scaled(const float *g, int64_t rows, int64_t c, const float *restrict scale, float *dx) {
	for (int64_t r = 0; r < rows; r++) {
		const float *gr = g + r * c;
		float *dr = dx + r * c;
#pragma GCC ivdep
		for (int64_t i = 0; i < c; i++) dr[i] = scale[i] * gr[i];
	}
}

// masked returns the gradient of n rows from row r on as floats, 0 where the mask has
// no bit; piece has room for them.
static const float *masked(numbers y, int64_t r, int64_t n, int64_t c, const uint16_t *mask, float *piece) {
	const float *dy = (const float *)y.p + r * c;
	const bf16 *half = (const bf16 *)y.p + r * c;
	if (!mask) {
		if (!y.half) return dy;
		mv_widen(half, n * c, piece);
		return piece;
	}
	int64_t words = mv_mask_bytes(c) / 2, rows = c % 16 ? n : 1, k = n * c / rows;
	for (int64_t i = 0; i < rows; i++) {
		const uint16_t *bits = mask + (r + i) * words;
		if (y.half)
			mv_mask_apply_bf16(half + i * k, k, bits, piece + i * k);
		else
			mv_mask_apply(dy + i * k, k, bits, piece + i * k);
	}
	return piece;
}

// p: x, dy, γ, mean, var, dx, dγ, dβ, scratch, mask (with ReLU).
// n: rows, c, relu, global, whether x, dy and dx are bf16. f: eps.
void mv_bn_backward(void **p, const int64_t *n, const double *f) {
	const float *gamma = p[2], *mean = p[3], *var = p[4];
	numbers x = {p[0], n[4]}, dy = {p[1], n[4]};
	float *dgamma = p[6], *dbeta = p[7];
	char *scratch = p[8];
	int64_t rows = n[0], c = n[1], global = n[3], per = (c + 15) / 16 * 16;
	const uint16_t *mask = n[2] ? p[9] : 0;
	double eps = f[0];
	int big = rows * c > MV_SMALL;
	int64_t piece = mv_max(1, PIECE / c);
#pragma omp parallel if (big)
	{
		int nt = omp_get_num_threads(), t = omp_get_thread_num();
		int64_t lo, hi;
		mv_span(rows, 1, &lo, &hi);
		accumulators mine = of_thread(scratch, c, t);
		float *scale = (float *)after_threads(scratch, c, nt), *mg = scale + per, *mx = mg + per;
		float *row = mx + per + t * piece_floats(c);
		memset(mine.mean, 0, c * sizeof *mine.mean);
		memset(mine.m2, 0, c * sizeof *mine.m2);
		memset(mine.a, 0, c * sizeof *mine.a);
		memset(mine.b, 0, c * sizeof *mine.b);
		int64_t pending = 0;
		for (int64_t r = lo; r < hi; r += piece) {
			int64_t k = mv_min(piece, hi - r);
			const float *g = masked(dy, r, k, c, mask, row);
			if (x.half)
				gradient_sums_half((const bf16 *)x.p + r * c, g, k, c, mean, mine.a, mine.b);
			else
				gradient_sums((const float *)x.p + r * c, g, k, c, mean, mine.a, mine.b);
			pending += k;
			if (pending >= 128 || r + k == hi) {
				fold(c, mine.a, mine.mean, mine.b, mine.m2);
				pending = 0;
			}
		}
#pragma omp barrier
		int64_t clo, chi;
		mv_span(c, 16, &clo, &chi);
		for (int64_t i = clo; i < chi; i++) {
			double sg = 0, sx = 0, r = 1 / sqrt(var[i] + eps);
			for (int k = 0; k < nt; k++) {
				accumulators a = of_thread(scratch, c, k);
				sg += a.mean[i];
				sx += a.m2[i];
			}
			dbeta[i] = (float)sg;
			dgamma[i] = (float)(sx * r);
			scale[i] = (float)(gamma[i] * r);
			mg[i] = (float)(sg / (double)rows);
			mx[i] = (float)(sx * r * r / (double)rows);
		}
#pragma omp barrier
		for (int64_t end = hi; end > lo;) {
			int64_t r = mv_max(lo, end - piece), k = end - r;
			const float *g = masked(dy, r, k, c, mask, row);
			float *to = x.half ? row : (float *)p[5] + r * c;
			if (global) {
				scaled(g, k, c, scale, to);
				if (x.half) mv_round(to, k * c, (bf16 *)p[5] + r * c);
			} else if (x.half) {
				gradient_half((const bf16 *)x.p + r * c, g, k, c, mean, scale, mg, mx, (bf16 *)p[5] + r * c);
			} else {
				gradient((const float *)x.p + r * c, g, k, c, mean, scale, mg, mx, to);
			}
			end = r;
		}
	}
}

// p: mean, var, running mean, running variance. n: c. f: momentum, correction.
void mv_running(void **p, const int64_t *n, const double *f) {
	const float *mean = p[0], *var = p[1];
	float *rm = p[2], *rv = p[3];
	double m = f[0], k = f[1];
	for (int64_t i = 0; i < n[0]; i++) {
		rm[i] = (float)((1 - m) * rm[i] + m * mean[i]);
		rv[i] = (float)((1 - m) * rv[i] + m * k * var[i]);
	}
}

MV_CLONES static void scale_rows(float *restrict w, const float *restrict k, int64_t lo, int64_t hi, int64_t size) {
	for (int64_t r = lo; r < hi; r++)
		for (int64_t i = 0; i < size; i++) w[r * size + i] *= k[r];
}

// p: filter [O][rest], γ, β, mean, variance, bias, folded bias, scratch for O
// floats; the filter is scaled in place. n: O, rest, with bias. f: ε.
MV_LOOP(mv_fold) {
	const float *gamma = p[1], *beta = p[2], *mean = p[3], *var = p[4], *bias = p[5];
	float *shift = p[6], *k = p[7];
	for (int64_t c = 0; c < n[0]; c++) {
		double s = gamma[c] / sqrt(var[c] + f[0]);
		k[c] = (float)s;
		shift[c] = (float)(beta[c] + ((n[2] ? bias[c] : 0.0) - mean[c]) * s);
	}
	MV_PARALLEL(n[0], 1, n[0] * n[1] > MV_SMALL, scale_rows(p[0], k, lo, hi, n[1]));
}
