// PNG decoding of the common form, 8-bit RGB without interlacing, with libdeflate,
// which has the whole file at once and so inflates faster than zlib. Anything
// else, and any file in which something is wrong, is left to cv::imdecode: its
// pixels are the same, and it knows what to say.
#include "cv.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <vector>

#include <libdeflate.h>
#include <opencv2/core.hpp>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

struct mv_png {
	libdeflate_decompressor *inflate;
	std::vector<unsigned char> packed, raw;
};

mv_png *mv_png_new(void) {
	mv_png *s = new mv_png;
	s->inflate = libdeflate_alloc_decompressor();
	return s;
}

void mv_png_free(mv_png *s) {
	if (s == NULL) return;
	libdeflate_free_decompressor(s->inflate);
	delete s;
}

namespace {

const size_t max_raw = 128u << 20; // larger images do not keep a worker's memory

uint32_t be32(const unsigned char *p) { return (uint32_t)p[0] << 24 | p[1] << 16 | p[2] << 8 | p[3]; }

// Gathers the image data of a file of the common form. false: leave it.
bool gather(mv_png *s, const unsigned char *buf, size_t n, uint32_t *w, uint32_t *h) {
	s->packed.clear();
	bool ended = false;
	*w = 0;
	for (size_t i = 8; !ended;) {
		if (i + 12 > n) return false;
		const size_t len = be32(buf + i);
		const unsigned char *type = buf + i + 4, *body = type + 4;
		if (len > n - i - 12 || be32(body + len) != libdeflate_crc32(0, type, len + 4)) return false;
		if (memcmp(type, "IHDR", 4) == 0) {
			// Depth 8, colour type 2 (RGB), deflate, adaptive filters, not interlaced.
			if (i != 8 || len != 13 || memcmp(body + 8, "\x08\x02\x00\x00\x00", 5) != 0) return false;
			*w = be32(body), *h = be32(body + 4);
		} else if (memcmp(type, "IDAT", 4) == 0) {
			s->packed.insert(s->packed.end(), body, body + len);
		} else if (memcmp(type, "IEND", 4) == 0) {
			ended = true;
		} else if (!(type[0] & 0x20) || memcmp(type, "tRNS", 4) == 0 || memcmp(type, "eXIf", 4) == 0) {
			return false; // a chunk that may change what the data means
		}
		i += 12 + len;
	}
	return *w > 0 && *h > 0 && *w <= (1u << 24) && *h <= (1u << 24) && (size_t)*h * (3 * (size_t)*w + 1) <= max_raw;
}

inline int paeth(int a, int b, int c) {
	const int pa = abs(b - c), pb = abs(a - c), pc = abs(a + b - 2 * c);
	return pa <= pb && pa <= pc ? a : pb <= pc ? b : c;
}

void paeth_plain(unsigned char *x, const unsigned char *up, size_t n) {
	for (size_t i = 0; i < n; i++)
		x[i] += i < 3 ? up[i] : paeth(x[i - 3], up[i], up[i - 3]);
}

#if defined(__x86_64__)
// A pixel a turn, its channels side by side in 16 bits. Reads and keeps one byte
// after each pixel; the row's last pixel is done alone.
__attribute__((target("sse4.1"))) void paeth_sse(unsigned char *x, const unsigned char *up, size_t n) {
	const __m128i zero = _mm_setzero_si128(), low = _mm_set1_epi16(0xff);
	__m128i a = zero, c = zero;
	size_t i = 0;
	for (; i + 4 <= n; i += 3) {
		int32_t xv, uv;
		memcpy(&xv, x + i, 4);
		memcpy(&uv, up + i, 4);
		const __m128i b = _mm_unpacklo_epi8(_mm_cvtsi32_si128(uv), zero);
		__m128i pa = _mm_sub_epi16(b, c), pb = _mm_sub_epi16(a, c);
		__m128i pc = _mm_abs_epi16(_mm_add_epi16(pa, pb));
		pa = _mm_abs_epi16(pa);
		pb = _mm_abs_epi16(pb);
		const __m128i least = _mm_min_epi16(pc, _mm_min_epi16(pa, pb));
		__m128i p = _mm_blendv_epi8(c, b, _mm_cmpeq_epi16(least, pb));
		p = _mm_blendv_epi8(p, a, _mm_cmpeq_epi16(least, pa));
		a = _mm_and_si128(_mm_add_epi16(p, _mm_unpacklo_epi8(_mm_cvtsi32_si128(xv), zero)), low);
		c = b;
		const int32_t out = _mm_cvtsi128_si32(_mm_packus_epi16(a, a));
		x[i] = (unsigned char)out;
		x[i + 1] = (unsigned char)(out >> 8);
		x[i + 2] = (unsigned char)(out >> 16);
	}
	for (; i < n; i++) x[i] += i < 3 ? up[i] : paeth(x[i - 3], up[i], up[i - 3]);
}

// Five pixels a turn: 16 bytes are read and written, the last of which the next
// turn writes again.
__attribute__((target("ssse3"))) size_t swap_ssse3(const unsigned char *s, unsigned char *d, size_t n) {
	const __m128i order = _mm_setr_epi8(2, 1, 0, 5, 4, 3, 8, 7, 6, 11, 10, 9, 14, 13, 12, 15);
	size_t i = 0;
	for (; i + 16 <= n; i += 15)
		_mm_storeu_si128((__m128i *)(d + i), _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(s + i)), order));
	return i;
}
#endif

// Undoes a row's filter (PNG specification, 9.2) in place; up is the row above. false: no such filter.
bool unfilter(int filter, unsigned char *x, const unsigned char *up, size_t n, bool sse) {
	switch (filter) {
	case 0:
		return true;
	case 1:
		for (size_t i = 3; i < n; i++) x[i] += x[i - 3];
		return true;
	case 2:
		for (size_t i = 0; i < n; i++) x[i] += up[i];
		return true;
	case 3:
		for (size_t i = 0; i < n; i++) x[i] += ((i < 3 ? 0 : x[i - 3]) + up[i]) / 2;
		return true;
	case 4:
#if defined(__x86_64__)
		if (sse) {
			paeth_sse(x, up, n);
			return true;
		}
#endif
		paeth_plain(x, up, n);
		return true;
	}
	return false;
}

void swap_row(const unsigned char *s, unsigned char *d, size_t n, bool sse) {
	size_t i = 0;
#if defined(__x86_64__)
	if (sse) i = swap_ssse3(s, d, n);
#endif
	for (; i < n; i += 3) {
		d[i] = s[i + 2];
		d[i + 1] = s[i + 1];
		d[i + 2] = s[i];
	}
}

} // namespace

int mv_decode_png(mv_png *s, void *mat, const unsigned char *buf, long n) {
	cv::Mat *dst = (cv::Mat *)mat;
	uint32_t w, h;
	try {
		if (s->inflate == NULL || !gather(s, buf, (size_t)n, &w, &h)) return 3;
		const size_t row = 3 * (size_t)w, size = (size_t)h * (row + 1);
		if (s->raw.size() < size + row) s->raw.resize(size + row);
		// The row above the first is all zero.
		memset(s->raw.data(), 0, row);
		unsigned char *raw = s->raw.data() + row;
		size_t got;
		if (libdeflate_zlib_decompress(s->inflate, s->packed.data(), s->packed.size(), raw, size, &got) != LIBDEFLATE_SUCCESS || got != size)
			return 3;
		dst->create((int)h, (int)w, CV_8UC3);
		bool sse = false;
#if defined(__x86_64__)
		sse = __builtin_cpu_supports("sse4.1");
#endif
		const unsigned char *up = s->raw.data();
		for (uint32_t y = 0; y < h; y++) {
			unsigned char *x = raw + y * (row + 1);
			if (!unfilter(x[0], x + 1, up, row, sse)) return 3;
			swap_row(x + 1, dst->ptr((int)y), row, sse);
			up = x + 1;
		}
		return 0;
	} catch (...) {
		return 3;
	}
}
