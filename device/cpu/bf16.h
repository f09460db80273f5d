// bf16 is the upper half of a float: loops widen what they read and round what they
// write to nearest even, in integers, so that every CPU gives the same bits.
#ifndef MV_BF16_H
#define MV_BF16_H

#include "loops.h"

typedef uint16_t bf16;

static inline float mv_wide(bf16 h) {
	union { uint32_t i; float f; } u = {(uint32_t)h << 16};
	return u.f;
}

static inline bf16 mv_narrow(float x) {
	union { float f; uint32_t i; } u = {x};
	uint32_t r = (u.i + 0x7fff + (u.i >> 16 & 1)) >> 16;
	return (bf16)((u.i & 0x7fffffff) > 0x7f800000 ? u.i >> 16 | 0x40 : r); // NaN stays
}

// mv_widen and mv_round convert n numbers.
void mv_widen(const bf16 *x, int64_t n, float *y);
void mv_round(const float *x, int64_t n, bf16 *y);

// mv_mask_apply_bf16 is mv_mask_apply of bf16.
void mv_mask_apply_bf16(const bf16 *x, int64_t n, const uint16_t *bits, float *y);

#endif
