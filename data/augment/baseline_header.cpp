// Headers of baseline JPEGs.
#include "baseline.h"

#include <string.h>

namespace baseline {

static int be16(const uint8_t *p) { return p[0] << 8 | p[1]; }

bool make(codes *t, const uint8_t *counts, const uint8_t *values, int n) {
	memset(t, 0, sizeof *t);
	memcpy(t->values, values, n);
	int code = 0, k = 0;
	for (int len = 1; len <= 16; len++) {
		t->offset[len] = k - code;
		for (int i = 0; i < counts[len - 1]; i++, k++, code++) {
			if (code >= (1 << len) - 1) return false; // the code of ones alone is none
			if (len > kLook) continue;
			const int size = values[k] & 15, run = values[k] >> 4, free = kLook - len;
			for (int low = 0; low < 1 << free; low++) {
				const int at = code << free | low;
				t->symbol[at] = (uint16_t)(values[k] << 8 | len);
				if (values[k] == 0) {
					t->whole[at] = 255 << 8 | len;
				} else if (size > 0 && size <= free) {
					int v = low >> (free - size);
					if (v < 1 << (size - 1)) v += 1 - (1 << size);
					t->whole[at] = (int32_t)((uint32_t)v << 16 | (uint32_t)run << 8 | (uint32_t)(len + size));
				} else if (values[k] == 0xf0) {
					t->whole[at] = 15 << 8 | len; // 16 zeros, the last of them as a value
				}
			}
		}
		t->limit[len] = code << (16 - len);
		code <<= 1;
	}
	t->limit[17] = 1 << 16;
	t->set = true;
	return k == n;
}

static bool quant_tables(header *f, const uint8_t *p, const uint8_t *end) {
	while (p < end) {
		const int wide = p[0] >> 4, id = p[0] & 15;
		if (wide > 1 || id > 3 || end - p < 1 + 64 * (1 + wide)) return false;
		p++;
		for (int i = 0; i < 64; i++, p += 1 + wide) f->quant[id][i] = (uint16_t)(wide ? be16(p) : p[0]);
		f->quantised[id] = true;
	}
	return true;
}

static bool code_tables(header *f, const uint8_t *p, const uint8_t *end) {
	while (p < end) {
		if (end - p < 17) return false;
		const int kind = p[0] >> 4, id = p[0] & 15;
		int n = 0;
		for (int i = 1; i <= 16; i++) n += p[i];
		if (kind > 1 || id > 3 || n > 256 || end - p < 17 + n) return false;
		for (int i = 0; i < n && kind == 0; i++) {
			if (p[17 + i] > 15) return false;
		}
		if (!make((kind ? f->ac : f->dc) + id, p + 1, p + 17, n)) return false;
		p += 17 + n;
	}
	return true;
}

static bool frame(header *f, const uint8_t *p, long n) {
	if (f->count || n < 6 || p[0] != 8) return false;
	f->height = be16(p + 1);
	f->width = be16(p + 3);
	f->count = p[5];
	if ((f->count != 1 && f->count != 3) || n != 6 + 3 * f->count) return false;
	// In narrow pictures libjpeg does not interpolate chroma. Large ones would need
	// their planes' memory beside the picture's.
	if (f->width < 16 || f->height < 16 || (int64_t)f->width * f->height > 1 << 26) return false;
	f->hmax = f->vmax = 1;
	for (int i = 0; i < f->count; i++) {
		component &c = f->comps[i];
		const uint8_t *q = p + 6 + 3 * i;
		c.id = q[0];
		c.h = q[1] >> 4;
		c.v = q[1] & 15;
		c.quant = q[2];
		if (c.quant > 3) return false;
		if (f->count == 1) c.h = c.v = 1;
		if (i == 0) {
			f->hmax = c.h;
			f->vmax = c.v;
		} else if (c.h != 1 || c.v != 1) {
			return false;
		}
	}
	if (f->hmax < 1 || f->hmax > 2 || f->vmax < 1 || f->vmax > f->hmax) return false;
	const int across = (f->width + 8 * f->hmax - 1) / (8 * f->hmax), down = (f->height + 8 * f->vmax - 1) / (8 * f->vmax);
	for (int i = 0; i < f->count; i++) {
		component &c = f->comps[i];
		c.width = (f->width * c.h + f->hmax - 1) / f->hmax;
		c.height = (f->height * c.v + f->vmax - 1) / f->vmax;
		c.step = across * 8 * c.h;
		c.rows = down * 8 * c.v;
	}
	return true;
}

// The scan's own header; all components must be in it.
static bool components(header *f, const uint8_t *p, long n) {
	if (!f->count || n != 4 + 2 * f->count || p[0] != f->count) return false;
	for (int i = 0; i < f->count; i++) {
		component &c = f->comps[i];
		const uint8_t *q = p + 1 + 2 * i;
		c.dc = q[1] >> 4;
		c.ac = q[1] & 15;
		if (q[0] != c.id || c.dc > 3 || c.ac > 3 || !f->dc[c.dc].set || !f->ac[c.ac].set || !f->quantised[c.quant]) return false;
	}
	const uint8_t *q = p + 1 + 2 * f->count;
	return q[0] == 0 && q[1] == 63 && q[2] == 0;
}

bool parse(header *f, const uint8_t *b, long n) {
	if (n < 4 || be16(b) != 0xffd8) return false;
	bool jfif = false;
	int adobe = -1;
	for (long i = 2; i + 4 <= n;) {
		const int marker = b[i + 1];
		if (b[i] != 0xff || marker < 0xc0 || (marker >= 0xd0 && marker <= 0xd9)) return false;
		const long len = be16(b + i + 2);
		if (len < 2 || len > n - i - 2) return false;
		const uint8_t *p = b + i + 4, *end = b + i + 2 + len;
		i += 2 + len;
		switch (marker) {
		case 0xc0:
		case 0xc1:
			if (!frame(f, p, end - p)) return false;
			break;
		case 0xc4:
			if (!code_tables(f, p, end)) return false;
			break;
		case 0xdb:
			if (!quant_tables(f, p, end)) return false;
			break;
		case 0xdd:
			if (end - p != 2) return false;
			f->restart = be16(p);
			break;
		case 0xe0:
			jfif = jfif || (end - p >= 14 && memcmp(p, "JFIF", 5) == 0);
			break;
		case 0xee:
			if (end - p >= 12 && memcmp(p, "Adobe", 5) == 0) adobe = p[11];
			break;
		case 0xda: {
			if (!components(f, p, end - p)) return false;
			const component *c = f->comps;
			// libjpeg's rule for what is YCbCr, without its guesses.
			if (f->count == 3 && !jfif && adobe != 1 && !(adobe < 0 && c[0].id == 1 && c[1].id == 2 && c[2].id == 3)) return false;
			f->scan = end;
			f->end = b + n;
			// A block takes two bits at least: a short file cannot ask for much memory.
			int64_t blocks = 0;
			for (int k = 0; k < f->count; k++) blocks += (int64_t)c[k].step * c[k].rows / 64;
			return blocks <= 4 * (int64_t)(f->end - f->scan);
		}
		case 0xfe:
			break;
		default:
			if (marker < 0xe0 || marker > 0xef) return false; // another process, or a rare form
		}
	}
	return false;
}

} // namespace baseline
