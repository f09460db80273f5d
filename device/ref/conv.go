package ref

import "manvision/device"

// A convolution is computed as a matrix product with patches: for every output
// pixel the inputs its window covers are gathered into one row (zero where the
// window hangs over the edge), which is then multiplied with every filter, laid
// out in the same order. Rows hold the groups one after the other, each
// [KH,KW,channels of the group].

// tileElems bounds the patches gathered at a time, in float64 elements, so that
// they stay in a core's cache; chunkElems bounds them where all cores work on the
// same patches.
const (
	tileElems  = 1 << 15
	chunkElems = 1 << 19
)

func conv(o device.Conv, threads int) program {
	icg, ocg := o.IC/o.Groups, o.OC/o.Groups
	k := o.KH * o.KW * icg
	row := k * o.Groups
	tile := max(1, tileElems/row)
	pixels := o.N * o.OH() * o.OW()
	addend := 0
	if o.Sum {
		addend = pixels * o.OC
	}
	return program{scratch: o.OC*k + threads*tile*row + addend, run: func(c *call) error {
		x, w, y := c.in[0].f, c.in[1].f, c.out[0].f
		z := c.scratch[len(c.scratch)-addend:] // y may lie where it lay
		if o.Sum {
			copy(z, c.in[len(c.in)-1].f)
		}
		var b []float64
		if o.Bias {
			b = c.in[2].f
		}
		packed := c.scratch[:o.OC*k]
		packForward(o, packed, w)
		product(c, c.scratch[o.OC*k:], pixels, tile, row, o.Groups, ocg, y, packed, b,
			func(dst []float64, pixel int) { gather(o, dst, x, pixel) })
		for i, v := range z {
			y[i] += v
		}
		if o.ReLU {
			c.parallel(len(y), chunk, func(lo, hi int) { rectify(y[lo:hi], y[lo:hi]) })
		}
		return nil
	}}
}

func convBackwardData(o device.Conv, threads int) program {
	icg, ocg := o.IC/o.Groups, o.OC/o.Groups
	k := o.KH * o.KW * ocg
	row := k * o.Groups
	tile := max(1, tileElems/row)
	pixels := o.N * o.H * o.W
	return program{scratch: o.IC*k + threads*tile*row, run: func(c *call) error {
		dy, w, dx := c.in[0].f, c.in[1].f, c.out[0].f
		packed := c.scratch[:o.IC*k]
		packBackward(o, packed, w)
		product(c, c.scratch[o.IC*k:], pixels, tile, row, o.Groups, icg, dx, packed, nil,
			func(dst []float64, pixel int) { gatherBackward(o, dst, dy, pixel) })
		return nil
	}}
}

// product writes out [pixels, groups·perGroup]: pixel's patch times the filters of
// each group. gather fills the patch of one pixel; patches has room for a tile of
// them per goroutine.
func product(c *call, patches []float64, pixels, tile, row, groups, perGroup int, out, filters, bias []float64, gather func(dst []float64, pixel int)) {
	k, channels := row/groups, groups*perGroup
	tiles := (pixels + tile - 1) / tile
	parts := min(c.threads, tiles)
	c.parallel(parts, 1, func(lo, hi int) {
		for part := lo; part < hi; part++ {
			mine := patches[part*tile*row:][:tile*row]
			for t := part * tiles / parts; t < (part+1)*tiles/parts; t++ {
				first, last := t*tile, min((t+1)*tile, pixels)
				for p := first; p < last; p++ {
					gather(mine[(p-first)*row:][:row], p)
				}
				for g := range groups {
					// A few filters at a time stay in the nearest cache while the
					// tile's patches pass by.
					for f := 0; f < perGroup; f += 4 {
						n := min(4, perGroup-f)
						at := g*perGroup + f
						var b []float64
						if bias != nil {
							b = bias[at:][:n]
						}
						for p := first; p < last; p++ {
							dots(out[p*channels+at:][:n], mine[(p-first)*row+g*k:][:k], filters[at*k:], b)
						}
					}
				}
			}
		}
	})
}

func convBackwardWeights(o device.Conv) program {
	icg, ocg := o.IC/o.Groups, o.OC/o.Groups
	k := o.KH * o.KW * icg
	row := k * o.Groups
	pixels := o.N * o.OH() * o.OW()
	band := min(max(4, chunkElems/row), pixels)
	return program{scratch: o.OC*k + band*row, run: func(c *call) error {
		x, dy, dw := c.in[0].f, c.in[1].f, c.out[0].f
		packed, patches := c.scratch[:o.OC*k], c.scratch[o.OC*k:]
		clear(packed)
		for first := 0; first < pixels; first += band {
			n := min(band, pixels-first)
			c.parallel(n, 1, func(lo, hi int) {
				for p := lo; p < hi; p++ {
					gather(o, patches[p*row:][:row], x, first+p)
				}
			})
			c.parallel(o.OC, 1, func(lo, hi int) {
				// The same few patches serve all filters of this goroutine before
				// the next few are touched.
				step := max(4, tileElems/row/4*4)
				for p := 0; p < n; p += step {
					for oc := lo; oc < hi; oc++ {
						combine(packed[oc*k:][:k], dy[(first+p)*o.OC+oc:], o.OC,
							patches[p*row+oc/ocg*k:], row, min(step, n-p))
					}
				}
			})
		}
		unpack(o, dw, packed)
		if o.Bias {
			sumRows(c, c.out[1].f, dy, pixels, o.OC)
		}
		return nil
	}}
}

// gather writes the inputs under the window of an output pixel.
func gather(o device.Conv, dst, x []float64, pixel int) {
	icg, k := o.IC/o.Groups, o.KH*o.KW*(o.IC/o.Groups)
	ow := pixel % o.OW()
	oh := pixel / o.OW() % o.OH()
	n := pixel / o.OW() / o.OH()
	for kh := range o.KH {
		h := oh*o.SH - o.PH + kh*o.DH
		for kw := range o.KW {
			w := ow*o.SW - o.PW + kw*o.DW
			at := (kh*o.KW + kw) * icg
			if h < 0 || h >= o.H || w < 0 || w >= o.W {
				for g := range o.Groups {
					clear(dst[g*k+at:][:icg])
				}
				continue
			}
			src := x[((n*o.H+h)*o.W+w)*o.IC:][:o.IC]
			for g := range o.Groups {
				copy(dst[g*k+at:][:icg], src[g*icg:])
			}
		}
	}
}

// gatherBackward writes the output gradients that an input pixel took part in:
// for every tap the output pixel which met it there, if there is one.
func gatherBackward(o device.Conv, dst, dy []float64, pixel int) {
	ocg, k := o.OC/o.Groups, o.KH*o.KW*(o.OC/o.Groups)
	w := pixel % o.W
	h := pixel / o.W % o.H
	n := pixel / o.W / o.H
	OH, OW := o.OH(), o.OW()
	for kh := range o.KH {
		oh := h + o.PH - kh*o.DH
		for kw := range o.KW {
			ow := w + o.PW - kw*o.DW
			at := (kh*o.KW + kw) * ocg
			if oh < 0 || ow < 0 || oh%o.SH != 0 || ow%o.SW != 0 || oh/o.SH >= OH || ow/o.SW >= OW {
				for g := range o.Groups {
					clear(dst[g*k+at:][:ocg])
				}
				continue
			}
			src := dy[((n*OH+oh/o.SH)*OW+ow/o.SW)*o.OC:][:o.OC]
			for g := range o.Groups {
				copy(dst[g*k+at:][:ocg], src[g*ocg:])
			}
		}
	}
}

// packForward turns OIHW filters into [O,H,W,I], the order of a patch.
func packForward(o device.Conv, dst, w []float64) {
	icg, taps := o.IC/o.Groups, o.KH*o.KW
	for oc := range o.OC {
		for ic := range icg {
			for t := range taps {
				dst[(oc*taps+t)*icg+ic] = w[(oc*icg+ic)*taps+t]
			}
		}
	}
}

// unpack is the inverse of packForward.
func unpack(o device.Conv, w, packed []float64) {
	icg, taps := o.IC/o.Groups, o.KH*o.KW
	for oc := range o.OC {
		for ic := range icg {
			for t := range taps {
				w[(oc*icg+ic)*taps+t] = packed[(oc*taps+t)*icg+ic]
			}
		}
	}
}

// packBackward turns OIHW filters into [input channel, H, W, output channel of its
// group], the order of a backward patch.
func packBackward(o device.Conv, dst, w []float64) {
	icg, ocg, taps := o.IC/o.Groups, o.OC/o.Groups, o.KH*o.KW
	for oc := range o.OC {
		g, j := oc/ocg, oc%ocg
		for ic := range icg {
			for t := range taps {
				dst[((g*icg+ic)*taps+t)*ocg+j] = w[(oc*icg+ic)*taps+t]
			}
		}
	}
}
