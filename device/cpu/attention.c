// Self-attention. A thread takes an image and a head and goes through its queries a
// few rows at a time: the rows' weights stay in the cache, and the gradient computes
// them again instead of reading them from memory.
#include "elementary.h"
#include "kernels.h"

static int64_t table(int64_t t, int64_t rows) { return (t * rows + 15) / 16 * 16; }

// mv_attention_scratch is a thread's memory in bytes.
int64_t mv_attention_scratch(int64_t t, int64_t rows, int64_t tables) { return 4 * tables * table(t, rows); }

MV_CLONES static float maximum(const float *x, int64_t n) {
	float m[16];
	for (int j = 0; j < 16; j++) m[j] = x[0];
	int64_t i = 0;
	for (; i + 16 <= n; i += 16)
		for (int j = 0; j < 16; j++) m[j] = x[i + j] > m[j] ? x[i + j] : m[j];
	float best = m[0];
	for (int j = 1; j < 16; j++) best = m[j] > best ? m[j] : best;
	for (; i < n; i++) best = x[i] > best ? x[i] : best;
	return best;
}

// exponentials writes exp(scale·(x−max)) and returns the sum.
MV_CLONES static float exponentials(float *x, int64_t n, float scale, float max) {
	float s[16] = {0}, sum = 0;
	int64_t i = 0;
	for (; i + 16 <= n; i += 16)
#pragma GCC ivdep
		for (int j = 0; j < 16; j++) {
			float e = exp_neg(scale * (x[i + j] - max));
			x[i + j] = e;
			s[j] += e;
		}
	for (; i < n; i++) sum += x[i] = exp_neg(scale * (x[i] - max));
	for (int j = 0; j < 16; j++) sum += s[j];
	return sum;
}

MV_CLONES static void times(float *x, int64_t n, float k) {
	for (int64_t i = 0; i < n; i++) x[i] *= k;
}

static void softmax(float *x, int64_t rows, int64_t t, float scale) {
	for (int64_t r = 0; r < rows; r++, x += t) times(x, t, 1 / exponentials(x, t, scale, maximum(x, t)));
}

// centre turns g, the gradients of weights p, into scale·p·(g − Σ p·g).
MV_CLONES static void centre(const float *restrict p, int64_t n, float scale, float *restrict g) {
	float s[16] = {0}, mean = 0;
	int64_t i = 0;
	for (; i + 16 <= n; i += 16)
		for (int j = 0; j < 16; j++) s[j] += p[i + j] * g[i + j];
	for (; i < n; i++) mean += p[i] * g[i];
	for (int j = 0; j < 16; j++) mean += s[j];
	for (i = 0; i < n; i++) g[i] = scale * p[i] * (g[i] - mean);
}

// p: qkv, y, scratch. n: images, tokens, heads, channels of a head, rows. f: scale.
MV_LOOP(mv_attention) {
	int64_t t = n[1], heads = n[2], d = n[3], rows = n[4], width = heads * d, in = 3 * width;
	float scale = (float)f[0];
#pragma omp parallel
	{
		float *s = (float *)p[2] + omp_get_thread_num() * table(t, rows);
		int64_t parts = (t + rows - 1) / rows, lo, hi;
		mv_span(n[0] * heads * parts, 1, &lo, &hi);
		for (int64_t task = lo; task < hi; task++) {
			int64_t part = task % parts, h = task / parts % heads, image = task / parts / heads;
			int64_t r = part * rows, k = mv_min(rows, t - r);
			const float *q = (const float *)p[0] + image * t * in + h * d;
			float *y = (float *)p[1] + (image * t + r) * width + h * d;
			dnnl_sgemm('N', 'T', k, t, d, 1, q + r * in, in, q + width, in, 0, s, t);
			softmax(s, k, t, scale);
			dnnl_sgemm('N', 'N', k, d, t, 1, s, t, q + 2 * width, in, 0, y, width);
		}
	}
}

// p: qkv, dy, dqkv, scratch. n, f: as mv_attention.
MV_LOOP(mv_attention_backward) {
	int64_t t = n[1], heads = n[2], d = n[3], rows = n[4], width = heads * d, in = 3 * width;
	float scale = (float)f[0];
#pragma omp parallel
	{
		float *s = (float *)p[3] + omp_get_thread_num() * 2 * table(t, rows), *g = s + table(t, rows);
		int64_t lo, hi;
		mv_span(n[0] * heads, 1, &lo, &hi);
		for (int64_t task = lo; task < hi; task++) {
			int64_t at = task / heads * t * in + task % heads * d;
			const float *q = (const float *)p[0] + at, *k = q + width, *v = k + width;
			const float *dy = (const float *)p[1] + task / heads * t * width + task % heads * d;
			float *dq = (float *)p[2] + at, *dk = dq + width, *dv = dk + width;
			for (int64_t r = 0; r < t; r += rows) {
				int64_t m = mv_min(rows, t - r);
				float more = r > 0; // the sums over queries go on
				dnnl_sgemm('N', 'T', m, t, d, 1, q + r * in, in, k, in, 0, s, t);
				softmax(s, m, t, scale);
				dnnl_sgemm('T', 'N', t, d, m, 1, s, t, dy + r * width, width, more, dv, in);
				dnnl_sgemm('N', 'T', m, t, d, 1, dy + r * width, width, v, in, 0, g, t);
				for (int64_t i = 0; i < m; i++) centre(s + i * t, t, scale, g + i * t);
				dnnl_sgemm('N', 'N', m, d, t, 1, g, t, k, in, 0, dq + r * in, in);
				dnnl_sgemm('T', 'N', t, d, m, 1, g, t, q + r * in, in, more, dk, in);
			}
		}
	}
}
