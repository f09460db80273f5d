#include "panels.h"
#include "loops.h"

#if defined(__x86_64__)

typedef float vec __attribute__((vector_size(64), aligned(4), may_alias));
typedef int mask __attribute__((vector_size(64), aligned(4), may_alias));

#define MV_ALWAYS static inline __attribute__((always_inline))

enum {
	LANES = 16,
	LINE = 64,        // bytes of a cache line
	HALF = 7,         // pixels that one address leads to
	DEPTH = 128,      // inputs of a part of a panel: 16 KB, a third of the nearest cache
	FETCHED = 4,      // inputs between two fetches
	GROUP = 4,        // blocks that all panels pass before the next
};

// block is up to 14 pixels of a part of a panel.
typedef struct {
	const char *p, *q;        // the first pixel and the eighth
	int64_t pixel;            // bytes from pixel to pixel
	int64_t strips, strip, k; // strip in bytes
	const float *w;
	float *y;
	int64_t row; // floats from output to output
	const float *bias, *add;
	int relu;
	const char *next; // what to fetch, and how many lines every FETCHED inputs
	int64_t fetch;
	const char *soon_y, *soon_add; // outputs of the block after this one, or nil
} block;

#define EACH _Pragma("GCC unroll 14") for (int i = 0; i < rows; i++)

// The input at is, of every pixel, times its 32 weights.
#define INPUT(is) \
	do { \
		vec w0 = *(const vec *)(w + MV_PANEL * (is)), w1 = *(const vec *)(w + MV_PANEL * (is) + LANES); \
		EACH { \
			float x = *(const float *)((i < HALF ? p + off[i] : q + off[i - HALF]) + 4 * (is)); \
			sum[i][0] += x * w0; \
			sum[i][1] += x * w1; \
		} \
	} while (0)

MV_ALWAYS void sums(const block *g, int rows) {
	// Addresses that one register and a scaled second one make.
	const int64_t s = g->pixel, s3 = 3 * s, s5 = 5 * s;
	const int64_t row = 4 * g->row, off[HALF] = {0, s, 2 * s, s3, 4 * s, s5, 2 * s3};
	vec sum[MV_PIXELS][2];
	EACH sum[i][0] = sum[i][1] = (vec){0};
	if (g->bias) {
		vec b0 = *(const vec *)g->bias, b1 = *(const vec *)(g->bias + LANES);
		EACH sum[i][0] = b0, sum[i][1] = b1;
	}
	if (g->add) {
		const float *a = g->add;
		EACH {
			sum[i][0] += *(const vec *)a;
			sum[i][1] += *(const vec *)(a + LANES);
			a += g->row;
		}
	}
	const float *w = g->w;
	const char *next = g->next, *soon_y = g->soon_y, *soon_add = g->soon_add;
	for (int64_t t = 0; t < g->strips; t++) {
		const char *p = g->p + t * g->strip, *q = g->q + t * g->strip;
		int64_t k = g->k;
		for (; k >= FETCHED; k -= FETCHED) {
			for (int64_t i = 0; i < g->fetch; i++, next += LINE) __builtin_prefetch(next, 0, 3);
			if (soon_y) {
				__builtin_prefetch(soon_y, 1, 3);
				__builtin_prefetch(soon_y + LINE, 1, 3);
				soon_y += row;
			}
			if (soon_add) {
				__builtin_prefetch(soon_add, 0, 3);
				__builtin_prefetch(soon_add + LINE, 0, 3);
				soon_add += row;
			}
			INPUT(0);
			INPUT(1);
			INPUT(2);
			INPUT(3);
			p += 4 * FETCHED;
			q += 4 * FETCHED;
			w += FETCHED * MV_PANEL;
		}
		for (; k > 0; k--) {
			INPUT(0);
			p += 4;
			q += 4;
			w += MV_PANEL;
		}
	}
	float *y = g->y;
	EACH {
		vec u = sum[i][0], v = sum[i][1];
		if (g->relu) { // NaN stays
			u = (vec)((mask)u & ~(u < 0));
			v = (vec)((mask)v & ~(v < 0));
		}
		*(vec *)y = u;
		*(vec *)(y + LANES) = v;
		y += g->row;
	}
}

#define SUMS(rows) \
	__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,prfchw"), noinline)) static void sums##rows(const block *g) { sums(g, rows); }
SUMS(1) SUMS(2) SUMS(3) SUMS(4) SUMS(5) SUMS(6) SUMS(7) SUMS(8) SUMS(9) SUMS(10) SUMS(11) SUMS(12) SUMS(13) SUMS(14)

static void (*const sums_of[])(const block *) = {0, sums1, sums2, sums3, sums4, sums5, sums6, sums7, sums8, sums9, sums10, sums11, sums12, sums13, sums14};

int mv_panels_fast(void) {
	return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}

// Lines of seven outputs go two a block, others are cut into equal blocks.
static int64_t cuts(const mv_panels *g) { return (g->wide + MV_PIXELS - 1) / MV_PIXELS; }

int64_t mv_panels_blocks(const mv_panels *g) { return g->wide == HALF ? (g->lines + 1) / 2 : g->lines * cuts(g); }

static const char *first(const mv_panels *g, int64_t line, int64_t col) {
	return (const char *)(g->x + line / g->high * g->image + line % g->high * g->line + col * g->pixel);
}

void mv_panels_part(const mv_panels *g, int64_t panel, int64_t lo, int64_t hi) {
	int64_t channels = g->panels * MV_PANEL, depth = g->strips * g->k;
	// Parts are several whole strips or a part of one.
	int64_t strips = mv_max(1, DEPTH * 5 / 4 / g->k), parts = (g->k + DEPTH - 1) / DEPTH;
	int64_t inputs = strips > 1 ? g->k : ((g->k + parts - 1) / parts + FETCHED - 1) / FETCHED * FETCHED;
	block b = {.pixel = 4 * g->pixel, .strip = 4 * g->strip, .row = channels};
	for (int64_t t = 0; t < g->strips; t += strips)
		for (int64_t k = 0; k < g->k; k += inputs) {
			int64_t at = t * g->k + k, start = 4 * (t * g->strip + k);
			b.strips = mv_min(strips, g->strips - t);
			b.k = mv_min(inputs, g->k - k);
			b.w = g->w + (panel * depth + at) * MV_PANEL;
			int64_t lines = b.strips * b.k * MV_PANEL * 4 / LINE; // of the next part, evenly over the blocks
			int64_t steps = mv_max(1, b.strips * (b.k / FETCHED));
			b.fetch = (lines + (hi - lo) * steps - 1) / ((hi - lo) * steps);
			b.next = (const char *)(b.w + b.strips * b.k * MV_PANEL);
			const char *end = b.next + lines * LINE;
			int last = at + b.strips * b.k == depth;
			b.bias = at || !g->bias ? 0 : g->bias + panel * MV_PANEL;
			b.relu = last && g->relu;
			for (int64_t i = lo; i < hi; i++) {
				int64_t from, rows;
				if (g->wide == HALF) {
					from = 2 * i * HALF;
					rows = mv_min(2, g->lines - 2 * i) * HALF;
					b.p = first(g, 2 * i, 0) + start;
					b.q = rows > HALF ? first(g, 2 * i + 1, 0) + start : b.p;
				} else {
					int64_t n = cuts(g), line = i / n, col = g->wide * (i % n) / n;
					from = line * g->wide + col;
					rows = g->wide * (i % n + 1) / n - col;
					b.p = first(g, line, col) + start;
					b.q = b.p + HALF * b.pixel;
				}
				b.y = g->y + from * channels + panel * MV_PANEL;
				b.add = at ? b.y : g->add ? g->add + from * channels + panel * MV_PANEL : 0;
				// Outputs are far apart and seldom cached when first written.
				int soon = !at && i + 1 < hi;
				b.soon_y = soon ? (const char *)(b.y + rows * channels) : 0;
				b.soon_add = soon && g->add ? (const char *)(b.add + rows * channels) : 0;
				sums_of[rows](&b);
				b.next += steps * b.fetch * LINE;
				if (b.next >= end) b.fetch = 0;
			}
		}
}

void mv_panels_span(const mv_panels *g, int64_t group, int64_t lo, int64_t hi) {
	int64_t blocks = mv_panels_blocks(g);
	while (lo < hi) {
		int64_t start = lo / (group * g->panels) * group, size = mv_min(group, blocks - start);
		int64_t in = lo - start * g->panels, from = in % size, to = mv_min(size, from + hi - lo);
		mv_panels_part(g, in / size, start + from, start + to);
		lo += to - from;
	}
}

#else

int mv_panels_fast(void) { return 0; }
int64_t mv_panels_blocks(const mv_panels *g) { return 0; }
void mv_panels_part(const mv_panels *g, int64_t panel, int64_t lo, int64_t hi) {}
void mv_panels_span(const mv_panels *g, int64_t group, int64_t lo, int64_t hi) {}

#endif

// x [n,h,w,c] -> [n,h+2ph,w+2pw,c] with a border of zeros. p: x, y. n: n, h, w, c, ph, pw.
MV_LOOP(mv_border) {
	(void)f;
	int64_t h = n[1], row = n[2] * n[3], ph = n[4], side = n[5] * n[3], high = h + 2 * ph, wide = row + 2 * side;
	MV_PARALLEL(n[0] * high, 1, 1, {
		for (int64_t i = lo; i < hi; i++) {
			float *y = (float *)p[1] + i * wide;
			int64_t at = i % high - ph;
			if (at < 0 || at >= h) {
				memset(y, 0, 4 * wide);
				continue;
			}
			memset(y, 0, 4 * side);
			memcpy(y + side, (const float *)p[0] + (i / high * h + at) * row, 4 * row);
			memset(y + side + row, 0, 4 * side);
		}
	});
}

// A convolution whose filter lies in panels. p: x with its border, filter, bias or
// zeros, what is added or y, y. n: images, height and width of x, IC, OH, OW, OC, KH, KW,
// SH, SW, whether anything is added, relu. A 1x1 convolution of stride 1 is one line.
MV_LOOP(mv_conv_panels) {
	(void)f;
	int64_t c = n[3];
	mv_panels g = {.x = p[0], .lines = n[0] * n[4], .high = n[4], .wide = n[5], .image = n[1] * n[2] * c, .line = n[9] * n[2] * c, .pixel = n[10] * c,
		.strips = n[7], .strip = n[2] * c, .k = n[8] * c, .w = p[1], .panels = n[6] / MV_PANEL, .y = p[4], .bias = p[2], .add = n[11] ? p[3] : 0, .relu = n[12]};
	int64_t blocks = mv_panels_blocks(&g), group = blocks;
	// Each thread takes panels of its own where filters are larger than maps, so that a
	// filter is read by one core only; else blocks of its own, a group of them at a time
	// that stays in its cache while all panels pass.
	if (g.lines * g.wide > n[6]) group = GROUP;
	int64_t units = blocks * g.panels;
#pragma omp parallel
	{
		int64_t lo, hi;
		mv_span(units, 1, &lo, &hi);
		mv_panels_span(&g, group, lo, hi);
	}
}
