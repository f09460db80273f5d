package ref

import (
	"math"

	"manvision/device"
)

func sgd(o device.SGD) (program, error) {
	return program{run: func(c *call) error {
		g, hyper, p, v := c.in[0].f, c.in[1].f, c.out[0].f, c.out[1].f
		lr, clip := hyper[device.HyperLR]*o.LRScale, hyper[device.HyperClip]
		first := hyper[device.HyperFirst] != 0
		c.parallel(len(p), chunk, func(lo, hi int) {
			for i := lo; i < hi; i++ {
				d := clip*g[i] + o.WeightDecay*p[i]
				if o.Momentum != 0 {
					if first {
						v[i] = d
					} else {
						v[i] = o.Momentum*v[i] + d
					}
					if o.Nesterov {
						d += o.Momentum * v[i]
					} else {
						d = v[i]
					}
				}
				p[i] -= lr * d
			}
		})
		return nil
	}}, floats(o.Kind(), o.Of)
}

func adamW(o device.AdamW) (program, error) {
	return program{run: func(c *call) error {
		g, hyper, p, m, v := c.in[0].f, c.in[1].f, c.out[0].f, c.out[1].f, c.out[2].f
		lr, clip := hyper[device.HyperLR]*o.LRScale, hyper[device.HyperClip]
		bias1, bias2 := hyper[device.HyperBias1], hyper[device.HyperBias2]
		c.parallel(len(p), chunk, func(lo, hi int) {
			for i := lo; i < hi; i++ {
				d := clip * g[i]
				p[i] *= 1 - lr*o.WeightDecay
				m[i] = o.Beta1*m[i] + (1-o.Beta1)*d
				v[i] = o.Beta2*v[i] + (1-o.Beta2)*d*d
				p[i] -= lr / bias1 * m[i] / (math.Sqrt(v[i])/math.Sqrt(bias2) + o.Eps)
			}
		})
		return nil
	}}, floats(o.Kind(), o.Of)
}

func ema(o device.EMA) (program, error) {
	return program{run: func(c *call) error {
		p, e := c.in[0].f, c.out[0].f
		c.parallel(len(p), chunk, func(lo, hi int) {
			for i := lo; i < hi; i++ {
				e[i] = o.Momentum*e[i] + (1-o.Momentum)*p[i]
			}
		})
		return nil
	}}, floats(o.Kind(), o.Of)
}

func squaredNorm(o device.SquaredNorm) (program, error) {
	n := o.Of.Elems()
	return program{scratch: chunks(n), run: func(c *call) error {
		a := c.in[0].f
		c.out[0].f[0] += c.sum(n, c.scratch, func(lo, hi int) float64 {
			s := 0.0
			for _, v := range a[lo:hi] {
				s += v * v
			}
			return s
		})
		return nil
	}}, floats(o.Kind(), o.Of)
}

func squaredDistance(o device.SquaredDistance) (program, error) {
	n := o.Of.Elems()
	return program{scratch: chunks(n), run: func(c *call) error {
		a, b := c.in[0].f, c.in[1].f
		c.out[0].f[0] += c.sum(n, c.scratch, func(lo, hi int) float64 {
			s := 0.0
			for i := lo; i < hi; i++ {
				d := a[i] - b[i]
				s += d * d
			}
			return s
		})
		return nil
	}}, floats(o.Kind(), o.Of)
}
