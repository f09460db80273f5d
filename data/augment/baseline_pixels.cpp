// From coefficients to pixels: the inverse cosine transform in the integers of
// libjpeg's accurate one (Loeffler, Ligtenberg and Moschytz 1989), its triangle
// interpolation of chroma and its conversion from YCbCr, eight or sixteen at a time.
#include "baseline.h"

#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>

#define AVX2 __attribute__((target("avx2")))

namespace baseline {

namespace {

typedef __m256i v8;

// Two numbers of 16 bits in one of 32, and the weighted sum of such.
AVX2 inline v8 both(v8 a, v8 b) { return _mm256_blend_epi16(a, _mm256_slli_epi32(b, 16), 0xaa); }
AVX2 inline v8 dot(v8 ab, int ka, int kb) {
	return _mm256_madd_epi16(ab, _mm256_set1_epi32((int)((uint32_t)kb << 16 | (uint16_t)ka)));
}
AVX2 inline v8 plus(v8 a, v8 b) { return _mm256_add_epi32(a, b); }
AVX2 inline v8 minus(v8 a, v8 b) { return _mm256_sub_epi32(a, b); }

// One dimension for eight lines at once; constants have 13 bits behind the point.
template <int kShift> AVX2 inline void lines(v8 *in) {
	const v8 even = both(in[2], in[6]);
	const v8 e2 = dot(even, 4433, 4433 - 15137), e3 = dot(even, 4433 + 6270, 4433);
	const v8 half = _mm256_set1_epi32(1 << (kShift - 1));
	const v8 e0 = plus(_mm256_slli_epi32(plus(in[0], in[4]), 13), half);
	const v8 e1 = plus(_mm256_slli_epi32(minus(in[0], in[4]), 13), half);
	const v8 s0 = plus(e0, e3), s3 = minus(e0, e3), s1 = plus(e1, e2), s2 = minus(e1, e2);

	// Sums of products, with what they share taken together: sums of two inputs still
	// fit into 16 bits.
	const v8 outer = both(in[7], in[1]), inner = both(in[5], in[3]);
	const v8 sums = both(plus(in[7], in[3]), plus(in[5], in[1]));
	const v8 z3 = dot(sums, 9633 - 16069, 9633), z4 = dot(sums, 9633, 9633 - 3196);
	const v8 o0 = plus(dot(outer, 2446 - 7373, -7373), z3), o3 = plus(dot(outer, -7373, 12299 - 7373), z4);
	const v8 o1 = plus(dot(inner, 16819 - 20995, -20995), z4), o2 = plus(dot(inner, -20995, 25172 - 20995), z3);

	in[0] = _mm256_srai_epi32(plus(s0, o3), kShift);
	in[7] = _mm256_srai_epi32(minus(s0, o3), kShift);
	in[1] = _mm256_srai_epi32(plus(s1, o2), kShift);
	in[6] = _mm256_srai_epi32(minus(s1, o2), kShift);
	in[2] = _mm256_srai_epi32(plus(s2, o1), kShift);
	in[5] = _mm256_srai_epi32(minus(s2, o1), kShift);
	in[3] = _mm256_srai_epi32(plus(s3, o0), kShift);
	in[4] = _mm256_srai_epi32(minus(s3, o0), kShift);
}

// Eight numbers of 16 bits, saturated.
AVX2 inline __m128i narrow(v8 a) { return _mm_packs_epi32(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1)); }

// Rows become columns.
AVX2 inline void transpose(__m128i *m) {
	__m128i a[8], b[8];
	for (int i = 0; i < 4; i++) {
		a[2 * i] = _mm_unpacklo_epi16(m[i], m[i + 4]);
		a[2 * i + 1] = _mm_unpackhi_epi16(m[i], m[i + 4]);
	}
	for (int i = 0; i < 4; i++) {
		b[2 * i] = _mm_unpacklo_epi16(a[i], a[i + 4]);
		b[2 * i + 1] = _mm_unpackhi_epi16(a[i], a[i + 4]);
	}
	for (int i = 0; i < 4; i++) {
		m[2 * i] = _mm_unpacklo_epi16(b[i], b[i + 4]);
		m[2 * i + 1] = _mm_unpackhi_epi16(b[i], b[i + 4]);
	}
}

} // namespace

AVX2 void transform(const int16_t *block, uint8_t *dst, size_t step) {
	v8 v[8];
	__m128i m[8];
	for (int i = 0; i < 8; i++) v[i] = _mm256_cvtepi16_epi32(_mm_load_si128((const __m128i *)(block + 8 * i)));
	lines<11>(v); // down the columns, two bits behind the point stay
	for (int i = 0; i < 8; i++) m[i] = narrow(v[i]);
	transpose(m);
	for (int i = 0; i < 8; i++) v[i] = _mm256_cvtepi16_epi32(m[i]);
	lines<18>(v);
	for (int i = 0; i < 8; i++) m[i] = narrow(v[i]);
	transpose(m);
	const __m128i middle = _mm_set1_epi8((char)0x80);
	for (int i = 0; i < 8; i += 2) {
		const __m128i two = _mm_xor_si128(_mm_packs_epi16(m[i], m[i + 1]), middle);
		_mm_storel_epi64((__m128i *)(dst + i * step), two);
		_mm_storeh_pd((double *)(dst + (i + 1) * step), _mm_castsi128_pd(two));
	}
}

namespace {

// Chroma of one row at full width, n samples to 2n. near and far are weighed 3:1;
// far is null where rows are not interpolated.
AVX2 void widen(const uint8_t *near, const uint8_t *far, int n, uint8_t *out) {
	auto sum = [&](int x) { return far ? 3 * near[x] + far[x] : near[x]; };
	const int r0 = far ? 8 : 1, r1 = far ? 7 : 2, shift = far ? 4 : 2;
	auto pair = [&](int x) {
		const int s = 3 * sum(x);
		out[2 * x] = (uint8_t)((s + sum(x > 0 ? x - 1 : 0) + r0) >> shift);
		out[2 * x + 1] = (uint8_t)((s + sum(x < n - 1 ? x + 1 : n - 1) + r1) >> shift);
	};
	pair(0);
	int x = 1;
	const __m256i three = _mm256_set1_epi16(3), v0 = _mm256_set1_epi16((short)r0), v1 = _mm256_set1_epi16((short)r1);
	const __m128i bits = _mm_cvtsi32_si128(shift);
	auto sums = [&](int x) __attribute__((target("avx2"), always_inline)) {
		__m256i s = _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)(near + x)));
		if (far) s = _mm256_add_epi16(_mm256_mullo_epi16(s, three), _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)(far + x))));
		return s;
	};
	for (; x + 17 <= n; x += 16) {
		const __m256i s = _mm256_mullo_epi16(sums(x), three);
		const __m256i even = _mm256_srl_epi16(_mm256_add_epi16(_mm256_add_epi16(s, sums(x - 1)), v0), bits);
		const __m256i odd = _mm256_srl_epi16(_mm256_add_epi16(_mm256_add_epi16(s, sums(x + 1)), v1), bits);
		_mm256_storeu_si256((__m256i *)(out + 2 * x), _mm256_or_si256(even, _mm256_slli_epi16(odd, 8)));
	}
	for (; x < n; x++) pair(x);
}

// ((a*k0 + b*k1) >> 16, rounded) of sixteen pairs.
AVX2 inline __m256i weigh(__m256i a, __m256i b, int k0, int k1, int round) {
	const __m256i k = _mm256_set1_epi32((int)((uint32_t)k1 << 16 | (uint16_t)k0)), r = _mm256_set1_epi32(round);
	const __m256i lo = _mm256_madd_epi16(_mm256_unpacklo_epi16(a, b), k), hi = _mm256_madd_epi16(_mm256_unpackhi_epi16(a, b), k);
	return _mm256_packs_epi32(_mm256_srai_epi32(_mm256_add_epi32(lo, r), 16), _mm256_srai_epi32(_mm256_add_epi32(hi, r), 16));
}

AVX2 inline __m128i bytes(__m256i a) {
	return _mm_packus_epi16(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1));
}

// Sixteen pixels of B, G and R in turn.
AVX2 inline void interleave(__m128i b, __m128i g, __m128i r, uint8_t *d) {
	const char no = -1;
	const __m128i b0 = _mm_setr_epi8(0, no, no, 1, no, no, 2, no, no, 3, no, no, 4, no, no, 5);
	const __m128i b1 = _mm_setr_epi8(no, no, 6, no, no, 7, no, no, 8, no, no, 9, no, no, 10, no);
	const __m128i b2 = _mm_setr_epi8(no, 11, no, no, 12, no, no, 13, no, no, 14, no, no, 15, no, no);
	const __m128i g0 = _mm_setr_epi8(no, 0, no, no, 1, no, no, 2, no, no, 3, no, no, 4, no, no);
	const __m128i g1 = _mm_setr_epi8(5, no, no, 6, no, no, 7, no, no, 8, no, no, 9, no, no, 10);
	const __m128i g2 = _mm_setr_epi8(no, no, 11, no, no, 12, no, no, 13, no, no, 14, no, no, 15, no);
	const __m128i r0 = _mm_setr_epi8(no, no, 0, no, no, 1, no, no, 2, no, no, 3, no, no, 4, no);
	const __m128i r1 = _mm_setr_epi8(no, 5, no, no, 6, no, no, 7, no, no, 8, no, no, 9, no, no);
	const __m128i r2 = _mm_setr_epi8(10, no, no, 11, no, no, 12, no, no, 13, no, no, 14, no, no, 15);
	auto put = [&](int i, __m128i x, __m128i y, __m128i z) __attribute__((target("avx2"), always_inline)) {
		_mm_storeu_si128((__m128i *)d + i, _mm_or_si128(_mm_or_si128(_mm_shuffle_epi8(b, x), _mm_shuffle_epi8(g, y)), _mm_shuffle_epi8(r, z)));
	};
	put(0, b0, g0, r0);
	put(1, b1, g1, r1);
	put(2, b2, g2, r2);
}

// Sixteen pixels, in libjpeg's 16 bits behind the point: 1.402, 0.34414, 0.71414 and
// 1.772, of which what lies beyond 16 bits is added whole.
AVX2 inline void convert(const uint8_t *y, const uint8_t *cb, const uint8_t *cr, uint8_t *d) {
	const __m256i luma = _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)y));
	const __m256i middle = _mm256_set1_epi16(128), two = _mm256_set1_epi16(2);
	const __m256i u = _mm256_sub_epi16(_mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)cb)), middle);
	const __m256i v = _mm256_sub_epi16(_mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)cr)), middle);
	const __m256i r = _mm256_add_epi16(_mm256_add_epi16(luma, v), weigh(v, two, 91881 - 65536, 16384, 0));
	const __m256i b = _mm256_add_epi16(_mm256_add_epi16(luma, _mm256_add_epi16(u, u)), weigh(u, two, 116130 - 131072, 16384, 0));
	const __m256i g = _mm256_add_epi16(_mm256_sub_epi16(luma, v), weigh(u, v, -22554, 65536 - 46802, 32768));
	interleave(bytes(b), bytes(g), bytes(r), d);
}

} // namespace

AVX2 void colour(const header *f, int y, uint8_t *dst, std::vector<uint8_t> *temp) {
	const uint8_t *luma = f->comps[0].px.data() + (size_t)y * f->comps[0].step;
	const uint8_t *chroma[2] = {nullptr, nullptr};
	for (int i = 1; i < f->count; i++) {
		const component &c = f->comps[i];
		const uint8_t *px = c.px.data();
		if (f->hmax == 1) {
			chroma[i - 1] = px + (size_t)y * c.step;
			continue;
		}
		uint8_t *row = temp->data() + (size_t)(i - 1) * (2 * c.step + 32);
		if (f->vmax == 1) {
			widen(px + (size_t)y * c.step, nullptr, c.width, row);
		} else {
			const int at = y / 2;
			int other = y & 1 ? at + 1 : at - 1;
			other = other < 0 ? 0 : other >= c.height ? c.height - 1 : other;
			widen(px + (size_t)at * c.step, px + (size_t)other * c.step, c.width, row);
		}
		chroma[i - 1] = row;
	}
	uint8_t end[48 + 16];
	for (int x = 0; x < f->width; x += 16) {
		const int n = f->width - x < 16 ? f->width - x : 16;
		uint8_t *to = n < 16 ? end : dst + 3 * (size_t)x;
		if (f->count == 1) {
			const __m128i v = _mm_loadu_si128((const __m128i *)(luma + x));
			interleave(v, v, v, to);
		} else {
			convert(luma + x, chroma[0] + x, chroma[1] + x, to);
		}
		if (n < 16) memcpy(dst + 3 * (size_t)x, end, 3 * (size_t)n);
	}
}

} // namespace baseline

#endif
