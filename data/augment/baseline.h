// The parts of decoding a baseline JPEG, each with its own file.
#ifndef MANVISION_AUGMENT_BASELINE_H
#define MANVISION_AUGMENT_BASELINE_H

#include <stddef.h>
#include <stdint.h>

#include <vector>

namespace baseline {

// What a Huffman code's bits stand for. Longer codes than kLook bits go by limit.
enum { kLook = 11 };
struct codes {
	bool set;
	// By the next kLook bits, 0 where a code is longer. Low byte: bits of the code; next:
	// its symbol.
	uint16_t symbol[1 << kLook];
	// For codes that with the bits of their value fit into kLook: low byte: all bits; next:
	// coefficients to step over, 255 for the end of the block; high half: the value. 0:
	// by symbol.
	int32_t whole[1 << kLook];
	int32_t limit[18];  // by length, left-aligned in 16 bits: first code that is longer
	int32_t offset[17]; // from a code of a length to its place in values
	uint8_t values[256];
};

// make fills a table from the number of codes of each length 1..16 and their
// symbols. false: no prefix code.
bool make(codes *t, const uint8_t *counts, const uint8_t *values, int n);

// component is one of 1 or 3 colour components.
struct component {
	int id, h, v, quant, dc, ac;
	int width, height; // samples of the picture
	int step, rows;    // of px, in whole blocks
	std::vector<uint8_t> px;
};

// header is what comes before the compressed pixels.
struct header {
	int width, height, restart, count; // count of components
	int hmax, vmax;
	component *comps;
	uint16_t quant[4][64]; // in the file's (zigzag) order
	bool quantised[4];
	codes *dc, *ac; // 4 each
	const uint8_t *scan, *end;
};

// parse reads a file up to its compressed pixels. false: not the common form.
bool parse(header *f, const uint8_t *b, long n);

// scan decodes the compressed pixels into the components. false: something is wrong.
bool scan(const header *f, std::vector<uint8_t> *buf);

// transform writes the 8x8 pixels of dequantised coefficients, row by row, to dst;
// step is the distance of its rows. The pixels are those of libjpeg's accurate
// integer transform.
void transform(const int16_t *block, uint8_t *dst, size_t step);

// colour writes row y as BGR bytes: chroma interpolated by libjpeg's triangle
// ("fancy upsampling"), then converted. temp holds two rows of chroma.
void colour(const header *f, int y, uint8_t *dst, std::vector<uint8_t> *temp);

} // namespace baseline

#endif
