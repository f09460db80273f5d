// Winograd's minimal filtering F(m x m, 3x3) in one dimension, for 16 channels at a
// time (Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks",
// arXiv:1509.09308): m outputs of a three-tap filter from m+2 inputs by m+2
// products. The two-dimensional algorithm applies each transform to columns, then
// rows.
//
// The matrices are those of Toom-Cook interpolation at the points 0, a, -a, b, -b
// and infinity for m = 4 and at 0, 1, -1, c and infinity for m = 3. a = 5/8, b = 3/2
// and c = 1/2 lose the fewest digits among simple fractions.
#ifndef MV_WINOGRAD_H
#define MV_WINOGRAD_H

// A vector of 16 channels, as aligned as a float.
typedef float vec __attribute__((vector_size(64), aligned(4), may_alias));
typedef int mask __attribute__((vector_size(64), aligned(4), may_alias));

enum { MV_LANES = 16, MV_TILE = 6 }; // MV_TILE: inputs of the largest tile's side

#define MV_ALWAYS static inline __attribute__((always_inline))

static const float A = 0.625f, B = 1.5f;
#define A2 (A * A)
#define B2 (B * B)
#define NA (2 * A2 * (A2 - B2)) // products of the differences to the other points
#define NB (2 * B2 * (B2 - A2))
static const float C = 0.5f;
#define N1 (2 * (1 - C))
#define NM (-2 * (1 + C))
#define NC (C * (C * C - 1))

// Each transform reads and writes vectors s and t apart.

// inputs: m+2 inputs to m+2 factors.
MV_ALWAYS void mv_wino_inputs(int m, const vec *x, int s, vec *v, int t) {
	vec x0 = x[0], x1 = x[s], x2 = x[2 * s], x3 = x[3 * s], x4 = x[4 * s];
	if (m == 4) {
		vec x5 = x[5 * s];
		v[0] = A2 * B2 * x0 - (A2 + B2) * x2 + x4;
		vec even = x4 - B2 * x2, odd = A * (x3 - B2 * x1);
		v[t] = even + odd;
		v[2 * t] = even - odd;
		even = x4 - A2 * x2, odd = B * (x3 - A2 * x1);
		v[3 * t] = even + odd;
		v[4 * t] = even - odd;
		v[5 * t] = A2 * B2 * x1 - (A2 + B2) * x3 + x5;
	} else {
		vec d = x3 - C * x2;
		v[0] = d - x1 + C * x0;
		v[t] = d + x2 - C * x1;
		v[2 * t] = d - x2 + C * x1;
		v[3 * t] = x3 - x1;
		v[4 * t] = x4 - x2 - C * (x3 - x1);
	}
}

// outputs: m+2 products to m outputs.
MV_ALWAYS void mv_wino_outputs(int m, const vec *x, int s, vec *y, int t) {
	vec p = x[s] + x[2 * s], q = x[s] - x[2 * s];
	if (m == 4) {
		vec u = x[3 * s] + x[4 * s], v = x[3 * s] - x[4 * s];
		y[0] = x[0] + p + u;
		y[t] = A * q + B * v;
		y[2 * t] = A2 * p + B2 * u;
		y[3 * t] = A2 * A * q + B2 * B * v + x[5 * s];
	} else {
		vec u = x[3 * s];
		y[0] = x[0] + p + u;
		y[t] = q + C * u;
		y[2 * t] = p + C * C * u + x[4 * s];
	}
}

// gradients: the transpose of outputs, m gradients to m+2 factors.
MV_ALWAYS void mv_wino_gradients(int m, const vec *y, int s, vec *v, int t) {
	vec y0 = y[0], y1 = y[s], y2 = y[2 * s];
	v[0] = y0;
	if (m == 4) {
		vec y3 = y[3 * s];
		vec even = y0 + A2 * y2, odd = A * y1 + A2 * A * y3;
		v[t] = even + odd;
		v[2 * t] = even - odd;
		even = y0 + B2 * y2, odd = B * y1 + B2 * B * y3;
		v[3 * t] = even + odd;
		v[4 * t] = even - odd;
		v[5 * t] = y3;
	} else {
		v[t] = y0 + y1 + y2;
		v[2 * t] = y0 - y1 + y2;
		v[3 * t] = y0 + C * y1 + C * C * y2;
		v[4 * t] = y2;
	}
}

// taps: three taps to m+2 factors.
MV_ALWAYS void mv_wino_taps(int m, const vec *w, int s, vec *u, int t) {
	vec w0 = w[0], w1 = w[s], w2 = w[2 * s];
	if (m == 4) {
		u[0] = w0 * (1 / (A2 * B2));
		vec even = (w0 + A2 * w2) * (1 / NA), odd = w1 * (A / NA);
		u[t] = even + odd;
		u[2 * t] = even - odd;
		even = (w0 + B2 * w2) * (1 / NB), odd = w1 * (B / NB);
		u[3 * t] = even + odd;
		u[4 * t] = even - odd;
		u[5 * t] = w2;
	} else {
		u[0] = w0 * (1 / C);
		u[t] = (w0 + w1 + w2) * (1 / N1);
		u[2 * t] = (w0 - w1 + w2) * (1 / NM);
		u[3 * t] = (w0 + C * w1 + C * C * w2) * (1 / NC);
		u[4 * t] = w2;
	}
}

// taps_back: the transpose of taps, m+2 products to three taps.
MV_ALWAYS void mv_wino_taps_back(int m, const vec *u, int s, vec *w, int t) {
	if (m == 4) {
		vec p = (u[s] + u[2 * s]) * (1 / NA), q = (u[s] - u[2 * s]) * (A / NA);
		vec r = (u[3 * s] + u[4 * s]) * (1 / NB), v = (u[3 * s] - u[4 * s]) * (B / NB);
		w[0] = u[0] * (1 / (A2 * B2)) + p + r;
		w[t] = q + v;
		w[2 * t] = A2 * p + B2 * r + u[5 * s];
	} else {
		vec p = u[s] * (1 / N1), q = u[2 * s] * (1 / NM), r = u[3 * s] * (1 / NC);
		w[0] = u[0] * (1 / C) + p + q + r;
		w[t] = p - q + C * r;
		w[2 * t] = p + q + C * C * r + u[4 * s];
	}
}

#endif
