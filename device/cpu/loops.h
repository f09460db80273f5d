// Shared by the C loops: splitting work over the team, and compiling the inner
// loops for several instruction sets. OpenMP outlines the bodies of parallel
// regions into functions of their own that are not compiled per instruction set,
// so a region only calls inner functions marked MV_CLONES.
#ifndef MV_LOOPS_H
#define MV_LOOPS_H

#include "engine.h"
#include <omp.h>
#include <stddef.h>
#include <string.h>

#pragma GCC optimize("no-trapping-math")

#if defined(__x86_64__)
#define MV_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default"), noinline))
#else
#define MV_CLONES __attribute__((noinline))
#endif

// Work below this many elements is not worth waking the team for.
enum { MV_SMALL = 8192 };

// mv_span cuts n into as many parts as the team has threads, at multiples of unit.
static inline void mv_span(int64_t n, int64_t unit, int64_t *lo, int64_t *hi) {
	int64_t t = omp_get_thread_num(), nt = omp_get_num_threads();
	int64_t blocks = (n + unit - 1) / unit;
	*lo = blocks * t / nt * unit;
	*hi = blocks * (t + 1) / nt * unit;
	if (*lo > n) *lo = n;
	if (*hi > n) *hi = n;
}

// MV_PARALLEL runs body on each thread with [lo,hi), its part of n.
#define MV_PARALLEL(n, unit, big, body) \
	do { \
		if (big) { \
			_Pragma("omp parallel") { \
				int64_t lo, hi; \
				mv_span(n, unit, &lo, &hi); \
				if (lo < hi) { body; } \
			} \
		} else { \
			int64_t lo = 0, hi = n; \
			body; \
		} \
	} while (0)

// MV_SUM adds to total what the threads' parts of body give, in order; part has
// room for a double for each thread.
#define MV_SUM(n, unit, big, part, total, body) \
	do { \
		int wake = big, team = 1; \
		_Pragma("omp parallel if (wake)") { \
			int64_t lo, hi; \
			mv_span(n, unit, &lo, &hi); \
			(part)[omp_get_thread_num()] = body; \
			if (omp_get_thread_num() == 0) team = omp_get_num_threads(); \
		} \
		for (int t = 0; t < team; t++) (total) += (part)[t]; \
	} while (0)

static inline int64_t mv_min(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t mv_max(int64_t a, int64_t b) { return a > b ? a : b; }

// Masks: bit i of a row tells whether element i is positive; a row of c elements
// takes mv_mask_bytes(c).
static inline int64_t mv_mask_bytes(int64_t c) { return (c + 15) / 16 * 2; }
// mv_mask_pack records y[0..n) > 0.
void mv_mask_pack(const float *y, int64_t n, uint16_t *bits);
// mv_mask_apply writes y where the bit is set, else 0.
void mv_mask_apply(const float *x, int64_t n, const uint16_t *bits, float *y);

// mv_row_max returns the largest of k numbers; mv_row_exp writes e^(x−m) and returns the
// sum.
float mv_row_max(const float *restrict x, int64_t k);
double mv_row_exp(const float *x, int64_t k, float m, float *e);

#endif
