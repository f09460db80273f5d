package ref

import (
	"math"

	"manvision/device"
)

func softCrossEntropy(o device.SoftCrossEntropy) program {
	return program{scratch: chunks(o.Rows), run: func(c *call) error {
		logits, target := c.in[0].f, c.in[1].f
		c.out[0].f[0] = o.Weight / float64(o.Rows) * c.sum(o.Rows, c.scratch, func(lo, hi int) float64 {
			s := 0.0
			for r := lo; r < hi; r++ {
				row, t := logits[r*o.Classes:][:o.Classes], target[r*o.Classes:][:o.Classes]
				lse := logSumExp(row)
				for k, v := range row {
					s += t[k] * (lse - v)
				}
			}
			return s
		})
		return nil
	}}
}

func softCrossEntropyBackward(o device.SoftCrossEntropy) program {
	return program{run: func(c *call) error {
		logits, target, out := c.in[0].f, c.in[1].f, c.out[0].f
		by := c.in[2].f[0] * o.Weight / float64(o.Rows)
		c.parallel(o.Rows, max(1, 256/o.Classes), func(lo, hi int) {
			for r := lo; r < hi; r++ {
				row, t, g := logits[r*o.Classes:][:o.Classes], target[r*o.Classes:][:o.Classes], out[r*o.Classes:][:o.Classes]
				lse, sum := logSumExp(row), 0.0
				for _, v := range t {
					sum += v
				}
				for k, v := range row {
					g[k] = by * (sum*math.Exp(v-lse) - t[k])
				}
			}
		})
		return nil
	}}
}

// normalize divides the rows of x by their lengths, at least floor, and returns
// these.
func normalize(x, unit, length []float64, dim int, floor float64) {
	for r := range length {
		s := 0.0
		for _, v := range x[r*dim:][:dim] {
			s += v * v
		}
		length[r] = math.Max(math.Sqrt(s), floor)
		for i, v := range x[r*dim:][:dim] {
			unit[r*dim+i] = v / length[r]
		}
	}
}

func inner(a, b []float64) float64 {
	s := 0.0
	for i, v := range a {
		s += v * b[i]
	}
	return s
}

// supConFloor keeps a row of zeros from a division by zero, as PyTorch's normalize.
const supConFloor = 1e-12

// contrast holds what the loss and its gradient compute from x alone: unit rows and
// their lengths.
func contrast(o device.SupCon, c *call) (unit, length []float64) {
	unit, length = c.scratch[:o.Rows*o.Dim], c.scratch[o.Rows*o.Dim:][:o.Rows]
	normalize(c.in[0].f, unit, length, o.Dim, supConFloor)
	return unit, length
}

// anchor writes z_ij of row i into z and returns log Σ_{j≠i} exp z_ij and how many
// other rows share i's label.
func anchor(o device.SupCon, unit []float64, labels []int32, i int, z []float64) (lse float64, positives int) {
	f := unit[i*o.Dim:][:o.Dim]
	top := math.Inf(-1)
	for j := range o.Rows {
		z[j] = inner(f, unit[j*o.Dim:][:o.Dim]) / o.Temperature
		if j != i {
			top = math.Max(top, z[j])
			if labels[j] == labels[i] {
				positives++
			}
		}
	}
	s := 0.0
	for j, v := range z {
		if j != i {
			s += math.Exp(v - top)
		}
	}
	return top + math.Log(s), positives
}

func supCon(o device.SupCon) program {
	return program{scratch: o.Rows * (o.Dim + 2), run: func(c *call) error {
		unit, _ := contrast(o, c)
		labels, z := c.in[1].i, c.scratch[o.Rows*(o.Dim+1):][:o.Rows]
		sum := 0.0
		for i := range o.Rows {
			lse, n := anchor(o, unit, labels, i, z)
			for j, v := range z {
				if j != i && labels[j] == labels[i] {
					sum += (lse - v) / float64(n)
				}
			}
		}
		c.out[0].f[0] = o.Weight * sum / float64(o.Rows)
		return nil
	}}
}

func supConBackward(o device.SupCon) program {
	return program{scratch: o.Rows * (2*o.Dim + 2), run: func(c *call) error {
		unit, length := contrast(o, c)
		labels, dx := c.in[1].i, c.out[0].f
		z, dunit := c.scratch[o.Rows*(o.Dim+1):][:o.Rows], c.scratch[o.Rows*(o.Dim+2):][:o.Rows*o.Dim]
		clear(dunit)
		by := c.in[2].f[0] * o.Weight / float64(o.Rows) / o.Temperature
		for i := range o.Rows {
			lse, n := anchor(o, unit, labels, i, z)
			if n == 0 {
				continue
			}
			for j, v := range z {
				if j == i {
					continue
				}
				g := math.Exp(v - lse)
				if labels[j] == labels[i] {
					g -= 1 / float64(n)
				}
				for k := range o.Dim {
					dunit[i*o.Dim+k] += by * g * unit[j*o.Dim+k]
					dunit[j*o.Dim+k] += by * g * unit[i*o.Dim+k]
				}
			}
		}
		for i := range o.Rows {
			f, d := unit[i*o.Dim:][:o.Dim], dunit[i*o.Dim:][:o.Dim]
			along := inner(f, d)
			for k := range f {
				dx[i*o.Dim+k] = (d[k] - f[k]*along) / length[i]
			}
		}
		return nil
	}}
}
