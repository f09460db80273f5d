// Package mask holds instance masks in the forms that COCO files use, run
// lengths and polygons, and the operations that an evaluator needs on them:
// area, bounding box, union, intersection over union.
//
// A mask of height H and width W is read column by column: pixel (x, y) has the
// index x*H+y. Results equal those of pycocotools' mask routines, including the
// pixel rule by which polygons become masks.
package mask

import (
	"fmt"
	"math"
)

// MaxPixels bounds the pixels of one mask (H*W), so that run lengths and pixel
// indices fit into 32 bits.
const MaxPixels = math.MaxInt32

// RLE is a mask of H rows and W columns as run lengths in column order. Counts
// alternate between runs of zeros and runs of ones and start with zeros (the
// first count is 0 where pixel 0 is set). They add up to H*W.
type RLE struct {
	H, W   int
	Counts []uint32
}

// FromCounts returns the mask with the given run lengths, which it keeps. It
// fails where the size is negative or too large, or where the runs do not cover
// exactly h*w pixels.
func FromCounts(counts []uint32, h, w int) (*RLE, error) {
	if err := checkSize(h, w); err != nil {
		return nil, err
	}
	var sum uint64
	for _, c := range counts {
		sum += uint64(c)
	}
	if sum != uint64(h)*uint64(w) {
		return nil, fmt.Errorf("run lengths cover %d pixels, size [%d %d] has %d", sum, h, w, h*w)
	}
	return &RLE{H: h, W: w, Counts: counts}, nil
}

func checkSize(h, w int) error {
	if h < 0 || w < 0 || (w > 0 && h > MaxPixels/w) {
		return fmt.Errorf("mask size [%d %d] is out of range", h, w)
	}
	return nil
}

// Encode returns the mask of the h*w pixels of bitmap, which is in column order
// (pixel (x, y) at x*h+y); every value but 0 counts as set.
func Encode(bitmap []byte, h, w int) (*RLE, error) {
	if err := checkSize(h, w); err != nil {
		return nil, err
	}
	if len(bitmap) != h*w {
		return nil, fmt.Errorf("bitmap has %d bytes, size [%d %d] needs %d", len(bitmap), h, w, h*w)
	}
	r := &RLE{H: h, W: w}
	start, on := 0, false
	for i, v := range bitmap {
		if (v != 0) != on {
			r.Counts = append(r.Counts, uint32(i-start))
			start, on = i, !on
		}
	}
	r.Counts = append(r.Counts, uint32(len(bitmap)-start))
	return r, nil
}

// Decode returns the H*W pixels in column order, 1 where the mask is set.
func (r *RLE) Decode() []byte {
	bitmap := make([]byte, r.H*r.W)
	at := 0
	for i, c := range r.Counts {
		end := min(at+int(c), len(bitmap))
		if i%2 == 1 {
			for j := at; j < end; j++ {
				bitmap[j] = 1
			}
		}
		at = end
	}
	return bitmap
}

// Area returns the number of pixels set.
func (r *RLE) Area() int {
	area := 0
	for i := 1; i < len(r.Counts); i += 2 {
		area += int(r.Counts[i])
	}
	return area
}

// Box returns the smallest box x, y, w, h (whole pixels) around the set pixels,
// all zero for a mask without runs of ones. A run that crosses from one column
// into the next spans the full height.
func (r *RLE) Box() [4]float64 {
	if len(r.Counts) < 2 || r.H == 0 {
		return [4]float64{}
	}
	left, top, right, bottom := r.W, r.H, 0, 0
	end := 0
	for i := 0; i+1 < len(r.Counts); i += 2 {
		first := end + int(r.Counts[i])
		end = first + int(r.Counts[i+1])
		last := end - 1
		if last < 0 {
			continue // an empty run at the very start
		}
		x0, y0 := first/r.H, first%r.H
		x1, y1 := last/r.H, last%r.H
		left, right = min(left, x0, x1), max(right, x0, x1)
		top, bottom = min(top, y0, y1), max(bottom, y0, y1)
		if x0 < x1 {
			top, bottom = 0, r.H-1
		}
	}
	if right < left {
		return [4]float64{}
	}
	return [4]float64{float64(left), float64(top), float64(right - left + 1), float64(bottom - top + 1)}
}
