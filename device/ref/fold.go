package ref

import (
	"math"

	"manvision/device"
)

func foldNorm(o device.FoldNorm) program {
	return program{run: func(c *call) error {
		w, gamma, beta, mean, variance := c.in[0].f, c.in[1].f, c.in[2].f, c.in[3].f, c.in[4].f
		folded, shift := c.out[0].f, c.out[1].f
		per := len(w) / len(shift)
		for i := range shift {
			k := gamma[i] / math.Sqrt(variance[i]+o.Eps)
			b := 0.0
			if o.Bias {
				b = c.in[5].f[i]
			}
			shift[i] = beta[i] + (b-mean[i])*k
			for j := i * per; j < (i+1)*per; j++ {
				folded[j] = w[j] * k
			}
		}
		return nil
	}}
}

// prepareFilter copies: filters are plain here in whatever form.
func prepareFilter() program {
	return program{run: func(c *call) error {
		copy(c.out[0].f, c.in[0].f)
		return nil
	}}
}
