#include "bf16.h"
#include "kernels.h"
#include "panels.h"
#include "winograd.h"

// wino is a 3x3 convolution of stride 1 and any dilation. A tile is the outputs that
// one transform makes, a dilation apart; it starts at one of rows and one of cols,
// which together cover every phase of the dilation. Nothing is rearranged: tiles are
// gathered from and scattered to NHWC tensors.
typedef struct {
	int64_t n, h, w, ic, oh, ow, oc; // activations x and y
	int64_t dh, dw, ph, pw;
	int64_t th, tw; // tiles of a column and of a row of the map
	int64_t kr, kc; // kinds of the rows' and the columns' transforms
	const int32_t *rows, *cols;
	const float *zeros, *bias; // as many as ic or oc
	int64_t relu, sum, turned;
	int64_t width; // channels of products, oc rounded up to whole vectors
	int64_t half_in, half_out; // whether the activations read and written are bf16
} wino;

static wino geometry(const int64_t *n, const void *rows, const void *cols, const void *zeros) {
	return (wino){n[0], n[1], n[2], n[3], n[4], n[5], n[6], n[7], n[8], n[9], n[10], n[11], n[12], n[13], n[14], rows, cols, zeros, zeros, 0, 0, 0, n[6], 0, 0};
}

static int64_t tiles(const wino *g) { return g->n * g->th * g->tw; }

// SMALL is how many factors of filters a core's cache holds beside those of some tiles.
enum { SMALL = 1 << 18 };

// Planes of factors lie a cache line further apart than they are large: at powers of
// two all would compete for the same lines.
static int64_t plane(int64_t size) { return size + MV_LANES; }

// Each pass below transforms items lo to hi, tiles or filters, of kinds kr and kc;
// planes are stride apart.

// load and store move sixteen activations, floats or bf16.
MV_ALWAYS void load(vec *v, const char *p, int half) {
	*v = half ? (vec)(__builtin_convertvector(*(const halves *)p, words) << 16) : *(const vec *)p;
}

MV_ALWAYS void store(char *p, int half, const vec *v) {
	if (!half) {
		*(vec *)p = *v;
		return;
	}
	words u = (words)*v, nan = (words)((u & 0x7fffffff) > 0x7f800000);
	u = (nan & (u >> 16 | 0x40)) | (~nan & ((u + 0x7fff + (u >> 16 & 1)) >> 16));
	*(halves *)p = __builtin_convertvector(u, halves);
}

MV_ALWAYS int64_t bytes(int half) { return half ? sizeof(bf16) : sizeof(float); }

// gather finds the side's inputs of a tile, rows by columns; c is a pixel's bytes.
MV_ALWAYS void gather(const char *image, const char *zeros, int64_t h, int64_t w, int64_t c, int64_t row, int64_t col, int64_t dh, int64_t dw, int rows, int cols, const char **from) {
	for (int a = 0; a < rows; a++)
		for (int b = 0; b < cols; b++) {
			int64_t y = row + a * dh, x = col + b * dw;
			from[a * cols + b] = y < 0 || y >= h || x < 0 || x >= w ? zeros : image + (y * w + x) * c;
		}
}

// x -> factors.
MV_ALWAYS void read_inputs(const wino *g, int kr, int kc, int half, const char *x, float *v, int64_t stride, int64_t lo, int64_t hi) {
	int rows = mv_wino_reach(kr), cols = mv_wino_reach(kc);
	int64_t pixel = g->ic * bytes(half);
	for (int64_t i = lo; i < hi; i++, v += g->ic) {
		int64_t row = g->rows[i / g->tw % g->th] - g->ph + mv_wino_first(kr) * g->dh;
		int64_t col = g->cols[i % g->tw] - g->pw + mv_wino_first(kc) * g->dw;
		const char *from[MV_AREA];
		gather(x + i / (g->th * g->tw) * g->h * g->w * pixel, (const char *)g->zeros, g->h, g->w, pixel, row, col, g->dh, g->dw, rows, cols, from);
		for (int64_t c = 0; c < g->ic; c += MV_LANES) {
			vec t[MV_AREA], u[MV_AREA];
			for (int b = 0; b < cols; b++) {
				vec d[MV_SIDE];
				for (int a = 0; a < rows; a++) load(d + a, from[a * cols + b] + c * bytes(half), half);
				mv_wino_inputs(kr, d, 1, t + b, cols);
			}
			for (int a = 0; a < kr; a++) mv_wino_inputs(kc, t + a * cols, 1, u + a * kc, 1);
			for (int a = 0; a < kr * kc; a++) *(vec *)(v + c + a * stride) = u[a];
		}
	}
}

// add_some adds the first n channels at from, at most a vector's.
MV_ALWAYS void add_some(vec *v, const char *from, int half, int64_t n) {
	if (n >= MV_LANES) {
		vec more;
		load(&more, from, half);
		*v += more;
	} else
		for (int64_t i = 0; i < n; i++) (*v)[i] += half ? mv_wide(((const bf16 *)from)[i]) : ((const float *)from)[i];
}

MV_ALWAYS void store_some(char *to, int half, const vec *v, int64_t n) {
	if (n >= MV_LANES)
		store(to, half, v);
	else
		for (int64_t i = 0; i < n; i++)
			if (half)
				((bf16 *)to)[i] = mv_narrow((*v)[i]);
			else
				((float *)to)[i] = (*v)[i];
}

// products -> y. The channels of products behind y's last are dropped.
MV_ALWAYS void write_outputs(const wino *g, int kr, int kc, int half, const float *v, char *y, int64_t stride, int64_t lo, int64_t hi) {
	int rows = mv_wino_m(kr), cols = mv_wino_m(kc);
	int64_t pixel = g->oc * bytes(half);
	for (int64_t i = lo; i < hi; i++, v += g->width) {
		int64_t row = g->rows[i / g->tw % g->th], col = g->cols[i % g->tw];
		char *image = y + i / (g->th * g->tw) * g->oh * g->ow * pixel;
		for (int64_t c = 0; c < g->oc; c += MV_LANES) {
			vec t[MV_AREA];
			for (int b = 0; b < kc; b++) {
				vec d[MV_SIDE];
				for (int a = 0; a < kr; a++) d[a] = *(const vec *)(v + c + (a * kc + b) * stride);
				mv_wino_outputs(kr, d, 1, t + b, kc);
			}
			int64_t left = g->oc - c;
			vec bias = {0};
			add_some(&bias, (const char *)(g->bias + c), 0, left);
			for (int a = 0; a < rows && row + a * g->dh < g->oh; a++) {
				vec o[MV_SIDE];
				mv_wino_outputs(kc, t + a * kc, 1, o, 1);
				char *to = image + ((row + a * g->dh) * g->ow + col) * pixel + c * bytes(half);
				for (int b = 0; b < cols && col + b * g->dw < g->ow; b++) {
					char *at = to + b * g->dw * pixel;
					vec s = o[b] + bias;
					if (g->sum) add_some(&s, at, half, left);
					if (g->relu) s = (vec)((mask)s & ~(s < 0)); // NaN stays
					store_some(at, half, &s, left);
				}
			}
		}
	}
}

// dy -> factors.
MV_ALWAYS void read_gradients(const wino *g, int kr, int kc, int half, const char *dy, float *v, int64_t stride, int64_t lo, int64_t hi) {
	int rows = mv_wino_m(kr), cols = mv_wino_m(kc);
	int64_t pixel = g->oc * bytes(half);
	for (int64_t i = lo; i < hi; i++, v += g->oc) {
		const char *from[MV_AREA];
		gather(dy + i / (g->th * g->tw) * g->oh * g->ow * pixel, (const char *)g->zeros, g->oh, g->ow, pixel, g->rows[i / g->tw % g->th], g->cols[i % g->tw], g->dh, g->dw, rows, cols, from);
		for (int64_t c = 0; c < g->oc; c += MV_LANES) {
			vec t[MV_AREA], u[MV_AREA];
			for (int b = 0; b < cols; b++) {
				vec d[MV_SIDE];
				for (int a = 0; a < rows; a++) load(d + a, from[a * cols + b] + c * bytes(half), half);
				mv_wino_gradients(kr, d, 1, t + b, cols);
			}
			for (int a = 0; a < kr; a++) mv_wino_gradients(kc, t + a * cols, 1, u + a * kc, 1);
			for (int a = 0; a < kr * kc; a++) *(vec *)(v + c + a * stride) = u[a];
		}
	}
}

// w [3,3,filters] -> factors.
MV_ALWAYS void taps(const wino *g, int kr, int kc, const float *w, float *u, int64_t stride, int64_t lo, int64_t hi) {
	int64_t size = g->ic * g->width;
	for (int64_t c = lo; c < hi; c += MV_LANES) {
		vec t[MV_AREA], o[MV_SIDE];
		for (int b = 0; b < 3; b++) {
			vec d[3];
			for (int a = 0; a < 3; a++) d[a] = *(const vec *)(w + (g->turned ? 8 - 3 * a - b : 3 * a + b) * size + c);
			mv_wino_taps(kr, d, 1, t + b, 3);
		}
		for (int a = 0; a < kr; a++) {
			mv_wino_taps(kc, t + 3 * a, 1, o, 1);
			for (int b = 0; b < kc; b++) *(vec *)(u + (a * kc + b) * stride + c) = o[b];
		}
	}
}

// products -> dw [3,3,filters].
MV_ALWAYS void taps_back(const wino *g, int kr, int kc, const float *u, float *w, int64_t stride, int64_t lo, int64_t hi) {
	int64_t size = g->ic * g->oc;
	for (int64_t c = lo; c < hi; c += MV_LANES) {
		vec t[MV_AREA], o[3];
		for (int b = 0; b < kc; b++) {
			vec d[MV_SIDE];
			for (int a = 0; a < kr; a++) d[a] = *(const vec *)(u + (a * kc + b) * stride + c);
			mv_wino_taps_back(kr, d, 1, t + b, kc);
		}
		for (int a = 0; a < 3; a++) {
			mv_wino_taps_back(kc, t + a * kc, 1, o, 1);
			for (int b = 0; b < 3; b++) *(vec *)(w + (3 * a + b) * size + c) = o[b];
		}
	}
}

MV_ALWAYS void inputs(const wino *g, int kr, int kc, const void *x, void *v, int64_t stride, int64_t lo, int64_t hi) { read_inputs(g, kr, kc, 0, x, v, stride, lo, hi); }
MV_ALWAYS void half_inputs(const wino *g, int kr, int kc, const void *x, void *v, int64_t stride, int64_t lo, int64_t hi) { read_inputs(g, kr, kc, 1, x, v, stride, lo, hi); }
MV_ALWAYS void outputs(const wino *g, int kr, int kc, const void *v, void *y, int64_t stride, int64_t lo, int64_t hi) { write_outputs(g, kr, kc, 0, v, y, stride, lo, hi); }
MV_ALWAYS void half_outputs(const wino *g, int kr, int kc, const void *v, void *y, int64_t stride, int64_t lo, int64_t hi) { write_outputs(g, kr, kc, 1, v, y, stride, lo, hi); }
MV_ALWAYS void gradients(const wino *g, int kr, int kc, const void *dy, void *v, int64_t stride, int64_t lo, int64_t hi) { read_gradients(g, kr, kc, 0, dy, v, stride, lo, hi); }
MV_ALWAYS void half_gradients(const wino *g, int kr, int kc, const void *dy, void *v, int64_t stride, int64_t lo, int64_t hi) { read_gradients(g, kr, kc, 1, dy, v, stride, lo, hi); }

// Every pass is compiled for each pair of kinds.
typedef void (*pass)(const wino *, const void *, void *, int64_t, int64_t, int64_t);
#define PAIR(name, r, c) \
	MV_CLONES static void name##r##c(const wino *g, const void *from, void *to, int64_t stride, int64_t lo, int64_t hi) { name(g, r, c, from, to, stride, lo, hi); }
#define PAIRS(name) \
	PAIR(name, 6, 6) PAIR(name, 6, 5) PAIR(name, 6, 3) PAIR(name, 5, 6) PAIR(name, 5, 5) PAIR(name, 5, 3) PAIR(name, 3, 6) PAIR(name, 3, 5) PAIR(name, 3, 3) \
	static pass name##_for(const wino *g) { \
		switch (10 * g->kr + g->kc) { \
		case 66: return name##66; \
		case 65: return name##65; \
		case 63: return name##63; \
		case 56: return name##56; \
		case 55: return name##55; \
		case 53: return name##53; \
		case 36: return name##36; \
		case 35: return name##35; \
		} \
		return name##33; \
	}
PAIRS(inputs)
PAIRS(half_inputs)
PAIRS(outputs)
PAIRS(half_outputs)
PAIRS(gradients)
PAIRS(half_gradients)
PAIRS(taps)
PAIRS(taps_back)

// products computes planes c = a·b (+ c), each m x n of inner k, one thread a product
// or a part of its columns, so that all threads have about equally much to do.
static void products(int64_t planes, char ta, char tb, int64_t m, int64_t n, int64_t k, const float *a, int64_t sa, const float *b, int64_t sb, float beta, float *c, int64_t sc) {
	int64_t lda = ta == 'T' ? m : k, ldb = tb == 'T' ? k : n;
#pragma omp parallel
	{
		int64_t parts = 1;
		while (planes * parts % omp_get_num_threads() && parts < 4 && n / parts >= 128) parts *= 2;
#pragma omp for schedule(static)
		for (int64_t i = 0; i < planes * parts; i++) {
			int64_t q = i / parts, from = n * (i % parts) / parts / MV_LANES * MV_LANES, to = n * (i % parts + 1) / parts / MV_LANES * MV_LANES;
			dnnl_sgemm(ta, tb, m, to - from, k, 1, a + q * sa, lda, b + q * sb + (tb == 'T' ? from * ldb : from), ldb, beta, c + q * sc + from, n);
		}
	}
}

// products_by_panels is products for filters in panels (panels.h): each thread reads its
// part of them from front to back.
static void products_by_panels(int64_t planes, int64_t m, int64_t n, int64_t k, const float *a, int64_t sa, const float *b, int64_t sb, float *c, int64_t sc) {
	mv_panels g = {.lines = 1, .high = 1, .wide = m, .pixel = k, .strips = 1, .k = k, .panels = n / MV_PANEL};
	int64_t plane = mv_panels_blocks(&g) * g.panels;
#pragma omp parallel firstprivate(g)
	{
		int64_t lo, hi;
		mv_span(planes * plane, 1, &lo, &hi);
		while (lo < hi) {
			int64_t q = lo / plane, from = lo % plane, to = mv_min(plane, from + hi - lo);
			g.x = a + q * sa;
			g.w = b + q * sb;
			g.y = c + q * sc;
			mv_panels_span(&g, mv_max(1, (1 << 16) / (MV_PIXELS * k)), from, to);
			lo += to - from;
		}
	}
}

// by_tiles makes tiles lo to hi of a chunk that begins at at, from inputs to outputs, where
// filters in panels are small: the tiles' factors stay in the core's cache.
static void by_tiles(const wino *g, pass in, pass out, const void *x, void *y, const float *u, int64_t su, float *v, int64_t sv, float *o, int64_t so, int64_t at, int64_t lo, int64_t hi) {
	mv_panels part = {.lines = 1, .high = 1, .pixel = g->ic, .strips = 1, .k = g->ic, .panels = g->width / MV_PANEL};
	int64_t cuts = (hi - lo + MV_PIXELS - 1) / MV_PIXELS;
	for (int64_t i = 0; i < cuts; i++) {
		int64_t from = lo + (hi - lo) * i / cuts, to = lo + (hi - lo) * (i + 1) / cuts;
		in(g, x, v + from * g->ic, sv, at + from, at + to);
		part.wide = to - from;
		for (int64_t q = 0; q < g->kr * g->kc; q++) {
			part.x = v + q * sv + from * g->ic;
			part.w = u + q * su;
			part.y = o + q * so + from * g->width;
			for (int64_t panel = 0; panel < part.panels; panel++) mv_panels_part(&part, panel, 0, mv_panels_blocks(&part));
		}
		out(g, o + from * g->width, y, so, at + from, at + to);
	}
}

// p: w [3,3,I,O], factors of the filters. n: I, O, kinds of rows and columns, turned:
// rotated by half a turn, for a data gradient.
MV_LOOP(mv_winograd_taps) {
	(void)f;
	wino g = {.ic = n[0], .width = n[1], .kr = n[2], .kc = n[3], .turned = n[4]};
	int64_t size = g.ic * g.width;
	MV_PARALLEL(size, MV_LANES, 1, taps_for(&g)(&g, p[0], p[1], plane(size), lo, hi));
}

// p: x, bias or zeros, y, factors of the filters, factors and products of a chunk of
// tiles, rows, cols, zeros. n: geometry's, tiles of a chunk, turned, relu, whether y is
// added to, output channels of filters and products, whether x and y are bf16, whether
// filters lie in panels. With turned filters inputs and outputs change places: a data
// gradient.
MV_LOOP(mv_winograd) {
	(void)f;
	wino g = geometry(n, p[6], p[7], p[8]);
	g.bias = p[1];
	g.turned = n[16];
	g.relu = n[17];
	g.sum = n[18];
	g.width = n[19];
	g.half_in = n[20];
	g.half_out = n[21];
	pass in = g.half_in ? half_inputs_for(&g) : inputs_for(&g), out = g.half_out ? half_outputs_for(&g) : outputs_for(&g);
	float *u = p[3], *v = p[4], *o = p[5];
	int64_t chunk = n[15], size = g.ic * g.width;
	int64_t su = plane(size), sv = plane(chunk * g.ic), so = plane(chunk * g.width);
	for (int64_t at = 0; at < tiles(&g); at += chunk) {
		int64_t k = mv_min(chunk, tiles(&g) - at);
		if (n[22] && su * g.kr * g.kc <= SMALL) {
			MV_PARALLEL(k, 1, 1, by_tiles(&g, in, out, p[0], p[2], u, su, v, sv, o, so, at, lo, hi));
			continue;
		}
		MV_PARALLEL(k, 1, 1, in(&g, p[0], v + lo * g.ic, sv, at + lo, at + hi));
		if (n[22])
			products_by_panels(g.kr * g.kc, k, g.width, g.ic, v, sv, u, su, o, so);
		else
			products(g.kr * g.kc, 'N', g.turned ? 'T' : 'N', k, g.width, g.ic, v, sv, u, su, 0, o, so);
		MV_PARALLEL(k, 1, 1, out(&g, o + lo * g.width, p[2], so, at + lo, at + hi));
	}
}

// p: x, dy, dw [3,3,IC,OC], products, factors of a chunk's inputs and gradients, rows,
// cols, zeros. n: geometry's, tiles of a chunk, whether x and dy are bf16.
MV_LOOP(mv_winograd_weights) {
	(void)f;
	wino g = geometry(n, p[6], p[7], p[8]);
	float *u = p[3], *v = p[4], *o = p[5];
	int64_t chunk = n[15], size = g.ic * g.oc;
	int64_t su = plane(size), sv = plane(chunk * g.ic), so = plane(chunk * g.oc);
	pass in = n[16] ? half_inputs_for(&g) : inputs_for(&g), back = n[16] ? half_gradients_for(&g) : gradients_for(&g);
	for (int64_t at = 0; at < tiles(&g); at += chunk) {
		int64_t k = mv_min(chunk, tiles(&g) - at);
		MV_PARALLEL(k, 1, 1, {
			in(&g, p[0], v + lo * g.ic, sv, at + lo, at + hi);
			back(&g, p[1], o + lo * g.oc, so, at + lo, at + hi);
		});
		products(g.kr * g.kc, 'T', 'N', g.ic, g.oc, k, v, sv, o, so, at > 0, u, su);
	}
	MV_PARALLEL(size, MV_LANES, 1, taps_back_for(&g)(&g, u, p[2], su, lo, hi));
}
