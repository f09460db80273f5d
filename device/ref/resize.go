package ref

import (
	"fmt"
	"math"

	"manvision/device"
)

// sample says which two source cells an output cell lies between: the value is
// (1−t)·x[lo] + t·x[hi].
type sample struct {
	lo, hi int
	t      float64
}

// samples lists the sample of every output cell along one axis.
func samples(mode device.ResizeMode, in, out int) ([]sample, error) {
	s := make([]sample, out)
	for i := range s {
		var at float64
		switch mode {
		case device.Nearest:
			s[i] = sample{lo: i * in / out, hi: i * in / out}
			continue
		case device.Bilinear:
			at = math.Max((float64(i)+0.5)*float64(in)/float64(out)-0.5, 0)
		case device.BilinearAligned:
			if out > 1 {
				at = float64(i) * float64(in-1) / float64(out-1)
			}
		default:
			return nil, fmt.Errorf("ref: unknown resize mode %d", mode)
		}
		lo := min(int(at), in-1)
		s[i] = sample{lo: lo, hi: min(lo+1, in-1), t: at - float64(lo)}
	}
	return s, nil
}

// corners calls f with the source pixels (index within the map) and weights that
// make up output pixel (oh, ow); those of weight zero are left out.
func corners(v, h sample, width int, f func(pixel int, weight float64)) {
	for _, a := range [2]struct {
		y int
		w float64
	}{{v.lo, 1 - v.t}, {v.hi, v.t}} {
		for _, b := range [2]struct {
			x int
			w float64
		}{{h.lo, 1 - h.t}, {h.hi, h.t}} {
			if a.w*b.w != 0 {
				f(a.y*width+b.x, a.w*b.w)
			}
		}
	}
}

func resize(o device.Resize) (program, error) {
	vs, hs, err := axes(o)
	return program{run: func(c *call) error {
		x, y := c.in[0].f, c.out[0].f
		c.parallel(o.N*o.OH, 1, func(lo, hi int) {
			for r := lo; r < hi; r++ {
				image := r / o.OH * o.H * o.W
				for ow := range o.OW {
					out := y[(r*o.OW+ow)*o.C:][:o.C]
					clear(out)
					corners(vs[r%o.OH], hs[ow], o.W, func(pixel int, weight float64) {
						for ch, v := range x[(image+pixel)*o.C:][:o.C] {
							out[ch] += weight * v
						}
					})
				}
			}
		})
		return nil
	}}, err
}

func resizeBackward(o device.Resize) (program, error) {
	vs, hs, err := axes(o)
	return program{run: func(c *call) error {
		dy, dx := c.in[0].f, c.out[0].f
		clear(dx)
		// Several output pixels add to one input pixel, so one image is one
		// goroutine's.
		c.parallel(o.N, 1, func(lo, hi int) {
			for r := lo * o.OH; r < hi*o.OH; r++ {
				image := r / o.OH * o.H * o.W
				for ow := range o.OW {
					g := dy[(r*o.OW+ow)*o.C:][:o.C]
					corners(vs[r%o.OH], hs[ow], o.W, func(pixel int, weight float64) {
						in := dx[(image+pixel)*o.C:][:o.C]
						for ch, v := range g {
							in[ch] += weight * v
						}
					})
				}
			}
		})
		return nil
	}}, err
}

func axes(o device.Resize) (vertical, horizontal []sample, err error) {
	if vertical, err = samples(o.Mode, o.H, o.OH); err != nil {
		return nil, nil, err
	}
	horizontal, err = samples(o.Mode, o.W, o.OW)
	return vertical, horizontal, err
}
