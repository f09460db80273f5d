// Elementary functions as polynomials, good to a few units in the last place, so
// that loops over them vectorise.
#ifndef MV_ELEMENTARY_H
#define MV_ELEMENTARY_H

#include "loops.h" // before the functions: its options must be theirs, or they are not inlined

// exp_neg is e^x for x <= 0; below -87.3 it is flushed to about 1e-38. x = k·ln 2
// + r, Taylor's series of e^r for |r| <= ln 2 / 2.
static inline float exp_neg(float x) {
	x = x < -87.3f ? -87.3f : x; // NaN stays
	float k = (x * 1.44269504f + 12582912.0f) - 12582912.0f; // round to nearest
	float r = (x - k * 0.693359375f) + k * 2.12194440e-4f;
	float e = 1 + r * (1 + r * (0.5f + r * (1.6666667e-1f + r * (4.1666668e-2f + r * (8.3333340e-3f + r * (1.3888889e-3f + r * 1.9841270e-4f))))));
	union { int32_t i; float f; } scale;
	scale.i = ((int32_t)k + 127) << 23;
	return e * scale.f;
}

// log1p_unit is log(1+e) for 0 <= e <= 1 by 2·artanh(e/(2+e)).
static inline float log1p_unit(float e) {
	float s = e / (2 + e), q = s * s;
	return 2 * s * (1 + q * (1.f / 3 + q * (1.f / 5 + q * (1.f / 7 + q * (1.f / 9 + q * (1.f / 11 + q * (1.f / 13 + q * (1.f / 15))))))));
}

// log_finite is log(x) for normal x > 0; NaN stays and infinity becomes NaN. x =
// 2^k·m with sqrt(1/2) <= m < sqrt(2), log m = 2·artanh((m−1)/(m+1)).
static inline float log_finite(float x) {
	union { float f; int32_t i; } u = {x};
	int32_t above = u.i - 0x3f3504f3; // bits of sqrt(1/2)
	float k = (float)(above >> 23);
	u.i = (above & 0x7fffff) + 0x3f3504f3;
	float s = (u.f - 1) / (u.f + 1), q = s * s;
	float l = 2 * s * (1 + q * (1.f / 3 + q * (1.f / 5 + q * (1.f / 7 + q * (1.f / 9)))));
	return k * 0.693147181f + l + (x - x);
}

#endif
