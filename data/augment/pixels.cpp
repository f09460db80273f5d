// Pixels in and out of images, and windows that leave the image.
#include "cv.h"

#include <string.h>

#include <vector>

#include <opencv2/core.hpp>

static void swap_rb(const unsigned char *s, unsigned char *d, int n) {
	for (int i = 0; i < n; i++, s += 3, d += 3) {
		const unsigned char r = s[0];
		d[1] = s[1];
		d[0] = s[2];
		d[2] = r;
	}
}

void mv_from_rgb(void *dst, const unsigned char *rgb, int w, int h) {
	cv::Mat &m = *(cv::Mat *)dst;
	m.create(h, w, CV_8UC3);
	for (int y = 0; y < h; y++) swap_rb(rgb + (size_t)y * w * 3, m.ptr(y), w);
}

void mv_to_rgb(const void *src, unsigned char *rgb) {
	const cv::Mat &m = *(const cv::Mat *)src;
	for (int y = 0; y < m.rows; y++) swap_rb(m.ptr(y), rgb + (size_t)y * m.cols * 3, m.cols);
}

// Where index i of n pixels mirrored at the borders, which are not repeated, is
// taken from.
static int mirrored(int i, int n) {
	if (n == 1) return 0;
	const int period = 2 * (n - 1);
	i %= period;
	if (i < 0) i += period;
	return i < n ? i : period - i;
}

void mv_cut(const void *src, void *dst, int x, int y, int w, int h, int reflect) {
	const cv::Mat &in = *(const cv::Mat *)src;
	cv::Mat &out = *(cv::Mat *)dst;
	out.create(h, w, CV_8UC3);
	// Columns [from, to) of the window lie in the image.
	const int from = x < 0 ? (-x < w ? -x : w) : 0;
	int to = in.cols - x < w ? in.cols - x : w;
	if (to < from) to = from;
	for (int i = 0; i < h; i++) {
		unsigned char *d = out.ptr(i);
		int row = y + i;
		if (row < 0 || row >= in.rows) {
			if (!reflect) {
				memset(d, 0, (size_t)w * 3);
				continue;
			}
			row = mirrored(row, in.rows);
		}
		const unsigned char *s = in.ptr(row);
		if (to > from) memcpy(d + 3 * from, s + 3 * (x + from), (size_t)(to - from) * 3);
		for (int j = 0; j < w; j++) {
			if (j == from) j = to;
			if (j >= w) break;
			if (reflect)
				memcpy(d + 3 * j, s + 3 * mirrored(x + j, in.cols), 3);
			else
				memset(d + 3 * j, 0, 3);
		}
	}
}
