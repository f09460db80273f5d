package ref

import (
	"fmt"
	"math"
	"slices"

	"manvision/device"
)

// pixels interpolates the logits of a PixelCrossEntropy.
type pixels struct {
	device.PixelCrossEntropy
	vertical, horizontal []sample
}

func pixelsOf(o device.PixelCrossEntropy) (pixels, error) {
	v, h, err := axes(device.Resize{N: o.N, H: o.H, W: o.W, C: o.C, OH: o.OH, OW: o.OW, Mode: device.Bilinear})
	return pixels{o, v, h}, err
}

func (p pixels) count() int { return p.N * p.OH * p.OW }

// corners calls f with the source pixels and weights of output pixel i.
func (p pixels) corners(i int, f func(pixel int, weight float64)) {
	image := i / (p.OH * p.OW) * p.H * p.W
	corners(p.vertical[i/p.OW%p.OH], p.horizontal[i%p.OW], p.W, func(pixel int, weight float64) { f(image+pixel, weight) })
}

// logits writes the interpolated logits of output pixel i to row.
func (p pixels) logits(x []float64, i int, row []float64) {
	clear(row)
	p.corners(i, func(pixel int, weight float64) {
		for k, v := range x[pixel*p.C:][:p.C] {
			row[k] += weight * v
		}
	})
}

func (p pixels) check(labels []int32) error {
	for i, l := range labels {
		if l != p.IgnoreIndex && (l < 0 || int(l) >= p.C) {
			return fmt.Errorf("label %d at row %d, column %d of image %d is neither one of %d classes nor the ignored index %d",
				l, i/p.OW%p.OH, i%p.OW, i/(p.OH*p.OW), p.C, p.IgnoreIndex)
		}
	}
	return nil
}

// limit returns the smallest loss that counts, −1 when all do; losses holds those
// of the pixels not ignored and is sorted.
func (p pixels) limit(losses []float64) float64 {
	if !p.Mined() || p.MinKept >= len(losses) {
		return -1
	}
	limit := -math.Log(p.Threshold)
	if p.MinKept > 0 {
		slices.Sort(losses)
		limit = math.Min(limit, losses[len(losses)-p.MinKept])
	}
	return limit
}

func pixelCrossEntropy(o device.PixelCrossEntropy) (program, error) {
	p, err := pixelsOf(o)
	n := p.count()
	return program{scratch: 2 * n, run: func(c *call) error {
		x, labels := c.in[0].f, c.in[1].i
		if err := p.check(labels); err != nil {
			return err
		}
		losses, sorted := c.scratch[:n], c.scratch[n:]
		c.parallel(n, max(1, 256/o.C), func(lo, hi int) {
			row := make([]float64, o.C)
			for i := lo; i < hi; i++ {
				if labels[i] != o.IgnoreIndex {
					p.logits(x, i, row)
					losses[i] = logSumExp(row) - row[labels[i]]
				}
			}
		})
		valid := 0
		for i, l := range labels {
			if l != o.IgnoreIndex {
				sorted[valid] = losses[i]
				valid++
			}
		}
		limit, sum, kept := p.limit(sorted[:valid]), 0.0, 0
		for i, l := range labels {
			if l != o.IgnoreIndex && !(losses[i] < limit) {
				sum += losses[i]
				kept++
			}
		}
		factor := 0.0
		if kept > 0 {
			factor = o.Weight / float64(kept)
		}
		c.out[0].f[0], c.out[1].f[0], c.out[1].f[1] = factor*sum, factor, limit
		return nil
	}}, err
}

func pixelCrossEntropyBackward(o device.PixelCrossEntropy) (program, error) {
	p, err := pixelsOf(o)
	return program{run: func(c *call) error {
		x, labels, state, dloss, dx := c.in[0].f, c.in[1].i, c.in[2].f, c.in[3].f[0], c.out[0].f
		if err := p.check(labels); err != nil {
			return err
		}
		clear(dx)
		// Several output pixels add to one input pixel, so one image is one
		// goroutine's.
		size := o.OH * o.OW
		c.parallel(o.N, 1, func(lo, hi int) {
			row := make([]float64, o.C)
			for i := lo * size; i < hi*size; i++ {
				if labels[i] == o.IgnoreIndex {
					continue
				}
				p.logits(x, i, row)
				lse := logSumExp(row)
				if lse-row[labels[i]] < state[1] {
					continue
				}
				for k, v := range row {
					row[k] = math.Exp(v - lse)
				}
				row[labels[i]]--
				p.corners(i, func(pixel int, weight float64) {
					for k, v := range row {
						dx[pixel*o.C+k] += weight * dloss * state[0] * v
					}
				})
			}
		})
		return nil
	}}, err
}
