package mask

import "fmt"

// FromText returns the mask of COCO's compressed counts: every run length is a
// signed number in groups of five bits, low groups first, one printable
// character (48 + bits) a group; bit 5 marks that another group follows and bit
// 4 of the last group is the sign. From the fourth run on the number is the
// difference to the run two before. text is not kept.
//
// It fails on characters outside the alphabet, on runs that are cut off,
// negative or too long, and where they do not cover exactly h*w pixels.
func FromText(text []byte, h, w int) (*RLE, error) {
	if err := checkSize(h, w); err != nil {
		return nil, err
	}
	n := 0 // runs: the characters that end a group
	for _, c := range text {
		if (c-48)&0x20 == 0 {
			n++
		}
	}
	counts := make([]uint32, 0, n)
	var sum int64
	for i := 0; i < len(text); {
		var v int64
		for shift := uint(0); ; shift += 5 {
			if i == len(text) {
				return nil, fmt.Errorf("compressed counts end inside run %d", len(counts))
			}
			g := text[i] - 48
			if g > 63 {
				return nil, fmt.Errorf("compressed counts hold character %q at %d", text[i], i)
			}
			if shift > 30 {
				return nil, fmt.Errorf("compressed counts: run %d is too long", len(counts))
			}
			i++
			v |= int64(g&0x1f) << shift
			if g&0x20 == 0 {
				if g&0x10 != 0 {
					v |= -1 << (shift + 5)
				}
				break
			}
		}
		if k := len(counts); k > 2 {
			v += int64(counts[k-2])
		}
		if v < 0 || v > MaxPixels {
			return nil, fmt.Errorf("compressed counts: run %d has length %d", len(counts), v)
		}
		sum += v
		counts = append(counts, uint32(v))
	}
	if sum != int64(h)*int64(w) {
		return nil, fmt.Errorf("run lengths cover %d pixels, size [%d %d] has %d", sum, h, w, h*w)
	}
	return &RLE{H: h, W: w, Counts: counts}, nil
}

// AppendText appends the compressed counts (see [FromText]) to dst.
func (r *RLE) AppendText(dst []byte) []byte {
	for i, c := range r.Counts {
		v := int64(c)
		if i > 2 {
			v -= int64(r.Counts[i-2])
		}
		for {
			g := byte(v & 0x1f)
			v >>= 5
			if (v == 0 && g&0x10 == 0) || (v == -1 && g&0x10 != 0) {
				dst = append(dst, g+48)
				break
			}
			dst = append(dst, (g|0x20)+48)
		}
	}
	return dst
}

// Text returns the compressed counts as a string.
func (r *RLE) Text() string { return string(r.AppendText(nil)) }
