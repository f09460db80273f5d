package ref

import (
	"math"

	"manvision/device"
)

// eachWindow calls f for every output pixel (index p) of rows [lo,hi) of N·OH,
// with the image's first input pixel and the window's corner, which may lie
// outside the image.
func eachWindow(o device.Pool, lo, hi int, f func(p, image, h0, w0 int)) {
	OH, OW := o.OH(), o.OW()
	for r := lo; r < hi; r++ {
		n, oh := r/OH, r%OH
		for ow := range OW {
			f(r*OW+ow, n*o.H*o.W, oh*o.SH-o.PH, ow*o.SW-o.PW)
		}
	}
}

func maxPool(o device.Pool) program {
	return program{run: func(c *call) error {
		x, y, arg := c.in[0].f, c.out[0].f, c.out[1].b
		c.parallel(o.N*o.OH(), 1, func(lo, hi int) {
			eachWindow(o, lo, hi, func(p, image, h0, w0 int) {
				for ch := range o.C {
					best, winner := math.Inf(-1), -1
					for h := max(h0, 0); h < min(h0+o.KH, o.H); h++ {
						for w := max(w0, 0); w < min(w0+o.KW, o.W); w++ {
							v := x[(image+h*o.W+w)*o.C+ch]
							if winner < 0 || v > best || math.IsNaN(v) {
								best, winner = v, (h-h0)*o.KW+w-w0
							}
						}
					}
					y[p*o.C+ch], arg[p*o.C+ch] = best, byte(winner)
				}
			})
		})
		return nil
	}}
}

func maxPoolBackward(o device.Pool) program {
	return program{run: func(c *call) error {
		arg, dy, dx := c.in[0].b, c.in[1].f, c.out[0].f
		// Windows overlap, so one image is one goroutine's.
		c.parallel(o.N, 1, func(lo, hi int) {
			clear(dx[lo*o.H*o.W*o.C : hi*o.H*o.W*o.C])
			eachWindow(o, lo*o.OH(), hi*o.OH(), func(p, image, h0, w0 int) {
				for ch := range o.C {
					k := int(arg[p*o.C+ch])
					h, w := h0+k/o.KW, w0+k%o.KW
					dx[(image+h*o.W+w)*o.C+ch] += dy[p*o.C+ch]
				}
			})
		})
		return nil
	}}
}

// cells is what an average is divided by. In ceil mode a window may reach beyond
// the padding; PyTorch never counts what lies there.
func cells(o device.Pool, countPad bool, h0, w0 int) float64 {
	h1, w1 := h0+o.KH, w0+o.KW
	if countPad {
		h1, w1 = min(h1, o.H+o.PH), min(w1, o.W+o.PW)
	} else {
		h1, w1 = min(h1, o.H), min(w1, o.W)
		h0, w0 = max(h0, 0), max(w0, 0)
	}
	return float64((h1 - h0) * (w1 - w0))
}

func avgPool(o device.Pool, countPad bool) program {
	return program{run: func(c *call) error {
		x, y := c.in[0].f, c.out[0].f
		c.parallel(o.N*o.OH(), 1, func(lo, hi int) {
			eachWindow(o, lo, hi, func(p, image, h0, w0 int) {
				out := y[p*o.C:][:o.C]
				clear(out)
				for h := max(h0, 0); h < min(h0+o.KH, o.H); h++ {
					for w := max(w0, 0); w < min(w0+o.KW, o.W); w++ {
						for ch, v := range x[(image+h*o.W+w)*o.C:][:o.C] {
							out[ch] += v
						}
					}
				}
				n := cells(o, countPad, h0, w0)
				for ch := range out {
					out[ch] /= n
				}
			})
		})
		return nil
	}}
}

func avgPoolBackward(o device.Pool, countPad bool) program {
	return program{run: func(c *call) error {
		dy, dx := c.in[0].f, c.out[0].f
		c.parallel(o.N, 1, func(lo, hi int) {
			clear(dx[lo*o.H*o.W*o.C : hi*o.H*o.W*o.C])
			eachWindow(o, lo*o.OH(), hi*o.OH(), func(p, image, h0, w0 int) {
				n := cells(o, countPad, h0, w0)
				g := dy[p*o.C:][:o.C]
				for h := max(h0, 0); h < min(h0+o.KH, o.H); h++ {
					for w := max(w0, 0); w < min(w0+o.KW, o.W); w++ {
						in := dx[(image+h*o.W+w)*o.C:][:o.C]
						for ch, v := range g {
							in[ch] += v / n
						}
					}
				}
			})
		})
		return nil
	}}
}

func globalAvgPool(o device.GlobalAvgPool) program {
	area := o.H * o.W
	return program{run: func(c *call) error {
		x, y := c.in[0].f, c.out[0].f
		for n := range o.N {
			out := y[n*o.C:][:o.C]
			sumRows(c, out, x[n*area*o.C:], area, o.C)
			for ch := range out {
				out[ch] /= float64(area)
			}
		}
		return nil
	}}
}

func globalAvgPoolBackward(o device.GlobalAvgPoolBackward) program {
	area := o.H * o.W
	return program{run: func(c *call) error {
		dy, dx := c.in[0].f, c.out[0].f
		c.parallel(o.N*area, max(1, chunk/o.C), func(lo, hi int) {
			for r := lo; r < hi; r++ {
				out := dx[r*o.C:][:o.C]
				for ch, v := range dy[r/area*o.C:][:o.C] {
					out[ch] = v / float64(area)
				}
			}
		})
		return nil
	}}
}
