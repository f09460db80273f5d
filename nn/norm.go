package nn

import (
	"fmt"

	"gorgonia.org/gorgonia"

	"manvision/device"
)

func normDesc(x *gorgonia.Node, eps float64, relu, global bool) (device.BatchNorm, error) {
	if err := present("batch norm", x); err != nil {
		return device.BatchNorm{}, err
	}
	s := x.Shape()
	switch len(s) {
	case 2:
		return device.BatchNorm{N: s[0], H: 1, W: 1, C: s[1], Eps: eps, ReLU: relu, Global: global}, nil
	case 4:
		return device.BatchNorm{N: s[0], H: s[1], W: s[2], C: s[3], Eps: eps, ReLU: relu, Global: global}, nil
	}
	return device.BatchNorm{}, fmt.Errorf("batch norm: x %v must be [N,C] or [N,H,W,C]", s)
}

// BatchNormTrain normalises x ([N,H,W,C] or [N,C]) with the batch's own
// statistics, scales by gamma [C], shifts by beta [C] and, if relu, rectifies. It
// also returns the batch's mean and biased variance [C], which have no gradient.
func BatchNormTrain(x, gamma, beta *gorgonia.Node, eps float64, relu bool) (y, mean, variance *gorgonia.Node, err error) {
	d, err := normDesc(x, eps, relu, false)
	if err != nil {
		return nil, nil, nil, err
	}
	grad := func(in gorgonia.Nodes, y, dy *gorgonia.Node) (gorgonia.Nodes, error) {
		gamma, err := recomputed(in[1])
		if err != nil {
			return nil, err
		}
		x, err := recomputed(in[0])
		if err != nil {
			return nil, err
		}
		args := []*gorgonia.Node{x, dy, gamma}
		for i := 1; i < len(d.Outputs()); i++ {
			o, err := output(y, i)
			if err != nil {
				return nil, err
			}
			args = append(args, o)
		}
		return normGrad(d, args)
	}
	if y, err = apply(d, x.Shape().Clone(), []bool{true, true, true}, grad, x, gamma, beta); err != nil {
		return nil, nil, nil, err
	}
	if mean, err = output(y, 1); err != nil {
		return nil, nil, nil, err
	}
	variance, err = output(y, 2)
	return y, mean, variance, err
}

// BatchNormGlobal normalises x with given statistics mean and variance [C]:
// evaluation, or training with frozen statistics.
func BatchNormGlobal(x, gamma, beta, mean, variance *gorgonia.Node, eps float64, relu bool) (*gorgonia.Node, error) {
	d, err := normDesc(x, eps, relu, true)
	if err != nil {
		return nil, err
	}
	grad := func(in gorgonia.Nodes, y, dy *gorgonia.Node) (gorgonia.Nodes, error) {
		gamma, err := recomputed(in[1])
		if err != nil {
			return nil, err
		}
		x, err := recomputed(in[0])
		if err != nil {
			return nil, err
		}
		args := []*gorgonia.Node{x, dy, gamma, in[3], in[4]}
		if relu {
			mask, err := output(y, 1)
			if err != nil {
				return nil, err
			}
			args = append(args, mask)
		}
		dxgb, err := normGrad(d, args)
		if err != nil {
			return nil, err
		}
		return append(dxgb, nil, nil), nil
	}
	return apply(d, x.Shape().Clone(), []bool{true, true, true, false, false}, grad, x, gamma, beta, mean, variance)
}

func normGrad(d device.BatchNorm, args []*gorgonia.Node) (gorgonia.Nodes, error) {
	dx, err := apply(device.BatchNormBackward{BatchNorm: d}, args[0].Shape().Clone(), nil, nil, args...)
	if err != nil {
		return nil, err
	}
	dgamma, err := output(dx, 1)
	if err != nil {
		return nil, err
	}
	dbeta, err := output(dx, 2)
	return nodes(err, dx, dgamma, dbeta)
}
