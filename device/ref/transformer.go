package ref

import (
	"math"

	"manvision/device"
)

// rowMoments returns the mean of x and 1/sqrt(biased variance + eps).
func rowMoments(x []float64, eps float64) (mean, inverse float64) {
	for _, v := range x {
		mean += v
	}
	mean /= float64(len(x))
	square := 0.0
	for _, v := range x {
		square += (v - mean) * (v - mean)
	}
	return mean, 1 / math.Sqrt(square/float64(len(x))+eps)
}

func layerNorm(o device.LayerNorm) program {
	return program{run: func(c *call) error {
		x, gamma, beta, y := c.in[0].f, c.in[1].f, c.in[2].f, c.out[0].f
		c.parallel(o.Rows, max(1, chunk/o.C), func(lo, hi int) {
			for r := lo; r < hi; r++ {
				row := x[r*o.C:][:o.C]
				mean, inverse := rowMoments(row, o.Eps)
				for j, v := range row {
					y[r*o.C+j] = (v-mean)*inverse*gamma[j] + beta[j]
				}
			}
		})
		return nil
	}}
}

// layerNormBackward: with x̂ = (x−μ)/sqrt(σ²+ε) and g = γ·dy, dβ = Σ dy, dγ = Σ
// dy·x̂ over rows and dx = (g − mean(g) − x̂·mean(g·x̂))/sqrt(σ²+ε) in each.
func layerNormBackward(o device.LayerNorm) program {
	return program{scratch: 2 * o.Rows, run: func(c *call) error {
		x, dy, gamma := c.in[0].f, c.in[1].f, c.in[2].f
		dx, dgamma, dbeta := c.out[0].f, c.out[1].f, c.out[2].f
		mean, inverse := c.scratch[:o.Rows], c.scratch[o.Rows:]
		c.parallel(o.Rows, max(1, chunk/o.C), func(lo, hi int) {
			for r := lo; r < hi; r++ {
				mean[r], inverse[r] = rowMoments(x[r*o.C:][:o.C], o.Eps)
			}
		})
		c.parallel(o.C, 16, func(lo, hi int) {
			clear(dgamma[lo:hi])
			clear(dbeta[lo:hi])
			for r := range o.Rows {
				for j := lo; j < hi; j++ {
					i := r*o.C + j
					dbeta[j] += dy[i]
					dgamma[j] += dy[i] * (x[i] - mean[r]) * inverse[r]
				}
			}
		})
		c.parallel(o.Rows, max(1, chunk/o.C), func(lo, hi int) {
			for r := lo; r < hi; r++ {
				sum, dot := 0.0, 0.0
				for j := range o.C {
					g := gamma[j] * dy[r*o.C+j]
					sum += g
					dot += g * (x[r*o.C+j] - mean[r]) * inverse[r]
				}
				sum, dot = sum/float64(o.C), dot/float64(o.C)
				for j := range o.C {
					i := r*o.C + j
					dx[i] = inverse[r] * (gamma[j]*dy[i] - sum - (x[i]-mean[r])*inverse[r]*dot)
				}
			}
		})
		return nil
	}}
}

// below is the standard normal distribution Φ.
func below(x float64) float64 { return 0.5 * math.Erfc(-x/math.Sqrt2) }

func gelu() program {
	return program{run: func(c *call) error {
		x, y := c.in[0].f, c.out[0].f
		c.parallel(len(x), chunk, func(lo, hi int) {
			for i := lo; i < hi; i++ {
				y[i] = x[i] * below(x[i])
			}
		})
		return nil
	}}
}

func geluBackward() program {
	return program{run: func(c *call) error {
		x, dy, dx := c.in[0].f, c.in[1].f, c.out[0].f
		c.parallel(len(x), chunk, func(lo, hi int) {
			for i := lo; i < hi; i++ {
				v := x[i]
				dx[i] = dy[i] * (below(v) + v*math.Exp(-v*v/2)/math.Sqrt(2*math.Pi))
			}
		})
		return nil
	}}
}

// heads walks over the images and heads of an attention: f gets the offset of the
// head's first query in qkv and of its first output in y.
func heads(c *call, o device.Attention, f func(task, qkv, y int)) {
	c.parallel(o.N*o.Heads, 1, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			n, h := i/o.Heads, i%o.Heads
			f(i, (n*o.T*3*o.Heads+h)*o.Dim, (n*o.T*o.Heads+h)*o.Dim)
		}
	})
}

func dotProduct(a, b []float64) float64 {
	s := 0.0
	for i, v := range a {
		s += v * b[i]
	}
	return s
}

// weigh writes softmax(scale·q·kᵀ) of one query to p; keys lie stride apart.
func weigh(p, q, keys []float64, stride int, scale float64) {
	for j := range p {
		p[j] = scale * dotProduct(q, keys[j*stride:][:len(q)])
	}
	lse := logSumExp(p)
	for j, v := range p {
		p[j] = math.Exp(v - lse)
	}
}

func attention(o device.Attention) program {
	width := o.Heads * o.Dim
	return program{scratch: o.N * o.Heads * o.T, run: func(c *call) error {
		qkv, out := c.in[0].f, c.out[0].f
		heads(c, o, func(task, from, to int) {
			p := c.scratch[task*o.T:][:o.T]
			q, k, v, y := qkv[from:], qkv[from+width:], qkv[from+2*width:], out[to:]
			for i := range o.T {
				weigh(p, q[i*3*width:][:o.Dim], k, 3*width, o.Scale)
				row := y[i*width:][:o.Dim]
				clear(row)
				for j, w := range p {
					for d := range row {
						row[d] += w * v[j*3*width+d]
					}
				}
			}
		})
		return nil
	}}
}

// attentionBackward: with p the weights and g = dy·vᵀ, dv = pᵀ·dy, ds = p·(g −
// Σ p·g), dq = Scale·ds·k, dk = Scale·dsᵀ·q.
func attentionBackward(o device.Attention) program {
	width := o.Heads * o.Dim
	return program{scratch: 2 * o.N * o.Heads * o.T, run: func(c *call) error {
		qkv, dout, dqkv := c.in[0].f, c.in[1].f, c.out[0].f
		heads(c, o, func(task, from, to int) {
			p, ds := c.scratch[2*task*o.T:][:o.T], c.scratch[(2*task+1)*o.T:][:o.T]
			q, k, v, dy := qkv[from:], qkv[from+width:], qkv[from+2*width:], dout[to:]
			dq, dk, dv := dqkv[from:], dqkv[from+width:], dqkv[from+2*width:]
			for i := range o.T {
				for _, g := range [][]float64{dq, dk, dv} {
					clear(g[i*3*width:][:o.Dim])
				}
			}
			for i := range o.T {
				query, g := q[i*3*width:][:o.Dim], dy[i*width:][:o.Dim]
				weigh(p, query, k, 3*width, o.Scale)
				for j := range ds {
					ds[j] = dotProduct(g, v[j*3*width:][:o.Dim])
				}
				mean := dotProduct(p, ds)
				for j, w := range p {
					s := o.Scale * w * (ds[j] - mean)
					at := j * 3 * width
					for d := range query {
						dq[i*3*width+d] += s * k[at+d]
						dk[at+d] += s * query[d]
						dv[at+d] += w * g[d]
					}
				}
			}
		})
		return nil
	}}
}

func tokens(o device.Tokens) program {
	return program{run: func(c *call) error {
		x, cls, pos, y := c.in[0].f, c.in[1].f, c.in[2].f, c.out[0].f
		for n := range o.N {
			for t := range o.Patches + 1 {
				row := y[(n*(o.Patches+1)+t)*o.D:][:o.D]
				token := cls
				if t > 0 {
					token = x[(n*o.Patches+t-1)*o.D:][:o.D]
				}
				for d := range row {
					row[d] = token[d] + pos[t*o.D+d]
				}
			}
		}
		return nil
	}}
}

func tokensBackward(o device.Tokens) program {
	size := (o.Patches + 1) * o.D
	return program{run: func(c *call) error {
		dy, dx, dcls, dpos := c.in[0].f, c.out[0].f, c.out[1].f, c.out[2].f
		sumRows(c, dpos, dy, o.N, size)
		copy(dcls, dpos[:o.D])
		for n := range o.N {
			copy(dx[n*(size-o.D):][:size-o.D], dy[n*size+o.D:])
		}
		return nil
	}}
}

func average(o device.Average) (program, error) {
	return program{run: func(c *call) error {
		a, b, y := c.in[0].f, c.in[1].f, c.out[0].f
		c.parallel(len(a), chunk, func(lo, hi int) {
			for i := lo; i < hi; i++ {
				y[i] = o.Momentum*a[i] + (1-o.Momentum)*b[i]
			}
		})
		return nil
	}}, floats(o.Kind(), o.Of)
}
