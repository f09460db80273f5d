package ref

import "manvision/device"

// With z the logit and t the target, an element's loss is −t·log σ(z) −
// (1−t)·log(1−σ(z)) = softplus(z) − t·z.
func sigmoidBCE(o device.SigmoidBCE) program {
	return program{scratch: chunks(o.Size), run: func(c *call) error {
		z, t := c.in[0].f, c.in[1].f
		c.out[0].f[0] = o.Weight / float64(o.Size) * c.sum(o.Size, c.scratch, func(lo, hi int) float64 {
			s := 0.0
			for i := lo; i < hi; i++ {
				s += softplus(z[i]) - t[i]*z[i]
			}
			return s
		})
		return nil
	}}
}

func sigmoidBCEBackward(o device.SigmoidBCE) program {
	return program{run: func(c *call) error {
		z, t, out := c.in[0].f, c.in[1].f, c.out[0].f
		by := c.in[2].f[0] * o.Weight / float64(o.Size)
		c.parallel(o.Size, chunk, func(lo, hi int) {
			for i := lo; i < hi; i++ {
				out[i] = by * (sigmoid(z[i]) - t[i])
			}
		})
		return nil
	}}
}
