package nn

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"manvision/device"
)

func product(s tensor.Shape) int {
	p := 1
	for _, d := range s {
		p *= d
	}
	return p
}

// Concat joins nodes of equal shape but for one axis along that axis.
func Concat(axis int, xs ...*gorgonia.Node) (*gorgonia.Node, error) {
	if len(xs) == 0 {
		return nil, fmt.Errorf("concat of nothing")
	}
	if err := present("concat", xs...); err != nil {
		return nil, err
	}
	first := xs[0].Shape()
	if axis < 0 || axis >= len(first) {
		return nil, fmt.Errorf("concat: axis %d of shape %v", axis, first)
	}
	d := device.Concat{Outer: product(first[:axis])}
	shape := first.Clone()
	shape[axis] = 0
	for _, x := range xs {
		s := x.Shape()
		if len(s) != len(first) {
			return nil, fmt.Errorf("concat: shapes %v and %v", first, s)
		}
		for i := range s {
			if i != axis && s[i] != first[i] {
				return nil, fmt.Errorf("concat along axis %d: shapes %v and %v", axis, first, s)
			}
		}
		shape[axis] += s[axis]
		d.Sizes = append(d.Sizes, product(s[axis:]))
	}
	wrt := make([]bool, len(xs))
	for i := range wrt {
		wrt[i] = true
	}
	grad := func(in gorgonia.Nodes, _, dy *gorgonia.Node) (gorgonia.Nodes, error) {
		out := make(gorgonia.Nodes, len(in))
		from := 0
		for i, x := range in {
			n := x.Shape()[axis]
			var err error
			if out[i], err = Slice(dy, axis, from, from+n); err != nil {
				return nil, err
			}
			from += n
		}
		return out, nil
	}
	return apply(d, shape, wrt, grad, xs...)
}

// Slice takes [from, to) of x along an axis.
func Slice(x *gorgonia.Node, axis, from, to int) (*gorgonia.Node, error) {
	if err := present("slice", x); err != nil {
		return nil, err
	}
	s := x.Shape()
	if axis < 0 || axis >= len(s) || from < 0 || to > s[axis] || from >= to {
		return nil, fmt.Errorf("slice [%d,%d) of axis %d of shape %v", from, to, axis, s)
	}
	inner := product(s[axis+1:])
	d := device.Slice{Outer: product(s[:axis]), Total: s[axis] * inner, From: from * inner, Size: (to - from) * inner}
	shape := s.Clone()
	shape[axis] = to - from
	grad := func(in gorgonia.Nodes, _, dy *gorgonia.Node) (gorgonia.Nodes, error) {
		dx, err := apply(device.SliceBackward{Slice: d}, in[0].Shape().Clone(), nil, nil, dy)
		return nodes(err, dx)
	}
	return apply(d, shape, []bool{true}, grad, x)
}

// Linear is x·wᵀ + b over the last axis: x [M,K] or [...,M,K], w [N,K], b [N] or nil;
// the result is [M,N] or [...,M,N].
func Linear(x, w, b *gorgonia.Node) (*gorgonia.Node, error) {
	if err := present("linear", x, w); err != nil {
		return nil, err
	}
	if x.Dims() < 2 || w.Dims() != 2 || x.Shape()[x.Dims()-1] != w.Shape()[1] {
		return nil, fmt.Errorf("linear: x %v and w %v", x.Shape(), w.Shape())
	}
	m, k := rows(x)
	d := device.Linear{M: m, K: k, N: w.Shape()[0], Bias: b != nil}
	in, wrt := []*gorgonia.Node{x, w}, []bool{true, true}
	if b != nil {
		in, wrt = append(in, b), append(wrt, true)
	}
	grad := func(in gorgonia.Nodes, _, dy *gorgonia.Node) (gorgonia.Nodes, error) {
		x, err := recomputed(in[0])
		if err != nil {
			return nil, err
		}
		w, err := recomputed(in[1])
		if err != nil {
			return nil, err
		}
		dw, err := apply(device.LinearBackwardWeights{Linear: d}, in[1].Shape().Clone(), nil, nil, x, dy)
		if err != nil {
			return nil, err
		}
		out := gorgonia.Nodes{nil, dw}
		if d.Bias {
			db, err := output(dw, 1)
			if err != nil {
				return nil, err
			}
			out = append(out, db)
		}
		out[0], err = apply(device.LinearBackwardData{Linear: d}, in[0].Shape().Clone(), nil, nil, dy, w)
		return out, err
	}
	shape := x.Shape().Clone()
	shape[len(shape)-1] = d.N
	return apply(d, shape, wrt, grad, in...)
}
