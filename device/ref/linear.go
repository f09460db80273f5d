package ref

import "manvision/device"

func linear(l device.Linear) program {
	return program{run: func(c *call) error {
		x, w, y := c.in[0].f, c.in[1].f, c.out[0].f
		var b []float64
		if l.Bias {
			b = c.in[2].f
		}
		c.parallel(l.M, 1, func(lo, hi int) {
			for m := lo; m < hi; m++ {
				dots(y[m*l.N:][:l.N], x[m*l.K:][:l.K], w, b)
			}
		})
		return nil
	}}
}

func linearBackwardData(l device.Linear) program {
	return program{run: func(c *call) error {
		dy, w, dx := c.in[0].f, c.in[1].f, c.out[0].f
		c.parallel(l.M, 1, func(lo, hi int) {
			for m := lo; m < hi; m++ {
				row := dx[m*l.K:][:l.K]
				clear(row)
				combine(row, dy[m*l.N:], 1, w, l.K, l.N)
			}
		})
		return nil
	}}
}

func linearBackwardWeights(l device.Linear) program {
	return program{run: func(c *call) error {
		x, dy, dw := c.in[0].f, c.in[1].f, c.out[0].f
		c.parallel(l.N, 1, func(lo, hi int) {
			for n := lo; n < hi; n++ {
				row := dw[n*l.K:][:l.K]
				clear(row)
				combine(row, dy[n:], l.N, x, l.K, l.M)
			}
		})
		if l.Bias {
			sumRows(c, c.out[1].f, dy, l.M, l.N)
		}
		return nil
	}}
}

// sumRows writes the sum over the rows of x [rows, cols] into dst [cols].
func sumRows(c *call, dst, x []float64, rows, cols int) {
	c.parallel(cols, 16, func(lo, hi int) {
		clear(dst[lo:hi])
		for r := range rows {
			row := x[r*cols:][:cols]
			for j := lo; j < hi; j++ {
				dst[j] += row[j]
			}
		}
	})
}
