#include "kernels.h"
#include "loops.h"
#include "winograd.h"

// wino is a 3x3 convolution of stride 1 and any dilation. A tile is the outputs
// dilation apart that one transform makes; it starts at a row of rows and a column of
// cols, which together cover every phase of the dilation. Nothing is rearranged:
// tiles are gathered from and scattered to NHWC tensors.
typedef struct {
	int64_t n, h, w, ic, oh, ow, oc; // activations x and y
	int64_t dh, dw, ph, pw;
	int64_t th, tw; // tiles of a column and of a row of the map
	int m;
	const int32_t *rows, *cols;
	const float *zeros; // as many as ic or oc
} wino;

// n: N, H, W, IC, OH, OW, OC, dilation, padding (each of rows, columns), tiles of a
// column and of a row, m.
static wino geometry(const int64_t *n, const void *rows, const void *cols, const void *zeros) {
	return (wino){n[0], n[1], n[2], n[3], n[4], n[5], n[6], n[7], n[8], n[9], n[10], n[11], n[12], (int)n[13], rows, cols, zeros};
}

static int64_t tiles(const wino *g) { return g->n * g->th * g->tw; }

// Planes of factors lie a cache line further apart than they are large: at powers of
// two all would compete for the same lines.
static int64_t plane(int64_t size) { return size + MV_LANES; }

MV_ALWAYS void inputs(const wino *g, int m, const float *x, int64_t lo, int64_t hi, float *v, int64_t stride) {
	int k = m + 2;
	for (int64_t i = lo; i < hi; i++) {
		int64_t row = g->rows[i / g->tw % g->th] - g->ph, col = g->cols[i % g->tw] - g->pw;
		const float *image = x + i / (g->th * g->tw) * g->h * g->w * g->ic;
		const float *from[MV_TILE * MV_TILE];
		for (int a = 0; a < k; a++)
			for (int b = 0; b < k; b++) {
				int64_t r = row + a * g->dh, c = col + b * g->dw;
				from[a * k + b] = r < 0 || r >= g->h || c < 0 || c >= g->w ? g->zeros : image + (r * g->w + c) * g->ic;
			}
		for (int64_t c = 0; c < g->ic; c += MV_LANES) {
			vec t[MV_TILE * MV_TILE], u[MV_TILE * MV_TILE];
			for (int b = 0; b < k; b++) {
				vec d[MV_TILE];
				for (int a = 0; a < k; a++) d[a] = *(const vec *)(from[a * k + b] + c);
				mv_wino_inputs(m, d, 1, t + b, k);
			}
			for (int a = 0; a < k; a++) mv_wino_inputs(m, t + a * k, 1, u + a * k, 1);
			float *to = v + (i - lo) * g->ic + c;
			for (int a = 0; a < k * k; a++) *(vec *)(to + a * stride) = u[a];
		}
	}
}
MV_CLONES static void inputs4(const wino *g, const float *x, int64_t lo, int64_t hi, float *v, int64_t stride) { inputs(g, 4, x, lo, hi, v, stride); }
MV_CLONES static void inputs3(const wino *g, const float *x, int64_t lo, int64_t hi, float *v, int64_t stride) { inputs(g, 3, x, lo, hi, v, stride); }

MV_ALWAYS void outputs(const wino *g, int m, const float *v, int64_t stride, int64_t lo, int64_t hi, const float *bias, int relu, float *y) {
	int k = m + 2;
	for (int64_t i = lo; i < hi; i++) {
		int64_t row = g->rows[i / g->tw % g->th], col = g->cols[i % g->tw];
		float *image = y + i / (g->th * g->tw) * g->oh * g->ow * g->oc;
		for (int64_t c = 0; c < g->oc; c += MV_LANES) {
			vec t[MV_TILE * MV_TILE];
			const float *from = v + (i - lo) * g->oc + c;
			for (int b = 0; b < k; b++) {
				vec d[MV_TILE];
				for (int a = 0; a < k; a++) d[a] = *(const vec *)(from + (a * k + b) * stride);
				mv_wino_outputs(m, d, 1, t + b, k);
			}
			vec add = *(const vec *)(bias + c);
			for (int a = 0; a < m && row + a * g->dh < g->oh; a++) {
				vec out[MV_TILE];
				mv_wino_outputs(m, t + a * k, 1, out, 1);
				float *to = image + ((row + a * g->dh) * g->ow + col) * g->oc + c;
				for (int b = 0; b < m && col + b * g->dw < g->ow; b++) {
					vec s = out[b] + add;
					if (relu) s = (vec)((mask)s & ~(s < 0)); // NaN stays
					*(vec *)(to + b * g->dw * g->oc) = s;
				}
			}
		}
	}
}
MV_CLONES static void outputs4(const wino *g, const float *v, int64_t stride, int64_t lo, int64_t hi, const float *bias, int relu, float *y) { outputs(g, 4, v, stride, lo, hi, bias, relu, y); }
MV_CLONES static void outputs3(const wino *g, const float *v, int64_t stride, int64_t lo, int64_t hi, const float *bias, int relu, float *y) { outputs(g, 3, v, stride, lo, hi, bias, relu, y); }

MV_ALWAYS void gradients(const wino *g, int m, const float *dy, int64_t lo, int64_t hi, float *v, int64_t stride) {
	int k = m + 2;
	for (int64_t i = lo; i < hi; i++) {
		int64_t row = g->rows[i / g->tw % g->th], col = g->cols[i % g->tw];
		const float *image = dy + i / (g->th * g->tw) * g->oh * g->ow * g->oc;
		const float *from[MV_TILE * MV_TILE];
		for (int a = 0; a < m; a++)
			for (int b = 0; b < m; b++) {
				int64_t r = row + a * g->dh, c = col + b * g->dw;
				from[a * m + b] = r >= g->oh || c >= g->ow ? g->zeros : image + (r * g->ow + c) * g->oc;
			}
		for (int64_t c = 0; c < g->oc; c += MV_LANES) {
			vec t[MV_TILE * MV_TILE], u[MV_TILE * MV_TILE];
			for (int b = 0; b < m; b++) {
				vec d[MV_TILE];
				for (int a = 0; a < m; a++) d[a] = *(const vec *)(from[a * m + b] + c);
				mv_wino_gradients(m, d, 1, t + b, m);
			}
			for (int a = 0; a < k; a++) mv_wino_gradients(m, t + a * m, 1, u + a * k, 1);
			float *to = v + (i - lo) * g->oc + c;
			for (int a = 0; a < k * k; a++) *(vec *)(to + a * stride) = u[a];
		}
	}
}
MV_CLONES static void gradients4(const wino *g, const float *dy, int64_t lo, int64_t hi, float *v, int64_t stride) { gradients(g, 4, dy, lo, hi, v, stride); }
MV_CLONES static void gradients3(const wino *g, const float *dy, int64_t lo, int64_t hi, float *v, int64_t stride) { gradients(g, 3, dy, lo, hi, v, stride); }

// taps transforms filters w [3,3,size] to u; turn rotates them by half a turn.
MV_ALWAYS void taps(int m, const float *w, int64_t size, int turn, int64_t lo, int64_t hi, float *u, int64_t stride) {
	int k = m + 2;
	for (int64_t c = lo; c < hi; c += MV_LANES) {
		vec t[MV_TILE * MV_TILE], o[MV_TILE];
		for (int b = 0; b < 3; b++) {
			vec d[3];
			for (int a = 0; a < 3; a++) d[a] = *(const vec *)(w + (turn ? 8 - 3 * a - b : 3 * a + b) * size + c);
			mv_wino_taps(m, d, 1, t + b, 3);
		}
		for (int a = 0; a < k; a++) {
			mv_wino_taps(m, t + 3 * a, 1, o, 1);
			for (int b = 0; b < k; b++) *(vec *)(u + (a * k + b) * stride + c) = o[b];
		}
	}
}
MV_CLONES static void taps4(const float *w, int64_t size, int turn, int64_t lo, int64_t hi, float *u, int64_t stride) { taps(4, w, size, turn, lo, hi, u, stride); }
MV_CLONES static void taps3(const float *w, int64_t size, int turn, int64_t lo, int64_t hi, float *u, int64_t stride) { taps(3, w, size, turn, lo, hi, u, stride); }

MV_ALWAYS void taps_back(int m, const float *u, int64_t stride, int64_t lo, int64_t hi, float *w, int64_t size) {
	int k = m + 2;
	for (int64_t c = lo; c < hi; c += MV_LANES) {
		vec t[MV_TILE * MV_TILE], o[3];
		for (int b = 0; b < k; b++) {
			vec d[MV_TILE];
			for (int a = 0; a < k; a++) d[a] = *(const vec *)(u + (a * k + b) * stride + c);
			mv_wino_taps_back(m, d, 1, t + b, k);
		}
		for (int a = 0; a < 3; a++) {
			mv_wino_taps_back(m, t + a * k, 1, o, 1);
			for (int b = 0; b < 3; b++) *(vec *)(w + (3 * a + b) * size + c) = o[b];
		}
	}
}
MV_CLONES static void taps_back4(const float *u, int64_t stride, int64_t lo, int64_t hi, float *w, int64_t size) { taps_back(4, u, stride, lo, hi, w, size); }
MV_CLONES static void taps_back3(const float *u, int64_t stride, int64_t lo, int64_t hi, float *w, int64_t size) { taps_back(3, u, stride, lo, hi, w, size); }

// products computes planes c = a·b (+ c), each m x n of inner k, one thread a product
// or a part of its columns, so that all threads have equally much to do.
static void products(int planes, char ta, char tb, int64_t m, int64_t n, int64_t k, const float *a, int64_t sa, const float *b, int64_t sb, float beta, float *c, int64_t sc) {
	int64_t lda = ta == 'T' ? m : k, ldb = tb == 'T' ? k : n;
#pragma omp parallel
	{
		int64_t threads = omp_get_num_threads(), parts = 1;
		while (planes % threads && parts < 4 && n / parts >= 128) parts *= 2;
#pragma omp for schedule(static)
		for (int64_t i = 0; i < planes * parts; i++) {
			int64_t q = i / parts, from = n * (i % parts) / parts / 16 * 16, to = i % parts == parts - 1 ? n : n * (i % parts + 1) / parts / 16 * 16;
			dnnl_sgemm(ta, tb, m, to - from, k, 1, a + q * sa, lda, b + q * sb + (tb == 'T' ? from * ldb : from), ldb, beta, c + q * sc + from, n);
		}
	}
}

// p: x, w [3,3,I,O], bias or zeros, y, factors of the filters, of a chunk's inputs and
// its products, rows, cols, zeros. n: geometry's, tiles of a chunk, turned, relu.
// Turned filters are rotated and their channels exchanged: a data gradient.
MV_LOOP(mv_winograd) {
	(void)f;
	wino g = geometry(n, p[7], p[8], p[9]);
	const float *x = p[0], *w = p[1], *bias = p[2];
	float *y = p[3], *u = p[4], *v = p[5], *o = p[6];
	int64_t chunk = n[14], turned = n[15], relu = n[16], size = g.ic * g.oc;
	int planes = (g.m + 2) * (g.m + 2);
	int64_t su = plane(size), sv = plane(chunk * g.ic), so = plane(chunk * g.oc);
	MV_PARALLEL(size, MV_LANES, 1, (g.m == 4 ? taps4 : taps3)(w, size, turned, lo, hi, u, su));
	for (int64_t at = 0; at < tiles(&g); at += chunk) {
		int64_t k = mv_min(chunk, tiles(&g) - at);
		MV_PARALLEL(k, 1, 1, (g.m == 4 ? inputs4 : inputs3)(&g, x, at + lo, at + hi, v + lo * g.ic, sv));
		products(planes, 'N', turned ? 'T' : 'N', k, g.oc, g.ic, v, sv, u, su, 0, o, so);
		MV_PARALLEL(k, 1, 1, (g.m == 4 ? outputs4 : outputs3)(&g, o + lo * g.oc, so, at + lo, at + hi, bias, relu, y));
	}
}

// p: x, dy, dw [3,3,IC,OC], products, factors of a chunk's inputs and gradients, rows,
// cols, zeros. n: geometry's, tiles of a chunk.
MV_LOOP(mv_winograd_weights) {
	(void)f;
	wino g = geometry(n, p[6], p[7], p[8]);
	const float *x = p[0], *dy = p[1];
	float *dw = p[2], *u = p[3], *v = p[4], *o = p[5];
	int64_t chunk = n[14], size = g.ic * g.oc;
	int planes = (g.m + 2) * (g.m + 2);
	int64_t su = plane(size), sv = plane(chunk * g.ic), so = plane(chunk * g.oc);
	for (int64_t at = 0; at < tiles(&g); at += chunk) {
		int64_t k = mv_min(chunk, tiles(&g) - at);
		MV_PARALLEL(k, 1, 1, {
			(g.m == 4 ? inputs4 : inputs3)(&g, x, at + lo, at + hi, v + lo * g.ic, sv);
			(g.m == 4 ? gradients4 : gradients3)(&g, dy, at + lo, at + hi, o + lo * g.oc, so);
		});
		products(planes, 'T', 'N', g.ic, g.oc, k, v, sv, o, so, at > 0, u, su);
	}
	MV_PARALLEL(size, MV_LANES, 1, (g.m == 4 ? taps_back4 : taps_back3)(u, su, lo, hi, dw, size));
}
