// Huffman codes of baseline JPEGs. libjpeg looks up a code and then fetches the bits
// of its value; here one look at the next eleven bits gives both for nearly all
// coefficients.
#include "baseline.h"

#include <string.h>

#if defined(__x86_64__)

namespace baseline {

namespace {

// Where the file's coefficient k lies in a block, row by row.
const uint8_t kOrder[64] = {0,  1,  8,  16, 9,  2,  3,  10, 17, 24, 32, 25, 18, 11, 4,  5,  12, 19, 26, 33, 40, 48,
                            41, 34, 27, 20, 13, 6,  7,  14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23,
                            30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63};

// Bytes behind a segment that reading may touch: a block has at most 64 values of
// 16 + 15 bits.
const int kBeyond = 512;

struct reader {
	const uint8_t *p, *end; // of the segment, free of stuffing
	uint64_t acc;           // bits to come, left-aligned
	int have;               // of acc

	// At least 56 bits afterwards.
	inline __attribute__((always_inline)) void fill() {
		uint64_t v;
		memcpy(&v, p, 8);
		acc |= __builtin_bswap64(v) >> have;
		p += (63 - have) >> 3;
		have |= 56;
	}
	inline void drop(int n) {
		acc <<= n;
		have -= n;
	}
	// Bits beyond the segment's end were used.
	bool beyond() const { return (p - end) * 8 > have; }
	bool used_up() const { return !beyond() && (end - p) * 8 + have < 8; }
};

// segment copies the bytes up to the next marker without the zeros that follow 0xff
// among them. It returns the marker's place, null if there is none.
const uint8_t *segment(const uint8_t *p, const uint8_t *end, std::vector<uint8_t> *buf, reader *r) {
	if ((size_t)(end - p) + kBeyond > buf->size()) buf->resize((end - p) + kBeyond);
	uint8_t *out = buf->data();
	for (;;) {
		const uint8_t *ff = (const uint8_t *)memchr(p, 0xff, end - p);
		if (!ff || ff + 1 >= end) return nullptr;
		memcpy(out, p, ff - p);
		out += ff - p;
		if (ff[1] != 0) {
			memset(out, 0, kBeyond);
			r->p = buf->data();
			r->end = out;
			r->acc = 0;
			r->have = 0;
			return ff;
		}
		*out++ = 0xff;
		p = ff + 2;
	}
}

// The next code's symbol; -1: no code. At least 16 bits are there.
inline int symbol(reader *r, const codes *t) {
	const unsigned s = t->symbol[r->acc >> (64 - kLook)];
	if (s) {
		r->drop(s & 255);
		return s >> 8;
	}
	const int32_t top = (int32_t)(r->acc >> 48);
	for (int len = kLook + 1; len <= 16; len++) {
		if (top < t->limit[len]) {
			r->drop(len);
			return t->values[(t->offset[len] + (top >> (16 - len))) & 255];
		}
	}
	return -1;
}

// A value of size bits, 1 to 15, which are there.
inline int value(reader *r, int size) {
	const int v = (int)(r->acc >> (64 - size));
	r->drop(size);
	return v < 1 << (size - 1) ? v + 1 - (1 << size) : v;
}

// One block: -1 where something is wrong, else the last coefficient's place.
inline __attribute__((always_inline)) int block(reader *r, const codes *dc, const codes *ac, const uint16_t *quant, int *last, int16_t *out) {
	r->fill();
	int size = symbol(r, dc);
	if (size < 0 || size > 11) return -1;
	if (size) *last += value(r, size);
	if (*last < -32768 || *last > 32767) return -1;
	out[0] = (int16_t)(*last * quant[0]);
	int k = 1, highest = 0;
	reader now = *r; // in registers
	while (k < 64) {
		if (now.have < 32) now.fill();
		const int32_t e = ac->whole[now.acc >> (64 - kLook)];
		if (e) {
			now.drop(e & 255);
			const int run = e >> 8 & 255;
			if (run == 255) break;
			k += run;
			if (k > 63) return -1;
			out[kOrder[k]] = (int16_t)((e >> 16) * quant[k]);
			highest = k++;
			continue;
		}
		const int s = symbol(&now, ac);
		if (s < 0) return -1;
		if (s == 0) break;
		size = s & 15;
		k += s >> 4;
		if (k > 63 || (size == 0 && s != 0xf0)) return -1;
		if (size) out[kOrder[k]] = (int16_t)(value(&now, size) * quant[k]);
		highest = k++;
	}
	*r = now;
	return highest;
}

void flat(int dc, uint8_t *dst, size_t step) {
	int v = ((dc * 4 + 16) >> 5) + 128;
	v = v < 0 ? 0 : v > 255 ? 255 : v;
	for (int y = 0; y < 8; y++) memset(dst + y * step, v, 8);
}

} // namespace

__attribute__((target("bmi2"))) bool scan(const header *f, std::vector<uint8_t> *buf) {
	reader r;
	const uint8_t *marker = segment(f->scan, f->end, buf, &r);
	if (!marker) return false;
	int last[3] = {0, 0, 0}, left = f->restart ? f->restart : 1 << 30, turn = 0;
	const int across = f->comps[0].step / (8 * f->hmax), down = f->comps[0].rows / (8 * f->vmax);
	alignas(32) int16_t coefs[64];
	for (int y = 0; y < down; y++) {
		for (int x = 0; x < across; x++, left--) {
			if (left == 0) {
				if (!r.used_up() || marker[1] != 0xd0 + turn) return false;
				turn = (turn + 1) & 7;
				left = f->restart;
				marker = segment(marker + 2, f->end, buf, &r);
				if (!marker) return false;
				last[0] = last[1] = last[2] = 0;
			}
			for (int i = 0; i < f->count; i++) {
				component &c = f->comps[i];
				for (int b = 0; b < c.h * c.v; b++) {
					memset(coefs, 0, sizeof coefs);
					const int highest = block(&r, f->dc + c.dc, f->ac + c.ac, f->quant[c.quant], last + i, coefs);
					if (highest < 0 || r.beyond()) return false;
					uint8_t *dst = c.px.data() + (size_t)(y * c.v + b / c.h) * 8 * c.step + (size_t)(x * c.h + b % c.h) * 8;
					if (highest == 0)
						flat(coefs[0], dst, c.step);
					else
						transform(coefs, dst, c.step);
				}
			}
		}
	}
	return r.used_up() && marker[1] == 0xd9;
}

} // namespace baseline

#endif
