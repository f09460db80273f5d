package nn

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"manvision/device"
)

// PixelLoss are the settings of PixelCrossEntropy.
type PixelLoss struct {
	Ignore int32   // label of pixels that count nothing, e.g. 255
	Weight float64 // factor of the mean
	OHEM   OHEM
}

// OHEM is online hard example mining: only pixels whose probability of their own
// class is at most Threshold count or, if these are fewer than MinKept in the
// whole batch, the MinKept of smallest probability. The zero value is off.
type OHEM struct {
	Threshold float64
	MinKept   int
}

// PixelCrossEntropy interpolates logits [N,h,w,C] bilinearly (half-pixel centres)
// to the size of labels int32 [N,H,W] and returns the cross-entropy, a scalar: the
// mean over the pixels kept times o.Weight, 0 when none is. The interpolated
// logits are never stored (see device.PixelCrossEntropy).
func PixelCrossEntropy(logits, labels *gorgonia.Node, o PixelLoss) (*gorgonia.Node, error) {
	if err := present("pixel cross-entropy", logits, labels); err != nil {
		return nil, err
	}
	s, l := logits.Shape(), labels.Shape()
	if len(s) != 4 || len(l) != 3 || s[0] != l[0] {
		return nil, fmt.Errorf("pixel cross-entropy: logits %v must be [N,h,w,C] and labels %v [N,H,W] of the same N", s, l)
	}
	d := device.PixelCrossEntropy{N: s[0], H: s[1], W: s[2], C: s[3], OH: l[1], OW: l[2],
		IgnoreIndex: o.Ignore, Weight: o.Weight, Threshold: o.OHEM.Threshold, MinKept: o.OHEM.MinKept}
	grad := func(in gorgonia.Nodes, y, dy *gorgonia.Node) (gorgonia.Nodes, error) {
		state, err := output(y, 1)
		if err != nil {
			return nil, err
		}
		dx, err := apply(device.PixelCrossEntropyBackward{PixelCrossEntropy: d}, in[0].Shape().Clone(), nil, nil, in[0], in[1], state, dy)
		return nodes(err, dx, nil)
	}
	return apply(d, tensor.ScalarShape(), []bool{true, false}, grad, logits, labels)
}

// SigmoidBCE is weight times the mean over all elements of the binary
// cross-entropy of sigmoid(logits) against target, of the same shape and in [0,1].
// The result is a scalar; target gets no gradient.
func SigmoidBCE(logits, target *gorgonia.Node, weight float64) (*gorgonia.Node, error) {
	if err := present("sigmoid cross-entropy", logits, target); err != nil {
		return nil, err
	}
	if !logits.Shape().Eq(target.Shape()) {
		return nil, fmt.Errorf("sigmoid cross-entropy: shapes %v and %v differ", logits.Shape(), target.Shape())
	}
	d := device.SigmoidBCE{Size: logits.Shape().TotalSize(), Weight: weight}
	grad := func(in gorgonia.Nodes, _, dy *gorgonia.Node) (gorgonia.Nodes, error) {
		dx, err := apply(device.SigmoidBCEBackward{SigmoidBCE: d}, in[0].Shape().Clone(), nil, nil, in[0], in[1], dy)
		return nodes(err, dx, nil)
	}
	return apply(d, tensor.ScalarShape(), []bool{true, false}, grad, logits, target)
}
