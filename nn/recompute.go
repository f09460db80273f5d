package nn

import (
	"fmt"

	"gorgonia.org/gorgonia"

	"manvision/device"
)

// Recompute lets gradients compute y once more instead of keeping it from the
// forward pass: passes over memory buy the storage of y. y is the result of
// BatchNormTrain, computed again from its input and statistics for the gradient of
// a convolution that reads it; or the result of AddReLU, computed again for all its
// gradients from its terms, and these from their own where they are recomputed too
// or results of a batch norm; or the result of LayerNorm or GELU, computed again from
// its input for the gradient of a Linear that reads it; or the result of Conv2D,
// computed again for the gradient of a batch norm that reads it from its own input,
// which may be recomputed too. The recomputed values may differ from y in the last bit
// of a float32.
func Recompute(y *gorgonia.Node) error {
	o, ok := y.Op().(*op)
	if !ok {
		return fmt.Errorf("recompute: %v is not the result of a layer", y)
	}
	switch d := o.desc.(type) {
	case device.BatchNorm:
		if !d.Global {
			o.again = func() (*gorgonia.Node, error) { return normAgain(y) }
			return nil
		}
	case device.Add:
		if d.ReLU {
			o.again = func() (*gorgonia.Node, error) { return sumAgain(y) }
			return nil
		}
	case device.Conv:
		o.again = func() (*gorgonia.Node, error) { return convAgain(o, d) }
		return nil
	case device.LayerNorm:
		o.again = func() (*gorgonia.Node, error) { return LayerNorm(o.args[0], o.args[1], o.args[2], d.Eps) }
		return nil
	case device.GELU:
		o.again = func() (*gorgonia.Node, error) { return GELU(o.args[0]) }
		return nil
	}
	return fmt.Errorf("recompute: %s is not a convolution, a training batch norm, a rectified sum, a layer norm or a GELU", o.desc.Kind())
}

// convAgain computes the result of convolution o once more.
func convAgain(o *op, c device.Conv) (*gorgonia.Node, error) {
	x, err := recomputed(o.args[0])
	if err != nil {
		return nil, err
	}
	var b *gorgonia.Node
	if c.Bias {
		b = o.args[2]
	}
	return Conv2D(x, o.args[1], b, ConvOptions{Stride: c.SH, Pad: c.PH, Dilation: c.DH, Groups: c.Groups, ReLU: c.ReLU})
}

// normAgain computes the result y of a batch norm once more.
func normAgain(y *gorgonia.Node) (*gorgonia.Node, error) {
	o := y.Op().(*op)
	d := o.desc.(device.BatchNorm)
	x, err := recomputed(o.args[0])
	if err != nil {
		return nil, err
	}
	if d.Global {
		return BatchNormGlobal(x, o.args[1], o.args[2], o.args[3], o.args[4], d.Eps, d.ReLU)
	}
	mean, err := output(y, 1)
	if err != nil {
		return nil, err
	}
	variance, err := output(y, 2)
	if err != nil {
		return nil, err
	}
	return BatchNormGlobal(x, o.args[1], o.args[2], mean, variance, d.Eps, d.ReLU)
}

// sumAgain computes the result y of AddReLU once more.
func sumAgain(y *gorgonia.Node) (*gorgonia.Node, error) {
	var terms [2]*gorgonia.Node
	for i, t := range y.Op().(*op).args {
		o, ok := t.Op().(*op)
		var err error
		if ok && o.again == nil {
			if _, norm := o.desc.(device.BatchNorm); norm {
				if terms[i], err = normAgain(t); err != nil {
					return nil, err
				}
				continue
			}
		}
		if terms[i], err = recomputed(t); err != nil {
			return nil, err
		}
	}
	return AddReLU(terms[0], terms[1])
}

// recomputed returns a node of x's value for a backward pass: a second
// computation, shared by all that ask, where Recompute asked for one, what Renewed
// names, else x itself.
func recomputed(x *gorgonia.Node) (*gorgonia.Node, error) {
	var o *op
	switch n := x.Op().(type) {
	case *op:
		o = n
	case *view:
		o = &n.op
	}
	if o == nil || o.again == nil {
		return x, nil
	}
	if o.second == nil {
		var err error
		if o.second, err = o.again(); err != nil {
			return nil, err
		}
	}
	return o.second, nil
}
