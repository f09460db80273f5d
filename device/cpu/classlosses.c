// Losses of classifiers. Sums are in double.
#include "elementary.h"
#include "kernels.h"
#include "loops.h"
#include <math.h>

MV_CLONES static double dot(const float *restrict a, const float *restrict b, int64_t k) {
	float acc[16] = {0};
	double sum = 0;
	int64_t i = 0;
	for (; i + 16 <= k; i += 16)
		for (int j = 0; j < 16; j++) acc[j] += a[i + j] * b[i + j];
	for (; i < k; i++) sum += (double)a[i] * b[i];
	for (int j = 0; j < 16; j++) sum += acc[j];
	return sum;
}

MV_CLONES static void axpy(float by, const float *restrict x, float *restrict y, int64_t k) {
	for (int64_t i = 0; i < k; i++) y[i] += by * x[i];
}

MV_CLONES static double soft_rows(const float *x, const float *t, int64_t k, int64_t lo, int64_t hi) {
	double sum = 0;
	for (int64_t r = lo; r < hi; r++) {
		const float *row = x + r * k, *target = t + r * k;
		float m = mv_row_max(row, k), e[256];
		double s = 0;
		for (int64_t i = 0; i < k; i += 256) s += mv_row_exp(row + i, mv_min(256, k - i), m, e);
		double lse = log(s) + m;
		for (int64_t i = 0; i < k; i++) sum += target[i] * (lse - row[i]);
	}
	return sum;
}

// p: logits, target, loss, partial sums. n: rows, classes. f: weight.
MV_LOOP(mv_soft_crossentropy) {
	double *part = p[3], total = 0;
	int64_t rows = n[0], k = n[1];
	MV_SUM(rows, 1, rows * k > MV_SMALL, part, total, soft_rows(p[0], p[1], k, lo, hi));
	*(float *)p[2] = (float)(f[0] * total / rows);
}

// d may be x or t.
static void soft_gradient(const float *x, const float *t, int64_t k, float by, int64_t lo, int64_t hi, float *d) {
	float e[256];
	for (int64_t r = lo; r < hi; r++) {
		const float *row = x + r * k, *target = t + r * k;
		float m = mv_row_max(row, k);
		double s = 0, weight = 0;
		for (int64_t i = 0; i < k; i += 256) s += mv_row_exp(row + i, mv_min(256, k - i), m, e);
		for (int64_t i = 0; i < k; i++) weight += target[i];
		float scale = (float)(weight / s);
		for (int64_t i = 0; i < k; i += 256) {
			int64_t end = mv_min(256, k - i);
			mv_row_exp(row + i, end, m, e);
			for (int64_t j = 0; j < end; j++) d[r * k + i + j] = by * (scale * e[j] - target[i + j]);
		}
	}
}

// p: logits, target, dloss, dlogits. n and f as mv_soft_crossentropy.
MV_LOOP(mv_soft_crossentropy_backward) {
	int64_t rows = n[0], k = n[1];
	float by = (float)(f[0] * *(const float *)p[2] / rows);
	MV_PARALLEL(rows, 1, rows * k > MV_SMALL, soft_gradient(p[0], p[1], k, by, lo, hi, p[3]));
}

static void unit_rows(const float *x, int64_t dim, int64_t lo, int64_t hi, float *unit, float *length) {
	for (int64_t r = lo; r < hi; r++) {
		double s = 0;
		for (int64_t i = r * dim; i < (r + 1) * dim; i++) s += (double)x[i] * x[i];
		float l = (float)sqrt(s);
		length[r] = l < 1e-12f ? 1e-12f : l;
		for (int64_t i = r * dim; i < (r + 1) * dim; i++) unit[i] = x[i] / length[r];
	}
}

// Rows of z become z_ij, then with each loss known exp(z_ij − lse_i) − [positive]/|P_i|:
// the gradient by z. The sum of the losses is returned.
static double supcon_rows(const float *unit, const int32_t *label, int64_t rows, int64_t dim, float by, int64_t lo, int64_t hi, float *z) {
	double sum = 0;
	for (int64_t i = lo; i < hi; i++) {
		float *g = z + i * rows, top = -INFINITY;
		int64_t positives = 0;
		double all = 0, hits = 0;
		for (int64_t j = 0; j < rows; j++) {
			g[j] = by * (float)dot(unit + i * dim, unit + j * dim, dim);
			if (j == i) continue;
			top = g[j] > top || g[j] != g[j] ? g[j] : top;
			positives += label[j] == label[i];
		}
		if (positives == 0) {
			memset(g, 0, rows * sizeof *g);
			continue;
		}
		for (int64_t j = 0; j < rows; j++)
			if (j != i && label[j] == label[i]) hits += g[j];
		g[i] = -INFINITY;
		all = mv_row_exp(g, rows, top, g);
		sum += log(all) + top - hits / positives;
		float scale = (float)(1 / all), share = 1.f / positives;
		for (int64_t j = 0; j < rows; j++) g[j] = g[j] * scale - (label[j] == label[i] ? share : 0);
		g[i] = 0;
	}
	return sum;
}

// p: x, labels, loss, unit rows, lengths, z, partial sums. n: rows, dim. f: temperature, weight.
MV_LOOP(mv_supcon) {
	int64_t rows = n[0], dim = n[1];
	double *part = p[6], total = 0;
	int big = rows * rows * dim > MV_SMALL;
	MV_PARALLEL(rows, 1, big, unit_rows(p[0], dim, lo, hi, p[3], p[4]));
	MV_SUM(rows, 1, big, part, total, supcon_rows(p[3], p[1], rows, dim, (float)(1 / f[0]), lo, hi, p[5]));
	*(float *)p[2] = (float)(f[1] * total / rows);
}

static void supcon_gradient(const float *unit, const float *length, const float *g, int64_t rows, int64_t dim, float by, int64_t lo, int64_t hi, float *dx) {
	for (int64_t i = lo; i < hi; i++) {
		float *d = dx + i * dim;
		memset(d, 0, dim * sizeof *d);
		for (int64_t j = 0; j < rows; j++) axpy(by * (g[i * rows + j] + g[j * rows + i]), unit + j * dim, d, dim);
		float along = (float)dot(unit + i * dim, d, dim);
		for (int64_t k = 0; k < dim; k++) d[k] = (d[k] - unit[i * dim + k] * along) / length[i];
	}
}

// p: x, labels, dloss, dx, unit rows, lengths, z, partial sums. n and f as mv_supcon.
MV_LOOP(mv_supcon_backward) {
	int64_t rows = n[0], dim = n[1];
	double *part = p[7], total = 0;
	int big = rows * rows * dim > MV_SMALL;
	MV_PARALLEL(rows, 1, big, unit_rows(p[0], dim, lo, hi, p[4], p[5]));
	MV_SUM(rows, 1, big, part, total, supcon_rows(p[4], p[1], rows, dim, (float)(1 / f[0]), lo, hi, p[6]));
	float by = (float)(f[1] / f[0] * *(const float *)p[2] / rows);
	MV_PARALLEL(rows, 1, big, supcon_gradient(p[4], p[5], p[6], rows, dim, by, lo, hi, p[3]));
	(void)total;
}

// moments writes means and standard deviations over the cells of images [lo,hi).
MV_CLONES static void moments(const float *restrict x, int64_t cells, int64_t c, int64_t lo, int64_t hi, float *restrict mean, float *restrict std) {
	for (int64_t i = lo; i < hi; i++) {
		float *m = mean + i * c, *s = std + i * c;
		const float *v = x + i * cells * c;
		memset(m, 0, c * sizeof *m);
		for (int64_t q = 0; q < cells; q++)
			for (int64_t k = 0; k < c; k++) m[k] += v[q * c + k];
		for (int64_t k = 0; k < c; k++) m[k] /= cells;
		if (cells == 1) {
			memcpy(s, m, c * sizeof *s);
			continue;
		}
		memset(s, 0, c * sizeof *s);
		for (int64_t q = 0; q < cells; q++)
			for (int64_t k = 0; k < c; k++) s[k] += (v[q * c + k] - m[k]) * (v[q * c + k] - m[k]);
		for (int64_t k = 0; k < c; k++) s[k] = sqrtf(s[k] / (cells - 1));
	}
}

// centred writes the centred deviations, divided by their length + ε.
static void centred(const float *std, int64_t c, double eps, int64_t lo, int64_t hi, float *unit, float *length) {
	for (int64_t i = lo; i < hi; i++) {
		double total = 0, square = 0;
		for (int64_t k = 0; k < c; k++) total += std[i * c + k];
		for (int64_t k = 0; k < c; k++) {
			double d = std[i * c + k] - total / c;
			square += d * d;
		}
		length[i] = (float)sqrt(square);
		for (int64_t k = 0; k < c; k++) unit[i * c + k] = (float)((std[i * c + k] - total / c) / (sqrt(square) + eps));
	}
}

static double similarity_rows(const float *unit, const int32_t *label, int64_t images, int64_t c, double same, double other, int64_t lo, int64_t hi) {
	double sum = 0;
	for (int64_t i = lo; i < hi; i++)
		for (int64_t j = 0; j < images; j++) {
			double d = dot(unit + i * c, unit + j * c, c) - (label[i] == label[j] ? same : other);
			sum += d * d;
		}
	return sum;
}

// p: x, labels, loss, means, deviations, units, lengths, partial sums. n: images,
// cells, channels. f: weight, ε, cosine of equal labels, of different ones.
MV_LOOP(mv_similarity) {
	int64_t images = n[0], cells = n[1], c = n[2];
	double *part = p[7], total = 0;
	int big = images * (images + cells) * c > MV_SMALL;
	MV_PARALLEL(images, 1, big, moments(p[0], cells, c, lo, hi, p[3], p[4]); centred(p[4], c, f[1], lo, hi, p[5], p[6]));
	MV_SUM(images, 1, big, part, total, similarity_rows(p[5], p[1], images, c, f[2], f[3], lo, hi));
	*(float *)p[2] = (float)(f[0] * total / images / images);
}

static void similarity_gradient(void *const *p, int64_t images, int64_t cells, int64_t c, const double *f, int64_t lo, int64_t hi) {
	const float *x = p[0], *mean = p[4], *std = p[5], *unit = p[6], *length = p[7];
	const int32_t *label = p[1];
	double by = f[0] * *(const float *)p[2] * 4 / images / images;
	for (int64_t i = lo; i < hi; i++) {
		float *d = (float *)p[8] + i * c, *dx = (float *)p[3] + i * cells * c;
		memset(d, 0, c * sizeof *d);
		for (int64_t j = 0; j < images; j++) {
			double off = dot(unit + i * c, unit + j * c, c) - (label[i] == label[j] ? f[2] : f[3]);
			axpy((float)(by * off), unit + j * c, d, c);
		}
		double along = dot(unit + i * c, d, c), mid = 0, l = length[i];
		for (int64_t k = 0; k < c; k++) {
			d[k] = (float)(d[k] / (l + f[1]) - (l > 0 ? unit[i * c + k] * along / l : 0));
			mid += d[k];
		}
		for (int64_t k = 0; k < c; k++) {
			d[k] -= (float)(mid / c);
			if (cells > 1) d[k] = std[i * c + k] == 0 ? 0 : d[k] / ((cells - 1) * std[i * c + k]);
		}
		for (int64_t q = 0; q < cells; q++)
			for (int64_t k = 0; k < c; k++)
				dx[q * c + k] = cells > 1 ? d[k] * (x[(i * cells + q) * c + k] - mean[i * c + k]) : d[k];
	}
}

// p: x, labels, dloss, dx, means, deviations, units, lengths, gradients. n and f as
// mv_similarity.
MV_LOOP(mv_similarity_backward) {
	int64_t images = n[0], cells = n[1], c = n[2];
	int big = images * (images + cells) * c > MV_SMALL;
	MV_PARALLEL(images, 1, big, moments(p[0], cells, c, lo, hi, p[4], p[5]); centred(p[5], c, f[1], lo, hi, p[6], p[7]));
	MV_PARALLEL(images, 1, big, similarity_gradient(p, images, cells, c, f, lo, hi));
}
