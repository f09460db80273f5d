// Resampling with a filter that widens as the image shrinks, in the arithmetic
// of Pillow's Image.resize for 8-bit images: across, then down, each rounded to
// bytes, with weights in 22 bits.
#include "cv.h"

#include <math.h>
#include <stdint.h>

#include <algorithm>
#include <vector>

#include <opencv2/core.hpp>

namespace {

const int kBits = 22;

double triangle(double x) {
	x = fabs(x);
	return x < 1 ? 1 - x : 0;
}

double cubic(double x) {
	const double a = -0.5;
	x = fabs(x);
	if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
	return x < 2 ? a * (((x - 5) * x + 8) * x - 4) : 0;
}

// The source pixels of each output pixel and their weights.
struct taps {
	std::vector<int> at, n;  // first source pixel and number of them
	std::vector<int32_t> w; // `most` for each output pixel
	int most;

	void make(int from, int count, int full, int size, int filter) {
		const double scale = (double)size / full, wide = std::max(scale, 1.);
		const double reach = (filter ? 2 : 1) * wide;
		most = (int)ceil(reach) * 2 + 1;
		at.resize(count);
		n.resize(count);
		w.resize((size_t)count * most);
		std::vector<double> k(most);
		for (int i = 0; i < count; i++) {
			const double centre = (from + i + 0.5) * scale;
			const int lo = std::max((int)(centre - reach + 0.5), 0);
			const int hi = std::min((int)(centre + reach + 0.5), size);
			double sum = 0;
			for (int j = lo; j < hi; j++) {
				const double x = (j - centre + 0.5) / wide;
				sum += k[j - lo] = filter ? cubic(x) : triangle(x);
			}
			at[i] = lo;
			n[i] = hi - lo;
			for (int j = 0; j < hi - lo; j++) {
				const double v = (sum != 0 ? k[j] / sum : k[j]) * (1 << kBits);
				w[(size_t)i * most + j] = (int32_t)(v < 0 ? v - 0.5 : v + 0.5);
			}
		}
	}
};

inline unsigned char byte(int32_t v) {
	v >>= kBits;
	return (unsigned char)(v < 0 ? 0 : v > 255 ? 255 : v);
}

inline void across_body(const unsigned char *s, const taps &t, int w, unsigned char *d) {
	for (int x = 0; x < w; x++, d += 3) {
		const unsigned char *p = s + 3 * (size_t)t.at[x];
		const int32_t *k = &t.w[(size_t)x * t.most];
		int32_t b = 1 << (kBits - 1), g = b, r = b;
		for (int j = 0; j < t.n[x]; j++, p += 3) {
			b += p[0] * k[j];
			g += p[1] * k[j];
			r += p[2] * k[j];
		}
		d[0] = byte(b);
		d[1] = byte(g);
		d[2] = byte(r);
	}
}

// Output row i from the rows, which begin at source row `first` and are `step`
// bytes apart.
inline __attribute__((always_inline)) void down_body(const unsigned char *rows, size_t step, int first, const taps &t, int i, int len, unsigned char *d) {
	const unsigned char *s = rows + (size_t)(t.at[i] - first) * step;
	const int32_t *k = &t.w[(size_t)i * t.most];
	const int n = t.n[i], kChunk = 32;
	int x = 0;
	for (; x + kChunk <= len; x += kChunk) {
		int32_t acc[kChunk];
		for (int c = 0; c < kChunk; c++) acc[c] = 1 << (kBits - 1);
		for (int j = 0; j < n; j++) {
			const unsigned char *p = s + j * step + x;
			for (int c = 0; c < kChunk; c++) acc[c] += p[c] * k[j];
		}
		for (int c = 0; c < kChunk; c++) d[x + c] = byte(acc[c]);
	}
	for (; x < len; x++) {
		int32_t acc = 1 << (kBits - 1);
		for (int j = 0; j < n; j++) acc += s[j * step + x] * k[j];
		d[x] = byte(acc);
	}
}

void down_plain(const unsigned char *rows, size_t step, int first, const taps &t, int i, int len, unsigned char *d) {
	down_body(rows, step, first, t, i, len, d);
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) void down_avx2(const unsigned char *rows, size_t step, int first, const taps &t, int i, int len, unsigned char *d) {
	down_body(rows, step, first, t, i, len, d);
}
#endif

} // namespace

void mv_resample(const void *src, void *dst, int fw, int fh, int x, int y, int w, int h, int filter) {
	const cv::Mat &in = *(const cv::Mat *)src;
	cv::Mat &out = *(cv::Mat *)dst;
	out.create(h, w, CV_8UC3);
	static thread_local taps cols, rows;
	static thread_local std::vector<unsigned char> mid;
	cols.make(x, w, fw, in.cols, filter);
	rows.make(y, h, fh, in.rows, filter);
	// Only the source rows that the window needs.
	const int first = rows.at[0], last = rows.at[h - 1] + rows.n[h - 1];
	const size_t step = 3 * (size_t)w;
	mid.resize(step * (last - first));
	for (int i = first; i < last; i++) across_body(in.ptr(i), cols, w, &mid[step * (i - first)]);
	auto down = down_plain;
#if defined(__x86_64__)
	if (__builtin_cpu_supports("avx2")) down = down_avx2;
#endif
	for (int i = 0; i < h; i++) down(mid.data(), step, first, rows, i, 3 * w, out.ptr(i));
}
