// Losses. Sums are in double, a partial for each thread, added in order.
#include "elementary.h"
#include "kernels.h"
#include "loops.h"
#include <math.h>

enum { BACKGROUND = -1, IGNORE = -2 };

typedef struct {
	const float *x;
	const int32_t *label;
	int64_t classes;
	float alpha, gamma;
} focal;

enum { BLOCK = 1024 };

// targets writes, for rows of one block, the sign that turns a logit into the
// logit of the wrong answer and the weight α_t (0 for ignored rows).
static void targets(focal f, int64_t lo, int64_t hi, float *sign, float *weight) {
	for (int64_t i = lo; i < hi;) {
		int64_t row = i / f.classes, end = mv_min(hi, (row + 1) * f.classes);
		int32_t label = f.label[row];
		float w = label == IGNORE ? 0 : 1 - f.alpha;
		for (int64_t j = i; j < end; j++) sign[j - lo] = 1;
		for (int64_t j = i; j < end; j++) weight[j - lo] = w;
		if (label >= 0) {
			int64_t hit = row * f.classes + label;
			if (hit >= i && hit < end) {
				sign[hit - lo] = -1;
				weight[hit - lo] = f.alpha;
			}
		}
		i = end;
	}
}

// With z the logit of the wrong answer and q = σ(z) = 1−p_t, an element's loss is
// α_t·q^γ·log(1+e^z).
MV_CLONES static double focal_block(const float *restrict x, const float *restrict sign, const float *restrict weight, int64_t k, float gamma) {
	double acc[16] = {0}, sum = 0;
	float v[BLOCK];
	if (gamma == 2) {
		for (int64_t i = 0; i < k; i++) {
			float z = x[i] * sign[i], e = exp_neg(-fabsf(z));
			float q = (z < 0 ? e : 1) / (1 + e), sp = (z > 0 ? z : 0) + log1p_unit(e);
			v[i] = weight[i] == 0 ? 0 : weight[i] * q * q * sp;
		}
	} else {
		for (int64_t i = 0; i < k; i++) {
			float z = x[i] * sign[i], e = exp_neg(-fabsf(z)), l = log1p_unit(e);
			float lq = (z < 0 ? z : 0) - l, sp = (z > 0 ? z : 0) + l;
			v[i] = weight[i] == 0 ? 0 : weight[i] * exp_neg(gamma * lq) * sp;
		}
	}
	int64_t i = 0;
	for (; i + 16 <= k; i += 16)
		for (int j = 0; j < 16; j++) acc[j] += v[i + j];
	for (; i < k; i++) acc[0] += v[i];
	for (int j = 0; j < 16; j++) sum += acc[j];
	return sum;
}

MV_CLONES static void focal_gradient(const float *x, const float *restrict sign, const float *restrict weight, int64_t k, float gamma, float by, float *dx) {
#pragma GCC ivdep
	for (int64_t i = 0; i < k; i++) {
		float z = x[i] * sign[i], e = exp_neg(-fabsf(z)), l = log1p_unit(e);
		float r = 1 / (1 + e), q = (z < 0 ? e : 1) * r, sp = (z > 0 ? z : 0) + l;
		float p = (z < 0 ? 1 : e) * r, lq = (z < 0 ? z : 0) - l;
		float power = gamma == 2 ? q * q : exp_neg(gamma * lq);
		float d = by * sign[i] * weight[i] * power * (gamma * p * sp + q);
		dx[i] = weight[i] == 0 ? 0 : d;
	}
}

static double focal_range(focal f, int64_t lo, int64_t hi) {
	float sign[BLOCK], weight[BLOCK];
	double sum = 0;
	for (int64_t i = lo; i < hi; i += BLOCK) {
		int64_t end = mv_min(hi, i + BLOCK);
		targets(f, i, end, sign, weight);
		sum += focal_block(f.x + i, sign, weight, end - i, f.gamma);
	}
	return sum;
}

static void focal_gradient_range(focal f, float by, int64_t lo, int64_t hi, float *dx) {
	float sign[BLOCK], weight[BLOCK];
	for (int64_t i = lo; i < hi; i += BLOCK) {
		int64_t end = mv_min(hi, i + BLOCK);
		targets(f, i, end, sign, weight);
		focal_gradient(f.x + i, sign, weight, end - i, f.gamma, by, dx + i);
	}
}

// p: logits, labels, norm, loss, partial sums. n: rows, classes. f: α, γ.
MV_LOOP(mv_focal) {
	focal v = {p[0], p[1], n[1], (float)f[0], (float)f[1]};
	double *part = p[4], total = 0;
	int64_t size = n[0] * n[1];
	MV_SUM(size, 64, size > MV_SMALL, part, total, focal_range(v, lo, hi));
	*(float *)p[3] = (float)(total / *(const float *)p[2]);
}

// p: logits, labels, norm, dloss, dlogits. n and f as mv_focal.
MV_LOOP(mv_focal_backward) {
	focal v = {p[0], p[1], n[1], (float)f[0], (float)f[1]};
	int64_t size = n[0] * n[1];
	float by = *(const float *)p[3] / *(const float *)p[2];
	MV_PARALLEL(size, 64, size > MV_SMALL, focal_gradient_range(v, by, lo, hi, p[4]));
}

static double smoothl1_rows(const float *x, const float *t, const int32_t *label, int64_t dim, double beta, int64_t lo, int64_t hi) {
	double sum = 0;
	for (int64_t r = lo; r < hi; r++) {
		if (label[r] < 0) continue;
		for (int64_t i = r * dim; i < (r + 1) * dim; i++) {
			double d = fabs((double)x[i] - t[i]);
			sum += d < beta ? d * d / (2 * beta) : d - beta / 2;
		}
	}
	return sum;
}

// p: pred, target, labels, norm, loss, partial sums. n: rows, dim. f: β.
MV_LOOP(mv_smoothl1) {
	double *part = p[5], total = 0, beta = f[0];
	int64_t rows = n[0], dim = n[1];
	MV_SUM(rows, 16, rows > MV_SMALL, part, total, smoothl1_rows(p[0], p[1], p[2], dim, beta, lo, hi));
	*(float *)p[4] = (float)(total / *(const float *)p[3]);
}

static void smoothl1_gradient(const float *x, const float *t, const int32_t *label, int64_t dim, float beta, float by, int64_t lo, int64_t hi, float *dx) {
	for (int64_t r = lo; r < hi; r++) {
		if (label[r] < 0) {
			memset(dx + r * dim, 0, dim * sizeof *dx);
			continue;
		}
		for (int64_t i = r * dim; i < (r + 1) * dim; i++) {
			float d = x[i] - t[i], a = fabsf(d);
			dx[i] = by * (a < beta ? d / beta : (float)((d > 0) - (d < 0)) + (d != d ? d : 0));
		}
	}
}

// p: pred, target, labels, norm, dloss, dpred. n: rows, dim. f: β.
MV_LOOP(mv_smoothl1_backward) {
	float by = *(const float *)p[4] / *(const float *)p[3], beta = (float)f[0];
	int64_t rows = n[0], dim = n[1];
	MV_PARALLEL(rows, 16, rows > MV_SMALL, smoothl1_gradient(p[0], p[1], p[2], dim, beta, by, lo, hi, p[5]));
}

MV_CLONES float mv_row_max(const float *restrict x, int64_t k) {
	float m = x[0];
	for (int64_t i = 1; i < k; i++) m = x[i] > m ? x[i] : m;
	return m;
}

MV_CLONES double mv_row_exp(const float *x, int64_t k, float m, float *e) {
	double acc[8] = {0}, sum = 0;
#pragma GCC ivdep
	for (int64_t i = 0; i < k; i++) e[i] = exp_neg(x[i] - m);
	int64_t i = 0;
	for (; i + 8 <= k; i += 8)
		for (int j = 0; j < 8; j++) acc[j] += e[i + j];
	for (; i < k; i++) acc[0] += e[i];
	for (int j = 0; j < 8; j++) sum += acc[j];
	return sum;
}

static double crossentropy_rows(const float *x, const int32_t *label, int64_t k, int32_t ignore, int64_t lo, int64_t hi, double *counted) {
	double sum = 0, count = 0;
	float e[BLOCK];
	for (int64_t r = lo; r < hi; r++) {
		if (label[r] == ignore) continue;
		if (label[r] < 0 || label[r] >= k) {
			sum = NAN; // no class: the caller's fault must not pass for a number
			continue;
		}
		const float *row = x + r * k;
		float m = mv_row_max(row, k);
		double s = 0;
		for (int64_t i = 0; i < k; i += BLOCK) s += mv_row_exp(row + i, mv_min(BLOCK, k - i), m, e);
		sum += log(s) + m - row[label[r]];
		count++;
	}
	*counted = count;
	return sum;
}

// p: logits, labels, loss, partial sums (2 for each thread). n: rows, classes,
// ignored label.
MV_LOOP(mv_crossentropy) {
	(void)f;
	double *part = p[3], *count = part + n[3], total = 0, counted = 0;
	int64_t rows = n[0], k = n[1];
	int32_t ignore = (int32_t)n[2];
	MV_SUM(rows, 1, rows * k > MV_SMALL, part, total, crossentropy_rows(p[0], p[1], k, ignore, lo, hi, &count[omp_get_thread_num()]));
	int teams = rows * k > MV_SMALL ? (int)n[3] : 1;
	for (int t = 0; t < teams; t++) counted += count[t];
	*(float *)p[2] = (float)(counted > 0 ? total / counted : total);
}

MV_CLONES static void scale_row(float *restrict y, int64_t k, float by) {
	for (int64_t i = 0; i < k; i++) y[i] *= by;
}

static void crossentropy_gradient(const float *x, const int32_t *label, int64_t k, int32_t ignore, float by, int64_t lo, int64_t hi, float *dx) {
	for (int64_t r = lo; r < hi; r++) {
		float *d = dx + r * k;
		if (label[r] == ignore) {
			memset(d, 0, k * sizeof *d);
			continue;
		}
		double s = mv_row_exp(x + r * k, k, mv_row_max(x + r * k, k), d);
		scale_row(d, k, (float)(by / s));
		if (label[r] >= 0 && label[r] < k)
			d[label[r]] -= by;
		else
			d[0] = NAN;
	}
}

// p: logits, labels, dloss, dlogits. n: rows, classes, ignored label.
MV_LOOP(mv_crossentropy_backward) {
	(void)f;
	const int32_t *label = p[1];
	int64_t rows = n[0], k = n[1], count = 0;
	int32_t ignore = (int32_t)n[2];
	for (int64_t r = 0; r < rows; r++) count += label[r] != ignore;
	float by = count ? *(const float *)p[2] / (float)count : 0;
	MV_PARALLEL(rows, 1, rows * k > MV_SMALL, crossentropy_gradient(p[0], label, k, ignore, by, lo, hi, p[3]));
}

MV_CLONES static double bce_range(const float *restrict z, const float *restrict t, int64_t lo, int64_t hi) {
	double acc[16] = {0}, sum = 0;
	int64_t i = lo;
	for (; i + 16 <= hi; i += 16)
		for (int j = 0; j < 16; j++) {
			float v = z[i + j];
			acc[j] += (v > 0 ? v : 0) - v * t[i + j] + log1p_unit(exp_neg(-fabsf(v)));
		}
	for (; i < hi; i++) acc[0] += (z[i] > 0 ? z[i] : 0) - z[i] * t[i] + log1p_unit(exp_neg(-fabsf(z[i])));
	for (int j = 0; j < 16; j++) sum += acc[j];
	return sum;
}

// p: logits, target, loss, partial sums. n: size. f: weight.
MV_LOOP(mv_sigmoid_bce) {
	double *part = p[3], total = 0;
	MV_SUM(n[0], 16, n[0] > MV_SMALL, part, total, bce_range(p[0], p[1], lo, hi));
	*(float *)p[2] = (float)(f[0] * total / n[0]);
}

MV_CLONES static void bce_gradient(const float *z, const float *t, float by, int64_t lo, int64_t hi, float *dz) {
#pragma GCC ivdep
	for (int64_t i = lo; i < hi; i++) {
		float v = z[i], e = exp_neg(-fabsf(v));
		dz[i] = by * ((v < 0 ? e : 1) / (1 + e) - t[i]);
	}
}

// p: logits, target, dloss, dlogits. n and f as mv_sigmoid_bce.
MV_LOOP(mv_sigmoid_bce_backward) {
	float by = (float)(f[0] * *(const float *)p[2] / n[0]);
	MV_PARALLEL(n[0], 16, n[0] > MV_SMALL, bce_gradient(p[0], p[1], by, lo, hi, p[3]));
}
