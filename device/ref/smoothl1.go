package ref

import (
	"math"

	"manvision/device"
)

// smoothL1Term is the loss of one difference pred−target and its derivative.
func smoothL1Term(beta, diff float64) (loss, grad float64) {
	d := math.Abs(diff)
	switch {
	case d < beta:
		return d * d / (2 * beta), diff / beta
	case diff > 0:
		return d - beta/2, 1
	case diff < 0:
		return d - beta/2, -1
	}
	return d - beta/2, 0 // equal with beta 0, or NaN
}

func smoothL1(o device.SmoothL1) program {
	return program{scratch: chunks(o.Rows), run: func(c *call) error {
		pred, target, labels, norm := c.in[0].f, c.in[1].f, c.in[2].i, c.in[3].f[0]
		if err := checkNorm(norm); err != nil {
			return err
		}
		c.out[0].f[0] = c.sum(o.Rows, c.scratch, func(lo, hi int) float64 {
			s := 0.0
			for r := lo; r < hi; r++ {
				if labels[r] < 0 {
					continue
				}
				for i := r * o.Dim; i < (r+1)*o.Dim; i++ {
					loss, _ := smoothL1Term(o.Beta, pred[i]-target[i])
					s += loss
				}
			}
			return s
		}) / norm
		return nil
	}}
}

func smoothL1Backward(o device.SmoothL1) program {
	return program{run: func(c *call) error {
		pred, target, labels, norm, dloss := c.in[0].f, c.in[1].f, c.in[2].i, c.in[3].f[0], c.in[4].f[0]
		out := c.out[0].f
		if err := checkNorm(norm); err != nil {
			return err
		}
		c.parallel(o.Rows, max(1, chunk/o.Dim), func(lo, hi int) {
			for r := lo; r < hi; r++ {
				for i := r * o.Dim; i < (r+1)*o.Dim; i++ {
					if labels[r] < 0 {
						out[i] = 0
						continue
					}
					_, grad := smoothL1Term(o.Beta, pred[i]-target[i])
					out[i] = grad * dloss / norm
				}
			}
		})
		return nil
	}}
}
