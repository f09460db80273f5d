package nn

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"manvision/device"
)

// ConvOptions are a convolution's settings; zero values mean stride 1, padding 0,
// dilation 1, one group.
type ConvOptions struct {
	Stride, Pad, Dilation, Groups int
	ReLU                          bool // y = max(conv, 0), fused
}

// Conv2D convolves x [N,H,W,C] with w [O, C/groups, KH, KW] and adds b [O] unless
// b is nil. The result is [N,OH,OW,O].
func Conv2D(x, w, b *gorgonia.Node, o ConvOptions) (*gorgonia.Node, error) {
	return conv2D(x, w, b, o, 0)
}

// conv2D is Conv2D of a weight in a form of the device's (see device.Preparer).
func conv2D(x, w, b *gorgonia.Node, o ConvOptions, form int) (*gorgonia.Node, error) {
	c, err := convOf(x, w, o)
	if err != nil {
		return nil, err
	}
	c.Bias, c.Form = b != nil, form
	in, wrt := []*gorgonia.Node{x, w}, []bool{true, true}
	if b != nil {
		in, wrt = append(in, b), append(wrt, true)
	}
	return apply(c, tensor.Shape{c.N, c.OH(), c.OW(), c.OC}, wrt, convGrad(c), in...)
}

// convOf describes the convolution of x by w, without bias.
func convOf(x, w *gorgonia.Node, o ConvOptions) (device.Conv, error) {
	if err := present("conv", x, w); err != nil {
		return device.Conv{}, err
	}
	if x.Dims() != 4 || w.Dims() != 4 {
		return device.Conv{}, fmt.Errorf("conv: x %v and w %v must both have four axes", x.Shape(), w.Shape())
	}
	xs, ws := x.Shape(), w.Shape()
	s, d, groups := orOne(o.Stride), orOne(o.Dilation), orOne(o.Groups)
	c := device.Conv{N: xs[0], H: xs[1], W: xs[2], IC: xs[3], OC: ws[0], KH: ws[2], KW: ws[3],
		SH: s, SW: s, PH: o.Pad, PW: o.Pad, DH: d, DW: d, Groups: groups, ReLU: o.ReLU}
	if err := c.Check(); err != nil {
		return device.Conv{}, err
	}
	if c.IC/c.Groups != ws[1] {
		return device.Conv{}, fmt.Errorf("conv: weight %v does not fit %d input channels in %d groups", ws, c.IC, c.Groups)
	}
	return c, nil
}

// orOne gives a setting left at zero its default.
func orOne(n int) int {
	if n == 0 {
		return 1
	}
	return n
}

func convGrad(c device.Conv) gradient {
	return func(in gorgonia.Nodes, y, dy *gorgonia.Node) (gorgonia.Nodes, error) {
		dz, err := dy, error(nil)
		if c.ReLU {
			if dz, err = reluGrad(y, dy); err != nil {
				return nil, err
			}
		}
		plain := c
		plain.ReLU = false
		x, err := recomputed(in[0])
		if err != nil {
			return nil, err
		}
		dw, err := apply(device.ConvBackwardWeights{Conv: plain}, in[1].Shape().Clone(), nil, nil, x, dz)
		if err != nil {
			return nil, err
		}
		out := gorgonia.Nodes{nil, dw}
		if c.Bias {
			db, err := output(dw, 1)
			if err != nil {
				return nil, err
			}
			out = append(out, db)
		}
		plain.Bias = false
		w, err := recomputed(in[1])
		if err != nil {
			return nil, err
		}
		out[0], err = apply(device.ConvBackwardData{Conv: plain}, in[0].Shape().Clone(), nil, nil, dz, w)
		return out, err
	}
}
