package nn

import (
	"fmt"

	"gorgonia.org/gorgonia"

	"manvision/device"
)

// PadChannels puts zero channels around those of x [...,C]: the result has total
// channels and x's begin at from.
func PadChannels(x *gorgonia.Node, from, total int) (*gorgonia.Node, error) {
	if err := present("padding of channels", x); err != nil {
		return nil, err
	}
	if x.Dims() < 2 {
		return nil, fmt.Errorf("padding of channels: x %v has no axis of channels", x.Shape())
	}
	outer, c := rows(x)
	if from < 0 || from+c > total {
		return nil, fmt.Errorf("padding of channels: %d channels from %d on do not fit %d", c, from, total)
	}
	shape := x.Shape().Clone()
	shape[len(shape)-1] = total
	axis := x.Dims() - 1
	grad := func(_ gorgonia.Nodes, _, dy *gorgonia.Node) (gorgonia.Nodes, error) {
		dx, err := Slice(dy, axis, from, from+c)
		return nodes(err, dx)
	}
	// The gradient of a slice is what pads.
	d := device.SliceBackward{Slice: device.Slice{Outer: outer, Total: total, From: from, Size: c}}
	return apply(d, shape, []bool{true}, grad, x)
}

// PadChannels puts zero channels around those of x.
func (g *Graph) PadChannels(x *gorgonia.Node, from, total int) *gorgonia.Node {
	return g.try("", func() (*gorgonia.Node, error) { return PadChannels(x, from, total) })
}

// Subsample takes every stride-th cell of x [N,H,W,C] along both axes, from the
// first on.
func (g *Graph) Subsample(x *gorgonia.Node, stride int) *gorgonia.Node {
	return g.AvgPool(x, PoolOptions{Size: 1, Stride: stride})
}

// AvgPool averages windows.
func (g *Graph) AvgPool(x *gorgonia.Node, o PoolOptions) *gorgonia.Node {
	return g.try("", func() (*gorgonia.Node, error) { return AvgPool(x, o) })
}
