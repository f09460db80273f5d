// Cross-entropy of bilinearly interpolated logits (device.PixelCrossEntropy). The
// two source rows that an output row lies between are widened first, each once; the
// output row is then blended from them in blocks of pixels, class by class, so that
// scores stay in the nearest cache and all loops run over pixels. Forward and
// backward make the same blocks with the same functions: which pixels are kept
// depends on the last bit.
#include "elementary.h"
#include "kernels.h"
#include "loops.h"
#include <math.h>

enum { PIXELS = 128 };

typedef struct {
	int64_t n, h, w, c, oh, ow;
	int32_t ignore;
	const float *x;
	const int32_t *label;
	const int32_t *yi, *xi[2]; // rows as resize.c's, columns left and right apart
	const float *yw, *xw[2];
} map;

// work is a thread's own memory: two source rows, widened, and two rows of gradient,
// all [c][ow]; a block's scores [c][PIXELS].
typedef struct {
	float *source[2], *score, *grad[2];
	int64_t held[2], open[2]; // rows, counted over all images; -1 for none
} work;

static int64_t pixel_floats(int64_t c, int64_t ow) { return (c * (PIXELS + 4 * ow) + 15) / 16 * 16; }

// mv_pixel_scratch is the bytes that each thread needs.
int64_t mv_pixel_scratch(int64_t c, int64_t ow) { return 4 * pixel_floats(c, ow); }

static work work_of(map m, float *scratch) {
	float *s = scratch + omp_get_thread_num() * pixel_floats(m.c, m.ow);
	int64_t row = m.c * m.ow;
	return (work){{s, s + row}, s + 4 * row, {s + 2 * row, s + 3 * row}, {-1, -1}, {-1, -1}};
}

static map map_of(void **p, const int64_t *n, void **taps) {
	return (map){n[0], n[1], n[2], n[3], n[4], n[5], (int32_t)n[6], p[0], p[1],
		taps[0], {taps[2], taps[3]}, taps[1], {taps[4], taps[5]}};
}

MV_CLONES static void widen(map m, const float *restrict x, float *restrict y) {
	for (int64_t c = 0; c < m.c; c++)
		for (int64_t j = 0; j < m.ow; j++)
			y[c * m.ow + j] = m.xw[0][j] * x[m.xi[0][j] * m.c + c] + m.xw[1][j] * x[m.xi[1][j] * m.c + c];
}

// source returns a row of logits, counted over all images, widened to [c][ow].
static const float *source(map m, work *k, int64_t row) {
	int slot = row & 1;
	if (k->held[slot] != row) {
		widen(m, m.x + row * m.w * m.c, k->source[slot]);
		k->held[slot] = row;
	}
	return k->source[slot];
}

// block is what is known of some pixels: the sum of e^(score − top) and the
// pixel's own score − top.
typedef struct { float sum[PIXELS], own[PIXELS], loss[PIXELS]; } block;

// between are the widened source rows above and below an output row and their
// weights.
typedef struct { const float *row[2]; float weight[2]; } between;

// scores writes e^(score − top) of pixels [at,at+n) of an output row.
MV_CLONES static void scores(map m, between r, const int32_t *restrict label, int64_t at, int64_t n, float *restrict score, block *restrict b) {
	float top[PIXELS], wa = r.weight[0], wb = r.weight[1];
	for (int64_t j = 0; j < n; j++) top[j] = -INFINITY;
	for (int64_t c = 0; c < m.c; c++) {
		const float *restrict above = r.row[0] + c * m.ow + at, *restrict below = r.row[1] + c * m.ow + at;
		float *restrict s = score + c * PIXELS;
		for (int64_t j = 0; j < n; j++) {
			float v = wa * above[j] + wb * below[j];
			s[j] = v;
			top[j] = v > top[j] ? v : top[j];
		}
	}
	for (int64_t j = 0; j < n; j++) {
		int32_t k = label[j] >= 0 && label[j] < m.c ? label[j] : 0;
		b->own[j] = score[k * PIXELS + j] - top[j];
		b->sum[j] = 0;
	}
	for (int64_t c = 0; c < m.c; c++) {
		float *restrict s = score + c * PIXELS;
		for (int64_t j = 0; j < n; j++) {
			s[j] = exp_neg(s[j] - top[j]);
			b->sum[j] += s[j];
		}
	}
}

// losses writes −log probability, -1 for ignored pixels and NaN for labels that
// are no class: the caller's fault must not pass for a number.
MV_CLONES static void losses(const int32_t *restrict label, int64_t n, int32_t classes, int32_t ignore, block *restrict b) {
	for (int64_t j = 0; j < n; j++) {
		float l = log_finite(b->sum[j]) - b->own[j];
		l = l < 0 ? 0 : l;
		l = label[j] < 0 || label[j] >= classes ? NAN : l;
		b->loss[j] = label[j] == ignore ? -1 : l;
	}
}

// prepare widens what output row o, counted over all images, lies between.
static between prepare(map m, work *k, int64_t o) {
	int64_t img = o / m.oh * m.h, i = o % m.oh;
	const float *above = source(m, k, img + m.yi[2 * i]), *below = source(m, k, img + m.yi[2 * i + 1]);
	return (between){{above, below}, {m.yw[2 * i], m.yw[2 * i + 1]}};
}

// forward_rows sums the losses of output rows [lo,hi) and counts the pixels, or
// with all only stores the losses there.
static double forward_rows(map m, float *scratch, int64_t lo, int64_t hi, double *counted, float *all) {
	work k = work_of(m, scratch);
	double sum = 0, count = 0;
	block b;
	for (int64_t o = lo; o < hi; o++) {
		between rows = prepare(m, &k, o);
		for (int64_t at = 0; at < m.ow; at += PIXELS) {
			int64_t n = mv_min(PIXELS, m.ow - at);
			const int32_t *label = m.label + o * m.ow + at;
			scores(m, rows, label, at, n, k.score, &b);
			losses(label, n, (int32_t)m.c, m.ignore, &b);
			if (all) {
				memcpy(all + o * m.ow + at, b.loss, n * sizeof *all);
				continue;
			}
			for (int64_t j = 0; j < n; j++)
				if (label[j] != m.ignore) {
					sum += b.loss[j];
					count++;
				}
		}
	}
	*counted = count;
	return sum;
}

// kth_largest returns the k-th largest of those of v that are not negative (there
// are at least k), by counting: such floats are ordered as their bits are.
static float kth_largest(const float *v, int64_t size, int64_t k) {
	enum { BITS = 11, BINS = 1 << BITS };
	uint32_t known = 0, mask = 0;
	for (int shift = 32 - BITS; mask != 0xFFFFFFFF; shift = shift > BITS ? shift - BITS : 0) {
		int64_t count[BINS] = {0};
		uint32_t low = shift == 0 && mask ? ~mask : BINS - 1; // the last bits are fewer
		for (int64_t i = 0; i < size; i++) {
			union { float f; uint32_t u; } b = {v[i]};
			if (b.f < 0 || (b.u & mask) != known) continue;
			count[b.u >> shift & low]++;
		}
		int64_t bin = low < BINS ? low : BINS - 1;
		while (count[bin] < k) k -= count[bin--];
		known |= (uint32_t)bin << shift;
		mask |= low << shift;
	}
	union { uint32_t u; float f; } b = {known};
	return b.f;
}

// p: logits, labels, loss, state, partial sums (2 for each thread), threads'
// memory, losses of all pixels (when mined), taps as map_of reads them. n: N, H, W,
// C, OH, OW, ignored label, threads, mined, least number kept. f: weight, the
// threshold as a loss.
MV_LOOP(mv_pixel_loss) {
	map m = map_of(p, n, p + 7);
	double *part = p[4], *count = part + n[7], total = 0, counted = 0;
	float limit = -1, *all = n[8] ? p[6] : NULL;
	int64_t rows = m.n * m.oh, size = rows * m.ow;
	int big = size * m.c > MV_SMALL;
	MV_SUM(rows, 1, big, part, total, forward_rows(m, p[5], lo, hi, &count[omp_get_thread_num()], all));
	if (all) {
		int64_t valid = 0;
		for (int64_t i = 0; i < size; i++) valid += m.label[i] != m.ignore;
		if (n[9] < valid) {
			limit = (float)f[1];
			if (n[9] > 0) {
				float k = kth_largest(all, size, n[9]);
				limit = k < limit ? k : limit;
			}
		}
		for (int64_t i = 0; i < size; i++) {
			int keep = m.label[i] != m.ignore && !(all[i] < limit);
			total += keep ? all[i] : 0;
			counted += keep;
		}
	} else {
		int teams = big ? (int)n[7] : 1;
		for (int t = 0; t < teams; t++) counted += count[t];
	}
	double factor = counted > 0 ? f[0] / counted : 0;
	float *state = p[3];
	*(float *)p[2] = (float)(factor * total);
	state[0] = (float)factor;
	state[1] = limit;
}

// gradient turns a block's e^(score − top) into the gradient of the scores.
MV_CLONES static void gradient(const int32_t *restrict label, int64_t n, int64_t classes, float by, float limit, float *restrict score, const block *restrict b) {
	float factor[PIXELS], hit[PIXELS];
	for (int64_t j = 0; j < n; j++) {
		float keep = b->loss[j] < limit || b->loss[j] == -1 ? 0 : by;
		hit[j] = b->loss[j] != b->loss[j] ? NAN : keep;
		factor[j] = hit[j] / b->sum[j];
	}
	for (int64_t c = 0; c < classes; c++) {
		float *restrict s = score + c * PIXELS;
		for (int64_t j = 0; j < n; j++) s[j] = s[j] * factor[j] - (label[j] == c ? hit[j] : 0);
	}
}

MV_CLONES static void add_block(const float *restrict score, int64_t classes, int64_t n, int64_t stride, float by, float *restrict sum) {
	for (int64_t c = 0; c < classes; c++)
		for (int64_t j = 0; j < n; j++) sum[c * stride + j] += by * score[c * PIXELS + j];
}

// readers lists for each source column the output columns that read it, as
// resize.c's.
typedef struct { const int32_t *start, *index; const float *weight; } readers;

// finish gathers an open row of gradient [c][ow] into its row of dx.
static void finish(map m, work *k, int slot, readers r, float *dx) {
	float *d = dx + k->open[slot] * m.w * m.c;
	const float *g = k->grad[slot];
	for (int64_t c = 0; c < m.c; c++, g += m.ow)
		for (int64_t q = 0; q < m.w; q++) {
			float s = 0;
			for (int32_t e = r.start[q]; e < r.start[q + 1]; e++) s += r.weight[e] * g[r.index[e]];
			d[q * m.c + c] = s;
		}
}

// opened returns the row of gradient of a source row. Rows come in order and at
// most two neighbours are open, so another row in its place is complete.
static float *opened(map m, work *k, int64_t row, readers r, float *dx) {
	int slot = row & 1;
	if (k->open[slot] != row) {
		if (k->open[slot] >= 0) finish(m, k, slot, r, dx);
		memset(k->grad[slot], 0, m.c * m.ow * sizeof(float));
		k->open[slot] = row;
	}
	return k->grad[slot];
}

// backward_rows makes source rows [lo,hi) of dx from all output rows that read
// them: rows between two threads' parts are computed by both, none is shared.
static void backward_rows(map m, float *scratch, readers r, float by, float limit, int64_t lo, int64_t hi, float *dx) {
	work k = work_of(m, scratch);
	block b;
	memset(dx + lo * m.w * m.c, 0, (hi - lo) * m.w * m.c * sizeof *dx);
	for (int64_t o = lo / m.h * m.oh; o < m.n * m.oh; o++) {
		int64_t img = o / m.oh * m.h, i = o % m.oh;
		int64_t at[2] = {img + m.yi[2 * i], img + m.yi[2 * i + 1]};
		if (at[1] < lo) continue;
		if (at[0] >= hi) break;
		between rows = prepare(m, &k, o);
		float *sum[2] = {NULL, NULL};
		for (int s = 0; s < 2; s++)
			if (at[s] >= lo && at[s] < hi) sum[s] = opened(m, &k, at[s], r, dx);
		for (int64_t from = 0; from < m.ow; from += PIXELS) {
			int64_t n = mv_min(PIXELS, m.ow - from);
			const int32_t *label = m.label + o * m.ow + from;
			scores(m, rows, label, from, n, k.score, &b);
			losses(label, n, (int32_t)m.c, m.ignore, &b);
			gradient(label, n, m.c, by, limit, k.score, &b);
			for (int s = 0; s < 2; s++)
				if (sum[s]) add_block(k.score, m.c, n, m.ow, rows.weight[s], sum[s] + from);
		}
	}
	for (int slot = 0; slot < 2; slot++)
		if (k.open[slot] >= 0) finish(m, &k, slot, r, dx);
}

// p: logits, labels, state, dloss, dlogits, threads' memory, taps as map_of reads
// them, starts, outputs and weights of the columns' readers. n: N, H, W, C, OH, OW,
// ignored label.
MV_LOOP(mv_pixel_loss_backward) {
	(void)f;
	map m = map_of(p, n, p + 6);
	const float *state = p[2];
	float by = state[0] * *(const float *)p[3];
	readers r = {p[12], p[13], p[14]};
	MV_PARALLEL(m.n * m.h, 1, m.n * m.oh * m.ow * m.c > MV_SMALL, backward_rows(m, p[5], r, by, state[1], lo, hi, p[4]));
}
