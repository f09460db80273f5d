// How fast this CPU multiplies bf16 numbers, against float32.
#include "kernels.h"
#include <time.h>

#if defined(__x86_64__)
#include <immintrin.h>

// Twelve sums hide the latency of one; they are named, as an array would lie in memory.
enum { ROUNDS = 20000 };
#define EACH(f) f(a) f(b) f(c) f(d) f(e) f(g) f(h) f(i) f(j) f(k) f(l) f(m)
#define ZERO(s) __m512 s = _mm512_setzero_ps();
#define HALVES(s) s = _mm512_dpbf16_ps(s, x, x);
#define FLOATS(s) s = _mm512_fmadd_ps(x, x, s);
#define HOLD(s) __asm__ volatile("" : "+v"(s));
#define SINK(s) *sink += _mm512_reduce_add_ps(s);

static double seconds(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

__attribute__((target("avx512f,avx512bf16"), noinline)) static double narrow(float *sink) {
	__m512bh x = (__m512bh)_mm512_set1_epi32(0x3f803f80);
	EACH(ZERO)
	double t = seconds();
	for (int r = 0; r < ROUNDS; r++) { EACH(HALVES) EACH(HOLD) }
	t = seconds() - t;
	EACH(SINK)
	return t / 2; // two products where a float32's instruction has one
}

__attribute__((target("avx512f"), noinline)) static double full(float *sink) {
	__m512 x = _mm512_set1_ps(1);
	EACH(ZERO)
	double t = seconds();
	for (int r = 0; r < ROUNDS; r++) { EACH(FLOATS) EACH(HOLD) }
	t = seconds() - t;
	EACH(SINK)
	return t;
}

double mv_bf16_rate(void) {
	if (!__builtin_cpu_supports("avx512bf16")) return 0;
	if (__builtin_cpu_supports("amx-bf16")) return 16; // a tile's products in a cycle: 16 times AVX-512's
	double best[2] = {1, 1};
	float sink = 0;
	for (int i = 0; i < 9; i++) {
		double n = narrow(&sink), w = full(&sink);
		if (n < best[0]) best[0] = n;
		if (w < best[1]) best[1] = w;
	}
	volatile float keep = sink;
	(void)keep;
	return best[1] / best[0];
}
#else
double mv_bf16_rate(void) { return 0; }
#endif
