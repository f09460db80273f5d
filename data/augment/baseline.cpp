// Decoding of the JPEGs that nearly all are: baseline, one scan, 8 bits, grey or
// YCbCr with chroma at full, half or quarter resolution. Nine tenths of a loader's
// time go into JPEGs and most of that into Huffman codes, for which libjpeg has no
// vector code. The pixels are libjpeg's, bit for bit. Anything else, and whatever is
// wrong with a file, is left to libjpeg, which has words for it.
#include "baseline.h"
#include "cv.h"

#include <exception>

#include <opencv2/core.hpp>

struct mv_jpeg {
	baseline::codes dc[4], ac[4];
	baseline::component comps[3];
	std::vector<uint8_t> segment, chroma;
};

mv_jpeg *mv_jpeg_new(void) {
	try {
		return new mv_jpeg();
	} catch (const std::exception &) {
		return nullptr;
	}
}

void mv_jpeg_free(mv_jpeg *s) { delete s; }

int mv_decode_baseline(mv_jpeg *s, void *mat, const unsigned char *buf, long n) {
#if defined(__x86_64__)
	if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("bmi2")) return 3;
	try {
		baseline::header f = {};
		f.comps = s->comps;
		f.dc = s->dc;
		f.ac = s->ac;
		for (int i = 0; i < 4; i++) s->dc[i].set = s->ac[i].set = false;
		if (!baseline::parse(&f, buf, n)) return 3;
		for (int i = 0; i < f.count; i++) {
			baseline::component &c = s->comps[i];
			// Rows are read 16 bytes at a time.
			const size_t need = (size_t)c.step * c.rows + 32;
			if (c.px.size() < need) c.px.resize(need);
		}
		if (!baseline::scan(&f, &s->segment)) return 3;
		const size_t row = 2 * (2 * (size_t)s->comps[f.count - 1].step + 32);
		if (s->chroma.size() < row) s->chroma.resize(row);
		cv::Mat &m = *(cv::Mat *)mat;
		m.create(f.height, f.width, CV_8UC3);
		for (int y = 0; y < f.height; y++) baseline::colour(&f, y, m.ptr(y), &s->chroma);
		return 0;
	} catch (const std::exception &) {
		return 3;
	}
#else
	return 3;
#endif
}
