package profile

import (
	"fmt"
	"strings"

	"manvision/device"
)

// Shape names the sizes of an operation: for a convolution
// "2x76x100 256>256 3x3 s1 p1", images, rows and columns of the input before its
// channels; for a product "197x192x576", rows, inner size and columns; otherwise the
// largest argument.
func Shape(op device.Op) string {
	switch o := op.(type) {
	case device.Mixed:
		return Shape(o.Of)
	case device.Conv:
		return conv(o)
	case device.ConvBackwardData:
		return conv(o.Conv)
	case device.ConvBackwardWeights:
		return conv(o.Conv)
	case device.Linear:
		return product(o)
	case device.LinearBackwardData:
		return product(o.Linear)
	case device.LinearBackwardWeights:
		return product(o.Linear)
	case device.Together:
		return fmt.Sprintf("%d of %s", len(o.Ops), o.Ops[0].Kind())
	}
	var largest device.Desc
	for _, d := range append(op.Inputs(), op.Outputs()...) {
		if largest.Shape == nil || d.Elems() > largest.Elems() {
			largest = d
		}
	}
	sizes := make([]string, len(largest.Shape))
	for i, s := range largest.Shape {
		sizes[i] = fmt.Sprint(s)
	}
	return strings.Join(sizes, "x")
}

func conv(c device.Conv) string {
	s := fmt.Sprintf("%dx%dx%d %d>%d %dx%d s%d p%d", c.N, c.H, c.W, c.IC, c.OC, c.KH, c.KW, c.SH, c.PH)
	if c.DH > 1 {
		s += fmt.Sprintf(" d%d", c.DH)
	}
	if c.Groups > 1 {
		s += fmt.Sprintf(" g%d", c.Groups)
	}
	for _, f := range []struct {
		on   bool
		name string
	}{{c.Bias, "bias"}, {c.Sum, "sum"}, {c.ReLU, "relu"}} {
		if f.on {
			s += " " + f.name
		}
	}
	return s
}

func product(l device.Linear) string { return fmt.Sprintf("%dx%dx%d", l.M, l.K, l.N) }
