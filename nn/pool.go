package nn

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"manvision/device"
)

// PoolOptions are a pooling's window, stride (0: the window), padding and
// rounding.
type PoolOptions struct {
	Size, Stride, Pad int
	Ceil              bool
	CountPad          bool // average pooling: padding counts as zeros
}

func poolDesc(x *gorgonia.Node, o PoolOptions) (device.Pool, error) {
	if err := present("pooling", x); err != nil {
		return device.Pool{}, err
	}
	if x.Dims() != 4 {
		return device.Pool{}, fmt.Errorf("pooling: x %v must be [N,H,W,C]", x.Shape())
	}
	s, stride := x.Shape(), o.Stride
	if stride == 0 {
		stride = o.Size
	}
	p := device.Pool{N: s[0], H: s[1], W: s[2], C: s[3], KH: o.Size, KW: o.Size, SH: stride, SW: stride, PH: o.Pad, PW: o.Pad, Ceil: o.Ceil}
	return p, p.Check()
}

// MaxPool takes the maximum of each window of x [N,H,W,C].
func MaxPool(x *gorgonia.Node, o PoolOptions) (*gorgonia.Node, error) {
	p, err := poolDesc(x, o)
	if err != nil {
		return nil, err
	}
	grad := func(in gorgonia.Nodes, y, dy *gorgonia.Node) (gorgonia.Nodes, error) {
		arg, err := output(y, 1)
		if err != nil {
			return nil, err
		}
		dx, err := apply(device.MaxPoolBackward{Pool: p}, in[0].Shape().Clone(), nil, nil, arg, dy)
		return nodes(err, dx)
	}
	return apply(device.MaxPool{Pool: p}, tensor.Shape{p.N, p.OH(), p.OW(), p.C}, []bool{true}, grad, x)
}

// AvgPool averages each window of x [N,H,W,C].
func AvgPool(x *gorgonia.Node, o PoolOptions) (*gorgonia.Node, error) {
	p, err := poolDesc(x, o)
	if err != nil {
		return nil, err
	}
	grad := func(in gorgonia.Nodes, _, dy *gorgonia.Node) (gorgonia.Nodes, error) {
		dx, err := apply(device.AvgPoolBackward{Pool: p, CountPad: o.CountPad}, in[0].Shape().Clone(), nil, nil, dy)
		return nodes(err, dx)
	}
	return apply(device.AvgPool{Pool: p, CountPad: o.CountPad}, tensor.Shape{p.N, p.OH(), p.OW(), p.C}, []bool{true}, grad, x)
}

// GlobalAvgPool averages each map: [N,H,W,C] to [N,C].
func GlobalAvgPool(x *gorgonia.Node) (*gorgonia.Node, error) {
	if err := present("global pooling", x); err != nil {
		return nil, err
	}
	if x.Dims() != 4 {
		return nil, fmt.Errorf("global pooling: x %v must be [N,H,W,C]", x.Shape())
	}
	s := x.Shape()
	d := device.GlobalAvgPool{N: s[0], H: s[1], W: s[2], C: s[3]}
	grad := func(in gorgonia.Nodes, _, dy *gorgonia.Node) (gorgonia.Nodes, error) {
		dx, err := apply(device.GlobalAvgPoolBackward(d), in[0].Shape().Clone(), nil, nil, dy)
		return nodes(err, dx)
	}
	return apply(d, tensor.Shape{s[0], s[3]}, []bool{true}, grad, x)
}

// Resize interpolates x [N,H,W,C] to [N,h,w,C].
func Resize(x *gorgonia.Node, h, w int, mode device.ResizeMode) (*gorgonia.Node, error) {
	if err := present("resize", x); err != nil {
		return nil, err
	}
	if x.Dims() != 4 {
		return nil, fmt.Errorf("resize: x %v must be [N,H,W,C]", x.Shape())
	}
	s := x.Shape()
	d := device.Resize{N: s[0], H: s[1], W: s[2], C: s[3], OH: h, OW: w, Mode: mode}
	grad := func(in gorgonia.Nodes, _, dy *gorgonia.Node) (gorgonia.Nodes, error) {
		dx, err := apply(device.ResizeBackward{Resize: d}, in[0].Shape().Clone(), nil, nil, dy)
		return nodes(err, dx)
	}
	return apply(d, tensor.Shape{s[0], h, w, s[3]}, []bool{true}, grad, x)
}
