// Winograd's minimal filtering in one dimension for 16 channels at a time (Lavin and
// Gray, "Fast Algorithms for Convolutional Neural Networks", arXiv:1509.09308): m
// outputs of a filter of three taps by fewer than 3m products. The two-dimensional
// algorithm applies each transform to columns, then to rows.
//
// A kind is named after its number of products:
//   6: four outputs from six inputs, Toom-Cook interpolation at 0, 5/8, -5/8, 3/2, -3/2
//      and infinity;
//   5: three outputs from five inputs, at 1/2, -1/2, 3/2, -3/2 and infinity;
//   3: two outputs from two inputs, those before and behind being zero: all of a
//      phase on maps no longer than twice the dilation.
// Those points lose the fewest digits among simple fractions.
#ifndef MV_WINOGRAD_H
#define MV_WINOGRAD_H

// A vector of 16 channels, as aligned as a float.
typedef float vec __attribute__((vector_size(64), aligned(4), may_alias));
typedef int mask __attribute__((vector_size(64), aligned(4), may_alias));
// Sixteen bf16, and the bits of floats.
typedef uint16_t halves __attribute__((vector_size(32), aligned(2), may_alias));
typedef uint32_t words __attribute__((vector_size(64), aligned(4), may_alias));

enum { MV_LANES = 16, MV_SIDE = 6, MV_AREA = MV_SIDE * MV_SIDE };

#define MV_ALWAYS static inline __attribute__((always_inline))

MV_ALWAYS int mv_wino_m(int kind) { return kind == 6 ? 4 : kind == 5 ? 3 : 2; }
MV_ALWAYS int mv_wino_reach(int kind) { return kind == 3 ? 2 : kind; } // inputs
MV_ALWAYS int mv_wino_first(int kind) { return kind == 3; } // the first input's tap

// P and Q are the points besides 0 and infinity; NP and NQ are products of the
// differences to the other points.
#define MV_POINTS(kind) \
	const float P = kind == 6 ? 0.625f : 0.5f, Q = 1.5f, P2 = P * P, Q2 = Q * Q; \
	const float NP = (kind == 6 ? P : 1) * 2 * P * (P2 - Q2), NQ = (kind == 6 ? Q : 1) * 2 * Q * (Q2 - P2); \
	(void)NP, (void)NQ

// The transforms read vectors s apart and write vectors t apart.

// inputs -> factors.
MV_ALWAYS void mv_wino_inputs(int kind, const vec *x, int s, vec *v, int t) {
	MV_POINTS(kind);
	vec x0 = x[0], x1 = x[s];
	if (kind == 3) {
		v[0] = x0;
		v[t] = x0 + x1;
		v[2 * t] = x1;
		return;
	}
	vec x2 = x[2 * s], x3 = x[3 * s], x4 = x[4 * s];
	if (kind == 5) {
		vec odd = x3 - Q2 * x1, even = P * (x2 - Q2 * x0);
		v[0] = odd + even;
		v[t] = odd - even;
		odd = x3 - P2 * x1, even = Q * (x2 - P2 * x0);
		v[2 * t] = odd + even;
		v[3 * t] = odd - even;
		v[4 * t] = P2 * Q2 * x0 - (P2 + Q2) * x2 + x4;
		return;
	}
	vec x5 = x[5 * s];
	v[0] = P2 * Q2 * x0 - (P2 + Q2) * x2 + x4;
	vec even = x4 - Q2 * x2, odd = P * (x3 - Q2 * x1);
	v[t] = even + odd;
	v[2 * t] = even - odd;
	even = x4 - P2 * x2, odd = Q * (x3 - P2 * x1);
	v[3 * t] = even + odd;
	v[4 * t] = even - odd;
	v[5 * t] = P2 * Q2 * x1 - (P2 + Q2) * x3 + x5;
}

// products -> outputs.
MV_ALWAYS void mv_wino_outputs(int kind, const vec *x, int s, vec *y, int t) {
	MV_POINTS(kind);
	if (kind == 3) {
		y[0] = x[s] + x[2 * s];
		y[t] = x[0] + x[s];
		return;
	}
	const vec *z = kind == 6 ? x + s : x;
	vec p = z[0] + z[s], q = z[0] - z[s], u = z[2 * s] + z[3 * s], v = z[2 * s] - z[3 * s], last = z[4 * s];
	y[0] = p + u;
	y[t] = P * q + Q * v;
	y[2 * t] = P2 * p + Q2 * u;
	if (kind == 6) {
		y[0] += x[0];
		y[3 * t] = P2 * P * q + Q2 * Q * v + last;
	} else {
		y[2 * t] += last;
	}
}

// The transpose of outputs: gradients of outputs -> factors.
MV_ALWAYS void mv_wino_gradients(int kind, const vec *y, int s, vec *v, int t) {
	MV_POINTS(kind);
	vec y0 = y[0], y1 = y[s];
	if (kind == 3) {
		v[0] = y1;
		v[t] = y0 + y1;
		v[2 * t] = y0;
		return;
	}
	vec y2 = y[2 * s], p = P * y1, q = Q * y1, last = y2;
	if (kind == 6) {
		last = y[3 * s];
		p += P2 * P * last;
		q += Q2 * Q * last;
		v[0] = y0;
		v += t;
	}
	v[0] = y0 + P2 * y2 + p;
	v[t] = y0 + P2 * y2 - p;
	v[2 * t] = y0 + Q2 * y2 + q;
	v[3 * t] = y0 + Q2 * y2 - q;
	v[4 * t] = last;
}

// taps -> factors.
MV_ALWAYS void mv_wino_taps(int kind, const vec *w, int s, vec *u, int t) {
	MV_POINTS(kind);
	vec w0 = w[0], w1 = w[s], w2 = w[2 * s];
	if (kind == 3) {
		u[0] = w0 - w1;
		u[t] = w1;
		u[2 * t] = w2 - w1;
		return;
	}
	float minus = -1; // the sign of NP and NQ at -P and -Q
	if (kind == 6) {
		u[0] = w0 * (1 / (P2 * Q2));
		u += t;
		minus = 1;
	}
	vec even = (w0 + P2 * w2) * (1 / NP), odd = w1 * (P / NP);
	u[0] = even + odd;
	u[t] = (even - odd) * minus;
	even = (w0 + Q2 * w2) * (1 / NQ), odd = w1 * (Q / NQ);
	u[2 * t] = even + odd;
	u[3 * t] = (even - odd) * minus;
	u[4 * t] = w2;
}

// The transpose of taps: products -> gradients of taps.
MV_ALWAYS void mv_wino_taps_back(int kind, const vec *u, int s, vec *w, int t) {
	MV_POINTS(kind);
	if (kind == 3) {
		w[0] = u[0];
		w[t] = u[s] - u[0] - u[2 * s];
		w[2 * t] = u[2 * s];
		return;
	}
	const vec *z = kind == 6 ? u + s : u;
	float minus = kind == 6 ? 1 : -1;
	vec even = (z[0] + minus * z[s]) * (1 / NP) , odd = (z[0] - minus * z[s]) * (P / NP);
	w[0] = even;
	w[t] = odd;
	w[2 * t] = P2 * even + z[4 * s];
	even = (z[2 * s] + minus * z[3 * s]) * (1 / NQ), odd = (z[2 * s] - minus * z[3 * s]) * (Q / NQ);
	w[0] += even;
	w[t] += odd;
	w[2 * t] += Q2 * even;
	if (kind == 6) w[0] += u[0] * (1 / (P2 * Q2));
}

#endif
