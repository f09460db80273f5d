#include "bf16.h"
#include "kernels.h"

static inline uint32_t mix(uint32_t x) {
	x = (x ^ x >> 16) * 0x85EBCA6Bu;
	x = (x ^ x >> 13) * 0xC2B2AE35u;
	return x ^ x >> 16;
}

MV_CLONES static void dropout_range(const float *x, int64_t lo, int64_t hi, uint32_t a, uint32_t b, uint32_t threshold, float scale, float *y) {
#pragma GCC ivdep
	for (int64_t i = lo; i < hi; i++) y[i] = mix(mix((uint32_t)i ^ a) + b) >= threshold ? x[i] * scale : 0;
}

MV_CLONES static void dropout_halves(const bf16 *x, int64_t lo, int64_t hi, uint32_t a, uint32_t b, uint32_t threshold, float scale, bf16 *y) {
#pragma GCC ivdep
	for (int64_t i = lo; i < hi; i++) y[i] = mix(mix((uint32_t)i ^ a) + b) >= threshold ? mv_narrow(mv_wide(x[i]) * scale) : 0;
}

// The mask is device.Dropout's (Keys and Keep there). p: x, step, y. n: size,
// threshold, seed, whether x and y are bf16. f: scale.
MV_LOOP(mv_dropout) {
	uint64_t z = (uint64_t)n[2] + ((uint64_t)(uint32_t)*(const int32_t *)p[1] + 1) * 0x9E3779B97F4A7C15u;
	z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
	z = (z ^ z >> 27) * 0x94D049BB133111EBu;
	z ^= z >> 31;
	uint32_t a = (uint32_t)z, b = (uint32_t)(z >> 32), threshold = (uint32_t)n[1];
	float scale = (float)f[0];
	if (n[3])
		MV_PARALLEL(n[0], 64, n[0] > MV_SMALL, dropout_halves(p[0], lo, hi, a, b, threshold, scale, p[2]));
	else
		MV_PARALLEL(n[0], 64, n[0] > MV_SMALL, dropout_range(p[0], lo, hi, a, b, threshold, scale, p[2]));
}
