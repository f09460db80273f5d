package ref

import (
	"math"

	"manvision/device"
)

func batchNorm(o device.BatchNorm) program {
	rows, ch := o.N*o.H*o.W, o.C
	return program{run: func(c *call) error {
		x, gamma, beta, y := c.in[0].f, c.in[1].f, c.in[2].f, c.out[0].f
		var mean, variance []float64
		var mask []byte
		if o.Global {
			mean, variance = c.in[3].f, c.in[4].f
		} else {
			mean, variance = c.out[1].f, c.out[2].f
			moments(c, x, mean, variance, rows, ch)
		}
		if o.ReLU && !o.Sum {
			mask = c.out[len(c.out)-1].b
		}
		var z []float64
		if o.Sum {
			z = c.in[len(c.in)-1].f
		}
		c.parallel(rows, max(1, chunk/ch), func(lo, hi int) {
			for i := lo * ch; i < hi*ch; i++ {
				j := i % ch
				v := (x[i]-mean[j])/math.Sqrt(variance[j]+o.Eps)*gamma[j] + beta[j]
				if o.Sum {
					v += z[i]
				}
				if mask != nil {
					mask[i] = 0
					if v > 0 {
						mask[i] = 1
					}
				}
				if o.ReLU {
					v = positivePart(v)
				}
				y[i] = v
			}
		})
		return nil
	}}
}

// moments writes the mean and the biased variance of each column of x, in two
// passes.
func moments(c *call, x, mean, variance []float64, rows, cols int) {
	sumRows(c, mean, x, rows, cols)
	for j := range mean {
		mean[j] /= float64(rows)
	}
	c.parallel(cols, 16, func(lo, hi int) {
		clear(variance[lo:hi])
		for r := range rows {
			row := x[r*cols:][:cols]
			for j := lo; j < hi; j++ {
				d := row[j] - mean[j]
				variance[j] += d * d
			}
		}
	})
	for j := range variance {
		variance[j] /= float64(rows)
	}
}

// batchNormBackward: with x̂ = (x−μ)/sqrt(σ²+ε) and g the masked dy,
// dβ = Σg, dγ = Σ g·x̂, dx = γ/sqrt(σ²+ε)·(g − dβ/M − x̂·dγ/M); constant
// statistics leave dx = γ/sqrt(σ²+ε)·g.
func batchNormBackward(o device.BatchNorm) program {
	rows, ch := o.N*o.H*o.W, o.C
	return program{run: func(c *call) error {
		x, dy, gamma, mean, variance := c.in[0].f, c.in[1].f, c.in[2].f, c.in[3].f, c.in[4].f
		dx, dgamma, dbeta := c.out[0].f, c.out[1].f, c.out[2].f
		g := func(i int) float64 { return dy[i] }
		if o.ReLU {
			mask := c.in[5].b
			g = func(i int) float64 {
				if mask[i] == 0 {
					return 0
				}
				return dy[i]
			}
		}
		c.parallel(ch, 4, func(lo, hi int) {
			clear(dgamma[lo:hi])
			clear(dbeta[lo:hi])
			for r := range rows {
				for j := lo; j < hi; j++ {
					i := r*ch + j
					v := g(i)
					dbeta[j] += v
					dgamma[j] += v * (x[i] - mean[j])
				}
			}
			for j := lo; j < hi; j++ {
				dgamma[j] /= math.Sqrt(variance[j] + o.Eps)
			}
		})
		m := float64(rows)
		c.parallel(rows, max(1, chunk/ch), func(lo, hi int) {
			for i := lo * ch; i < hi*ch; i++ {
				j := i % ch
				inv := 1 / math.Sqrt(variance[j]+o.Eps)
				v := g(i)
				if !o.Global {
					v -= dbeta[j]/m + (x[i]-mean[j])*inv*dgamma[j]/m
				}
				dx[i] = gamma[j] * inv * v
			}
		})
		return nil
	}}
}

func runningStats(o device.RunningStats) program {
	unbias := 1.0
	if o.Rows > 1 {
		unbias = float64(o.Rows) / float64(o.Rows-1)
	}
	return program{run: func(c *call) error {
		mean, variance := c.out[0].f, c.out[1].f
		for j := range o.C {
			mean[j] = (1-o.Momentum)*mean[j] + o.Momentum*c.in[0].f[j]
			variance[j] = (1-o.Momentum)*variance[j] + o.Momentum*c.in[1].f[j]*unbias
		}
		return nil
	}}
}
