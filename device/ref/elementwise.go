package ref

import "manvision/device"

// positivePart is max(v, 0); NaN stays NaN.
func positivePart(v float64) float64 {
	if v < 0 {
		return 0
	}
	return v
}

func rectify(dst, src []float64) {
	for i, v := range src {
		dst[i] = positivePart(v)
	}
}

func relu() program {
	return program{run: func(c *call) error {
		x, y := c.in[0].f, c.out[0].f
		c.parallel(len(x), chunk, func(lo, hi int) { rectify(y[lo:hi], x[lo:hi]) })
		return nil
	}}
}

func reluBackward(o device.ReLUBackward) program {
	return program{run: func(c *call) error {
		y, dy, dx := c.in[0].f, c.in[1].f, c.out[0].f
		c.parallel(len(y), chunk, func(lo, hi int) {
			for i := lo; i < hi; i++ {
				g := dy[i]
				if o.Sum {
					g += c.in[2].f[i]
				}
				if !(y[i] > 0) {
					g = 0
				}
				dx[i] = g
			}
		})
		return nil
	}}
}

func add(o device.Add) (program, error) {
	return program{run: func(c *call) error {
		a, b, y := c.in[0].f, c.in[1].f, c.out[0].f
		c.parallel(len(a), chunk, func(lo, hi int) {
			for i := lo; i < hi; i++ {
				v := a[i] + b[i]
				if o.ReLU {
					v = positivePart(v)
				}
				y[i] = v
			}
		})
		return nil
	}}, floats(o.Kind(), o.Of)
}

func fuse() program {
	return program{run: func(c *call) error {
		s, a, b, y := c.in[0].f[0], c.in[1].f, c.in[2].f, c.out[0].f
		c.parallel(len(a), chunk, func(lo, hi int) {
			for i := lo; i < hi; i++ {
				y[i] = s*a[i] + (2-s)*b[i]
			}
		})
		return nil
	}}
}

func fuseBackward(o device.FuseBackward) program {
	return program{scratch: chunks(o.Size), run: func(c *call) error {
		s, a, b, dy := c.in[0].f[0], c.in[1].f, c.in[2].f, c.in[3].f
		da, db := c.out[0].f, c.out[1].f
		c.out[2].f[0] = c.sum(o.Size, c.scratch, func(lo, hi int) float64 {
			ds := 0.0
			for i := lo; i < hi; i++ {
				// Read all before writing: da may lie on a or dy, db on b.
				g, diff := dy[i], a[i]-b[i]
				ds += g * diff
				da[i], db[i] = s*g, (2-s)*g
			}
			return ds
		})
		return nil
	}}
}

func fill(o device.Fill) (program, error) {
	return program{run: func(c *call) error {
		y := c.out[0].f
		for i := range y {
			y[i] = o.Value
		}
		return nil
	}}, floats(o.Kind(), o.Of)
}
