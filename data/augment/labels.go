package augment

import (
	"errors"
	"fmt"
)

// DrawLabels brings the SrcH x SrcW label map of p's image to the canvas as p
// brings the image: dst, h x w bytes, gets the window in its top left and ignore
// everywhere else. Each canvas pixel takes the label of the source pixel whose
// centre is nearest to where the image is sampled, the one to the right of or
// below a tie, so that labels and image stay within half a source pixel.
//
// (OpenCV's INTER_NEAREST takes the source pixel at i*m/n instead of
// (i+0.5)*m/n, which shifts a map by up to half a source pixel against a linearly
// resized image.)
func (p Params) DrawLabels(labels, dst []uint8, h, w int, ignore uint8) error {
	if err := p.checkLabels(labels); err != nil {
		return err
	}
	if p.InW > w || p.InH > h || len(dst) != h*w {
		return fmt.Errorf("label map of %dx%d does not fit a canvas of %dx%d with %d bytes", p.InW, p.InH, w, h, len(dst))
	}
	cols := p.columns(nil)
	if p.Flip {
		for i, j := 0, len(cols)-1; i < j; i, j = i+1, j-1 {
			cols[i], cols[j] = cols[j], cols[i]
		}
	}
	fw, _ := p.full()
	straight := fw == p.SrcW && p.Cut.Empty() && !p.Flip
	for y := 0; y < h; y++ {
		out := dst[y*w : (y+1)*w]
		n := 0
		if y < p.InH {
			row := p.labelRow(labels, y)
			n = len(cols)
			if straight {
				copy(out, row[p.CropX:p.CropX+n])
			} else {
				for i, x := range cols {
					out[i] = row[x]
				}
			}
		}
		for i := n; i < w; i++ {
			out[i] = ignore
		}
	}
	return nil
}

func (p Params) checkLabels(labels []uint8) error {
	if len(labels) != p.SrcW*p.SrcH {
		return fmt.Errorf("label map of %d values for an image of %dx%d", len(labels), p.SrcW, p.SrcH)
	}
	if p.Padding != PadNone {
		return errors.New("a padded crop has no label map")
	}
	return nil
}

// columns are the source columns of the window's pixels, before the mirror, in
// buf's memory.
func (p Params) columns(buf []int32) []int32 {
	fw, _ := p.full()
	part := p.part()
	buf = buf[:0]
	for i := 0; i < p.InW; i++ {
		buf = append(buf, int32(part.Min.X+nearest(p.CropX+i, part.Dx(), fw)))
	}
	return buf
}

// labelRow is the source row of the window's row y.
func (p Params) labelRow(labels []uint8, y int) []uint8 {
	_, fh := p.full()
	part := p.part()
	y = part.Min.Y + nearest(p.CropY+y, part.Dy(), fh)
	return labels[y*p.SrcW : (y+1)*p.SrcW]
}

// nearest is floor((i+0.5)*m/n): of m pixels the one in which the centre of pixel
// i of n lies.
func nearest(i, m, n int) int { return (2*i + 1) * m / (2 * n) }
