package ref

import "manvision/device"

func concat(o device.Concat) program {
	total := o.Total()
	return program{run: func(c *call) error {
		at := 0
		for i, size := range o.Sizes {
			copyColumns(c.out[0].f[at:], total, c.in[i].f, size, o.Outer, size)
			at += size
		}
		return nil
	}}
}

func slice(o device.Slice) program {
	return program{run: func(c *call) error {
		copyColumns(c.out[0].f, o.Size, c.in[0].f[o.From:], o.Total, o.Outer, o.Size)
		return nil
	}}
}

func sliceBackward(o device.Slice) program {
	return program{run: func(c *call) error {
		clear(c.out[0].f)
		copyColumns(c.out[0].f[o.From:], o.Total, c.in[0].f, o.Size, o.Outer, o.Size)
		return nil
	}}
}

// copyColumns copies rows of n columns between matrices of other widths.
func copyColumns(dst []float64, dstWidth int, src []float64, srcWidth, rows, n int) {
	for r := range rows {
		copy(dst[r*dstWidth:][:n], src[r*srcWidth:][:n])
	}
}
