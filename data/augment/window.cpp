// Bilinear resizing of a window: what cv::resize would make of the whole image,
// without making the whole. cv::resize of a source rectangle cannot do it: a
// window's corner lies between source pixels.
#include "cv.h"

#include <math.h>
#include <stdint.h>

#include <algorithm>
#include <vector>

#include <opencv2/core.hpp>

namespace {

// The two source pixels of an output pixel and their weights, of 2048.
struct tap {
	int at0, at1;
	int16_t w0, w1;
};

// Positions in float and weights in 11 bits, as cv::resize has them for bytes;
// as there, a pixel beyond the border is left out across and doubled down.
void taps(std::vector<tap> &t, int from, int n, int full, int size, bool across) {
	const double scale = 1. / ((double)full / size);
	t.resize(n);
	for (int i = 0; i < n; i++) {
		float f = (float)((from + i + 0.5) * scale - 0.5);
		int at = (int)floorf(f);
		f -= at;
		if (across && (at < 0 || at >= size - 1)) f = 0;
		t[i].at0 = std::min(std::max(at, 0), size - 1);
		t[i].at1 = std::min(std::max(at + 1, 0), size - 1);
		t[i].w0 = (int16_t)lrintf((1.f - f) * 2048);
		t[i].w1 = (int16_t)lrintf(f * 2048);
	}
}

// One source row across, to 15 bits.
void across(const unsigned char *s, const tap *t, int w, int16_t *d) {
	for (int x = 0; x < w; x++) {
		const unsigned char *p = s + 3 * t[x].at0, *q = s + 3 * t[x].at1;
		const int a = t[x].w0, b = t[x].w1;
		for (int c = 0; c < 3; c++) d[3 * x + c] = (int16_t)((p[c] * a + q[c] * b) >> 4);
	}
}

void down(const int16_t *s0, const int16_t *s1, int a, int b, int n, unsigned char *d) {
	for (int i = 0; i < n; i++) d[i] = (unsigned char)((((s0[i] * a) >> 16) + ((s1[i] * b) >> 16) + 2) >> 2);
}

} // namespace

void mv_resize_window(const void *src, void *dst, int fw, int fh, int x, int y, int w, int h) {
	const cv::Mat &in = *(const cv::Mat *)src;
	cv::Mat &out = *(cv::Mat *)dst;
	out.create(h, w, CV_8UC3);
	std::vector<tap> cols, rows;
	taps(cols, x, w, fw, in.cols, true);
	taps(rows, y, h, fh, in.rows, false);
	// Neighbouring output rows share source rows: each is done once.
	std::vector<int16_t> a(3 * (size_t)w), b(3 * (size_t)w);
	int have_a = -1, have_b = -1;
	for (int i = 0; i < h; i++) {
		const tap &r = rows[i];
		if (r.at0 == have_b) {
			a.swap(b);
			std::swap(have_a, have_b);
		}
		if (r.at0 != have_a) across(in.ptr(have_a = r.at0), cols.data(), w, a.data());
		if (r.at1 != have_b) across(in.ptr(have_b = r.at1), cols.data(), w, b.data());
		down(a.data(), b.data(), r.w0, r.w1, 3 * w, out.ptr(i));
	}
}
