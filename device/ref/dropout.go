package ref

import "manvision/device"

func dropout(o device.Dropout) program {
	return program{run: func(c *call) error {
		x, y := c.in[0].f, c.out[0].f
		a, b := o.Keys(c.in[1].i[0])
		scale := 1 / (1 - o.P)
		c.parallel(o.Size, chunk, func(lo, hi int) {
			for i := lo; i < hi; i++ {
				if o.Keep(i, a, b) {
					y[i] = x[i] * scale
				} else {
					y[i] = 0
				}
			}
		})
		return nil
	}}
}
