package ref

import (
	"fmt"
	"math"

	"manvision/device"
)

// logSumExp is log Σ exp(v) without overflow.
func logSumExp(v []float64) float64 {
	top := math.Inf(-1)
	for _, x := range v {
		top = math.Max(top, x)
	}
	s := 0.0
	for _, x := range v {
		s += math.Exp(x - top)
	}
	return top + math.Log(s)
}

// counted returns the number of rows that are not ignored.
func counted(o device.CrossEntropy, labels []int32) (float64, error) {
	n := 0
	for r, l := range labels {
		if l == o.IgnoreIndex {
			continue
		}
		if l < 0 || l >= int32(o.Classes) {
			return 0, fmt.Errorf("label %d of row %d is neither one of %d classes nor the ignored index %d", l, r, o.Classes, o.IgnoreIndex)
		}
		n++
	}
	return float64(n), nil
}

func crossEntropy(o device.CrossEntropy) program {
	return program{scratch: chunks(o.Rows), run: func(c *call) error {
		logits, labels := c.in[0].f, c.in[1].i
		n, err := counted(o, labels)
		if err != nil {
			return err
		}
		s := c.sum(o.Rows, c.scratch, func(lo, hi int) float64 {
			s := 0.0
			for r := lo; r < hi; r++ {
				if labels[r] != o.IgnoreIndex {
					row := logits[r*o.Classes:][:o.Classes]
					s += logSumExp(row) - row[labels[r]]
				}
			}
			return s
		})
		c.out[0].f[0] = s / math.Max(n, 1)
		return nil
	}}
}

func crossEntropyBackward(o device.CrossEntropy) program {
	return program{run: func(c *call) error {
		logits, labels, dloss, out := c.in[0].f, c.in[1].i, c.in[2].f[0], c.out[0].f
		n, err := counted(o, labels)
		if err != nil {
			return err
		}
		c.parallel(o.Rows, max(1, 256/o.Classes), func(lo, hi int) {
			for r := lo; r < hi; r++ {
				row, g := logits[r*o.Classes:][:o.Classes], out[r*o.Classes:][:o.Classes]
				if labels[r] == o.IgnoreIndex {
					clear(g)
					continue
				}
				lse := logSumExp(row)
				for k, v := range row {
					p := math.Exp(v - lse)
					if int(labels[r]) == k {
						p--
					}
					g[k] = p * dloss / n
				}
			}
		})
		return nil
	}}
}
