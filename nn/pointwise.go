package nn

import (
	"fmt"

	"gorgonia.org/gorgonia"

	"manvision/device"
)

// ReLU is max(x, 0).
func ReLU(x *gorgonia.Node) (*gorgonia.Node, error) {
	if err := present("relu", x); err != nil {
		return nil, err
	}
	grad := func(_ gorgonia.Nodes, y, dy *gorgonia.Node) (gorgonia.Nodes, error) {
		dx, err := reluGrad(y, dy)
		return nodes(err, dx)
	}
	return apply(device.ReLU{Size: x.Shape().TotalSize()}, x.Shape().Clone(), []bool{true}, grad, x)
}

// reluGrad masks dy by y > 0; it needs only the output, so that the input's
// storage is free.
func reluGrad(y, dy *gorgonia.Node) (*gorgonia.Node, error) {
	return apply(device.ReLUBackward{Size: y.Shape().TotalSize()}, y.Shape().Clone(), nil, nil, y, dy)
}

// Add is a + b, both of one shape.
func Add(a, b *gorgonia.Node) (*gorgonia.Node, error) {
	if err := present("add", a, b); err != nil {
		return nil, err
	}
	if !a.Shape().Eq(b.Shape()) {
		return nil, fmt.Errorf("add: shapes %v and %v differ", a.Shape(), b.Shape())
	}
	grad := func(_ gorgonia.Nodes, _, dy *gorgonia.Node) (gorgonia.Nodes, error) {
		return gorgonia.Nodes{dy, dy}, nil
	}
	return apply(device.Add{Of: plain(a)}, a.Shape().Clone(), []bool{true, true}, grad, a, b)
}

// AddReLU is max(a+b, 0), the end of a residual unit.
func AddReLU(a, b *gorgonia.Node) (*gorgonia.Node, error) {
	if err := present("add", a, b); err != nil {
		return nil, err
	}
	if !a.Shape().Eq(b.Shape()) {
		return nil, fmt.Errorf("add: shapes %v and %v differ", a.Shape(), b.Shape())
	}
	grad := func(_ gorgonia.Nodes, y, dy *gorgonia.Node) (gorgonia.Nodes, error) {
		y, err := recomputed(y)
		if err != nil {
			return nil, err
		}
		d, err := reluGrad(y, dy)
		return nodes(err, d, d)
	}
	return apply(device.Add{Of: plain(a), ReLU: true}, a.Shape().Clone(), []bool{true, true}, grad, a, b)
}

func plain(n *gorgonia.Node) device.Desc {
	return device.Desc{Shape: append([]int{}, n.Shape()...)}
}

// Fuse returns s·lb + (2−s)·ema, the auxiliary feature of MAN++ (METHOD §1.1).
// lb and ema have one shape; s is [1]. MAN is Fuse with s fixed at 1. Gradients
// flow into all three.
func Fuse(s, lb, ema *gorgonia.Node) (*gorgonia.Node, error) {
	if err := present("fuse", s, lb, ema); err != nil {
		return nil, err
	}
	if !lb.Shape().Eq(ema.Shape()) {
		return nil, fmt.Errorf("fuse: shapes %v and %v differ", lb.Shape(), ema.Shape())
	}
	d := device.Fuse{Size: lb.Shape().TotalSize()}
	grad := func(in gorgonia.Nodes, _, dy *gorgonia.Node) (gorgonia.Nodes, error) {
		a, err := recomputed(in[1])
		if err != nil {
			return nil, err
		}
		b, err := recomputed(in[2])
		if err != nil {
			return nil, err
		}
		da, err := apply(device.FuseBackward(d), in[1].Shape().Clone(), nil, nil, in[0], a, b, dy)
		if err != nil {
			return nil, err
		}
		db, err := output(da, 1)
		if err != nil {
			return nil, err
		}
		if db, err = Reshape(db, in[2].Shape()...); err != nil {
			return nil, err
		}
		ds, err := output(da, 2)
		return nodes(err, ds, da, db)
	}
	return apply(d, lb.Shape().Clone(), []bool{true, true, true}, grad, s, lb, ema)
}
