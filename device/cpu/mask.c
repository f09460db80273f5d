#include "bf16.h"

static void pack_plain(const float *y, int64_t n, uint16_t *bits) {
	for (int64_t i = 0; i < n; i += 16) {
		unsigned m = 0;
		int64_t k = n - i < 16 ? n - i : 16;
		for (int64_t j = 0; j < k; j++) m |= (unsigned)(y[i + j] > 0) << j;
		bits[i / 16] = (uint16_t)m;
	}
}

static void apply_plain(const float *x, int64_t n, const uint16_t *bits, float *y) {
	for (int64_t i = 0; i < n; i++) y[i] = bits[i / 16] >> (i % 16) & 1 ? x[i] : 0;
}

static void apply_half(const bf16 *x, int64_t n, const uint16_t *bits, float *y) {
	for (int64_t i = 0; i < n; i++) y[i] = bits[i / 16] >> (i % 16) & 1 ? mv_wide(x[i]) : 0;
}

#if defined(__x86_64__)
#include <immintrin.h>

__attribute__((target("avx512f"))) static void apply_half_512(const bf16 *x, int64_t n, const uint16_t *bits, float *y) {
	int64_t i = 0;
	for (; i + 16 <= n; i += 16) {
		__m512i wide = _mm512_maskz_cvtepu16_epi32(bits[i / 16], _mm256_loadu_si256((const __m256i *)(x + i)));
		_mm512_storeu_ps(y + i, _mm512_castsi512_ps(_mm512_slli_epi32(wide, 16)));
	}
	apply_half(x + i, n - i, bits + i / 16, y + i);
}

__attribute__((target("avx512f"))) static void pack_512(const float *y, int64_t n, uint16_t *bits) {
	int64_t i = 0;
	for (; i + 16 <= n; i += 16) bits[i / 16] = _mm512_cmp_ps_mask(_mm512_loadu_ps(y + i), _mm512_setzero_ps(), _CMP_GT_OQ);
	pack_plain(y + i, n - i, bits + i / 16);
}

__attribute__((target("avx512f"))) static void apply_512(const float *x, int64_t n, const uint16_t *bits, float *y) {
	int64_t i = 0;
	for (; i + 16 <= n; i += 16) _mm512_storeu_ps(y + i, _mm512_maskz_loadu_ps(bits[i / 16], x + i));
	apply_plain(x + i, n - i, bits + i / 16, y + i);
}

__attribute__((target("avx2"))) static void pack_256(const float *y, int64_t n, uint16_t *bits) {
	__m256 zero = _mm256_setzero_ps();
	int64_t i = 0;
	for (; i + 16 <= n; i += 16) {
		int a = _mm256_movemask_ps(_mm256_cmp_ps(_mm256_loadu_ps(y + i), zero, _CMP_GT_OQ));
		int b = _mm256_movemask_ps(_mm256_cmp_ps(_mm256_loadu_ps(y + i + 8), zero, _CMP_GT_OQ));
		bits[i / 16] = (uint16_t)(a | b << 8);
	}
	pack_plain(y + i, n - i, bits + i / 16);
}

__attribute__((target("avx2"))) static void apply_256(const float *x, int64_t n, const uint16_t *bits, float *y) {
	__m256i lanes = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
	int64_t i = 0;
	for (; i + 8 <= n; i += 8) {
		__m256i m = _mm256_and_si256(_mm256_set1_epi32(bits[i / 16] >> (i % 16)), lanes);
		__m256 keep = _mm256_castsi256_ps(_mm256_cmpeq_epi32(m, lanes));
		_mm256_storeu_ps(y + i, _mm256_and_ps(keep, _mm256_loadu_ps(x + i)));
	}
	for (; i < n; i++) y[i] = bits[i / 16] >> (i % 16) & 1 ? x[i] : 0;
}

void mv_mask_pack(const float *y, int64_t n, uint16_t *bits) {
	if (__builtin_cpu_supports("avx512f"))
		pack_512(y, n, bits);
	else if (__builtin_cpu_supports("avx2"))
		pack_256(y, n, bits);
	else
		pack_plain(y, n, bits);
}

void mv_mask_apply(const float *x, int64_t n, const uint16_t *bits, float *y) {
	if (__builtin_cpu_supports("avx512f"))
		apply_512(x, n, bits, y);
	else if (__builtin_cpu_supports("avx2"))
		apply_256(x, n, bits, y);
	else
		apply_plain(x, n, bits, y);
}

void mv_mask_apply_bf16(const bf16 *x, int64_t n, const uint16_t *bits, float *y) {
	if (__builtin_cpu_supports("avx512f"))
		apply_half_512(x, n, bits, y);
	else
		apply_half(x, n, bits, y);
}
#else
void mv_mask_pack(const float *y, int64_t n, uint16_t *bits) { pack_plain(y, n, bits); }
void mv_mask_apply(const float *x, int64_t n, const uint16_t *bits, float *y) { apply_plain(x, n, bits, y); }
void mv_mask_apply_bf16(const bf16 *x, int64_t n, const uint16_t *bits, float *y) { apply_half(x, n, bits, y); }
#endif
