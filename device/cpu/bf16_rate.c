// How fast this CPU multiplies bf16 numbers, against float32.
#include "kernels.h"
#include <time.h>

#if defined(__x86_64__)
#include <immintrin.h>

enum { CHAINS = 12, ROUNDS = 20000 }; // 12 sums hide the latency of one

static double seconds(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

__attribute__((target("avx512f,avx512bf16"), noinline, optimize("unroll-loops"))) static double narrow(float *sink) {
	__m512 s[CHAINS];
	__m512bh x = (__m512bh)_mm512_set1_epi32(0x3f803f80);
	for (int i = 0; i < CHAINS; i++) s[i] = _mm512_setzero_ps();
	double t = seconds();
	for (int r = 0; r < ROUNDS; r++) {
		for (int i = 0; i < CHAINS; i++) s[i] = _mm512_dpbf16_ps(s[i], x, x);
		for (int i = 0; i < CHAINS; i++) __asm__ volatile("" : "+v"(s[i]));
	}
	t = seconds() - t;
	for (int i = 0; i < CHAINS; i++) *sink += _mm512_reduce_add_ps(s[i]);
	return t / 2; // two products where a float32's instruction has one
}

__attribute__((target("avx512f"), noinline, optimize("unroll-loops"))) static double full(float *sink) {
	__m512 s[CHAINS], x = _mm512_set1_ps(1);
	for (int i = 0; i < CHAINS; i++) s[i] = _mm512_setzero_ps();
	double t = seconds();
	for (int r = 0; r < ROUNDS; r++) {
		for (int i = 0; i < CHAINS; i++) s[i] = _mm512_fmadd_ps(x, x, s[i]);
		for (int i = 0; i < CHAINS; i++) __asm__ volatile("" : "+v"(s[i]));
	}
	t = seconds() - t;
	for (int i = 0; i < CHAINS; i++) *sink += _mm512_reduce_add_ps(s[i]);
	return t;
}

double mv_bf16_rate(void) {
	if (!__builtin_cpu_supports("avx512bf16")) return 0;
	if (__builtin_cpu_supports("amx-bf16")) return 16; // a tile's products in a cycle: 16 times AVX-512's
	double best[2] = {1, 1};
	float sink = 0;
	for (int i = 0; i < 9; i++) {
		double a = narrow(&sink), b = full(&sink);
		if (a < best[0]) best[0] = a;
		if (b < best[1]) best[1] = b;
	}
	volatile float keep = sink;
	(void)keep;
	return best[1] / best[0];
}
#else
double mv_bf16_rate(void) { return 0; }
#endif
