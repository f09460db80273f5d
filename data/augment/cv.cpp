// OpenCV calls that gocv lacks (thread count, a decode that catches
// exceptions) and the loops over pixels that it has no kernel for.
#include "cv.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

#include <opencv2/core.hpp>
#include <opencv2/core/utils/logger.hpp>
#include <opencv2/imgcodecs.hpp>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

void mv_single_thread(void) {
	cv::setNumThreads(1);
	cv::utils::logging::setLogLevel(cv::utils::logging::LOG_LEVEL_SILENT);
}

int mv_decode(void *mat, const unsigned char *buf, long n, int flags, char *msg, int msglen) {
	cv::Mat *dst = (cv::Mat *)mat;
	msg[0] = 0;
	// Where no decoder knows the format, imdecode leaves dst as it was: without
	// this an earlier image would pass for this one.
	dst->release();
	try {
		cv::Mat in(1, (int)n, CV_8UC1, (void *)buf);
		cv::Mat out = cv::imdecode(in, flags, dst);
		return out.empty() || dst->empty() ? 1 : 0;
	} catch (const std::exception &e) {
		strncpy(msg, e.what(), msglen - 1);
		msg[msglen - 1] = 0;
	} catch (...) {
		strncpy(msg, "unknown exception", msglen - 1);
		msg[msglen - 1] = 0;
	}
	return 2;
}

const unsigned char *mv_shape(void *mat, int *rows, int *cols, long *step) {
	cv::Mat *m = (cv::Mat *)mat;
	*rows = m->rows;
	*cols = m->cols;
	*step = (long)m->step;
	return m->data;
}

// Pixels [from, w) of one row. Multiplication and addition stay separate in this
// and in the vector path (no FMA), so every x86 machine writes the same bits.
static void row_plain(const unsigned char *s, int from, int w, float *d, const float *a, const float *b, int flip) {
	for (int x = from; x < w; x++) {
		const unsigned char *p = s + 3 * (flip ? w - 1 - x : x);
		d[3 * x] = p[2] * a[0] + b[0];
		d[3 * x + 1] = p[1] * a[1] + b[1];
		d[3 * x + 2] = p[0] * a[2] + b[2];
	}
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) static inline void store8(float *d, __m128i bytes, __m256 a, __m256 b, int stream) {
	__m256 v = _mm256_add_ps(_mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes)), a), b);
	if (stream)
		_mm256_stream_ps(d, v);
	else
		_mm256_storeu_ps(d, v);
}

// Eight pixels a turn: 24 bytes become three vectors of eight floats. Swapping B
// and R is a byte shuffle; mirrored, the bytes of BGR pixels read backwards are
// the RGB pixels.
__attribute__((target("avx2"))) static int row_avx2(const unsigned char *s, int w, float *d, const float *a,
                                                    const float *b, int flip) {
	float ca[24], cb[24];
	for (int i = 0; i < 24; i++) {
		ca[i] = a[i % 3];
		cb[i] = b[i % 3];
	}
	const __m256 a0 = _mm256_loadu_ps(ca), a1 = _mm256_loadu_ps(ca + 8), a2 = _mm256_loadu_ps(ca + 16);
	const __m256 b0 = _mm256_loadu_ps(cb), b1 = _mm256_loadu_ps(cb + 8), b2 = _mm256_loadu_ps(cb + 16);
	const int stream = ((uintptr_t)d & 31) == 0;
	int x = 0;
	if (flip) {
		const __m128i rev = _mm_setr_epi8(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
		for (; x + 8 <= w; x += 8) {
			const unsigned char *p = s + 3 * (w - x - 8);
			__m128i hi = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(p + 8)), rev);
			__m128i lo = _mm_shuffle_epi8(_mm_loadl_epi64((const __m128i *)p), rev);
			store8(d + 3 * x, hi, a0, b0, stream);
			store8(d + 3 * x + 8, _mm_srli_si128(hi, 8), a1, b1, stream);
			store8(d + 3 * x + 16, _mm_srli_si128(lo, 8), a2, b2, stream);
		}
		return x;
	}
	const __m128i s0 = _mm_setr_epi8(2, 1, 0, 5, 4, 3, 8, 7, -1, -1, -1, -1, -1, -1, -1, -1);
	const __m128i s1 = _mm_setr_epi8(0, 5, 4, 3, 8, 7, 6, 11, -1, -1, -1, -1, -1, -1, -1, -1); // from byte 6
	const __m128i s2 = _mm_setr_epi8(8, 7, 12, 11, 10, 15, 14, 13, -1, -1, -1, -1, -1, -1, -1, -1); // from byte 8
	for (; x + 8 <= w; x += 8) {
		const unsigned char *p = s + 3 * x;
		store8(d + 3 * x, _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)p), s0), a0, b0, stream);
		store8(d + 3 * x + 8, _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(p + 6)), s1), a1, b1, stream);
		store8(d + 3 * x + 16, _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(p + 8)), s2), a2, b2, stream);
	}
	return x;
}
#endif

void mv_normalize(const unsigned char *src, long step, int w, int h, float *dst, int cw, int ch, const float *scale,
                  const float *shift, int flip) {
#if defined(__x86_64__)
	const int avx2 = __builtin_cpu_supports("avx2");
#endif
	for (int y = 0; y < h; y++) {
		const unsigned char *s = src + (size_t)y * step;
		float *d = dst + (size_t)y * cw * 3;
		int x = 0;
#if defined(__x86_64__)
		if (avx2) x = row_avx2(s, w, d, scale, shift, flip);
#endif
		row_plain(s, x, w, d, scale, shift, flip);
		memset(d + (size_t)w * 3, 0, sizeof(float) * 3 * (size_t)(cw - w));
	}
	memset(dst + (size_t)h * cw * 3, 0, sizeof(float) * 3 * (size_t)cw * (ch - h));
#if defined(__x86_64__)
	if (avx2) _mm_sfence();
#endif
}

static inline float clamp255(float v) { return v < 0 ? 0 : v > 255 ? 255 : v; }

void mv_colour(unsigned char *px, long step, int w, int h, float brightness, float contrast, float saturation) {
	float lut[256];
	for (int i = 0; i < 256; i++) lut[i] = clamp255(i * brightness);
	if (contrast != 1) {
		double sum = 0;
		for (int y = 0; y < h; y++) {
			const unsigned char *p = px + (size_t)y * step;
			float row = 0;
			for (int x = 0; x < w; x++, p += 3) row += 0.299f * lut[p[2]] + 0.587f * lut[p[1]] + 0.114f * lut[p[0]];
			sum += row;
		}
		const float mean = (float)(sum / ((double)w * h));
		for (int i = 0; i < 256; i++) lut[i] = clamp255(mean + contrast * (lut[i] - mean));
	}
	for (int y = 0; y < h; y++) {
		unsigned char *p = px + (size_t)y * step;
		for (int x = 0; x < w; x++, p += 3) {
			const float b = lut[p[0]], g = lut[p[1]], r = lut[p[2]];
			const float gray = (1 - saturation) * (0.299f * r + 0.587f * g + 0.114f * b);
			p[0] = (unsigned char)(clamp255(gray + saturation * b) + 0.5f);
			p[1] = (unsigned char)(clamp255(gray + saturation * g) + 0.5f);
			p[2] = (unsigned char)(clamp255(gray + saturation * r) + 0.5f);
		}
	}
}

void mv_hue(unsigned char *px, long step, int w, int h, int add) {
	for (int y = 0; y < h; y++) {
		unsigned char *p = px + (size_t)y * step;
		for (int x = 0; x < w; x++, p += 3) p[0] = (unsigned char)(p[0] + add);
	}
}

void mv_levels(unsigned char *px, long step, int w, int h, const unsigned char *t0, const unsigned char *t1,
               const unsigned char *t2) {
	for (int y = 0; y < h; y++) {
		unsigned char *p = px + (size_t)y * step;
		for (int x = 0; x < w; x++, p += 3) {
			p[0] = t0[p[0]];
			p[1] = t1[p[1]];
			p[2] = t2[p[2]];
		}
	}
}
