package nn

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"manvision/device"
)

// rows flattens all but the last axis.
func rows(x *gorgonia.Node) (n, last int) {
	s := x.Shape()
	return product(s[:len(s)-1]), s[len(s)-1]
}

// FocalLoss is RetinaNet's sigmoid focal loss (device.FocalLoss) of logits
// [...,classes] against labels int32 [...], divided by norm [1]. The result is a
// scalar.
func FocalLoss(logits, labels, norm *gorgonia.Node, alpha, gamma float64) (*gorgonia.Node, error) {
	if err := present("focal loss", logits, labels, norm); err != nil {
		return nil, err
	}
	if logits.Dims() < 2 {
		return nil, fmt.Errorf("focal loss: logits %v", logits.Shape())
	}
	n, c := rows(logits)
	d := device.FocalLoss{Rows: n, Classes: c, Alpha: alpha, Gamma: gamma}
	grad := func(in gorgonia.Nodes, _, dy *gorgonia.Node) (gorgonia.Nodes, error) {
		dx, err := apply(device.FocalLossBackward{FocalLoss: d}, in[0].Shape().Clone(), nil, nil, in[0], in[1], in[2], dy)
		return nodes(err, dx, nil, nil)
	}
	return apply(d, tensor.ScalarShape(), []bool{true, false, false}, grad, logits, labels, norm)
}

// SmoothL1 is the box loss (device.SmoothL1) of pred [...,dim] against target of
// the same shape over rows whose label is a class, divided by norm [1]. The
// result is a scalar.
func SmoothL1(pred, target, labels, norm *gorgonia.Node, beta float64) (*gorgonia.Node, error) {
	if err := present("smooth-L1", pred, target, labels, norm); err != nil {
		return nil, err
	}
	if pred.Dims() < 2 || !pred.Shape().Eq(target.Shape()) {
		return nil, fmt.Errorf("smooth-L1: shapes %v and %v", pred.Shape(), target.Shape())
	}
	n, dim := rows(pred)
	d := device.SmoothL1{Rows: n, Dim: dim, Beta: beta}
	grad := func(in gorgonia.Nodes, _, dy *gorgonia.Node) (gorgonia.Nodes, error) {
		dx, err := apply(device.SmoothL1Backward{SmoothL1: d}, in[0].Shape().Clone(), nil, nil, in[0], in[1], in[2], in[3], dy)
		return nodes(err, dx, nil, nil, nil)
	}
	return apply(d, tensor.ScalarShape(), []bool{true, false, false, false}, grad, pred, target, labels, norm)
}

// CrossEntropy is the mean over rows whose label is not ignore of −log
// softmax(logits)[label]: logits [...,classes], labels int32 [...]. The result is
// a scalar.
func CrossEntropy(logits, labels *gorgonia.Node, ignore int32) (*gorgonia.Node, error) {
	if err := present("cross-entropy", logits, labels); err != nil {
		return nil, err
	}
	if logits.Dims() < 2 {
		return nil, fmt.Errorf("cross-entropy: logits %v", logits.Shape())
	}
	n, c := rows(logits)
	d := device.CrossEntropy{Rows: n, Classes: c, IgnoreIndex: ignore}
	grad := func(in gorgonia.Nodes, _, dy *gorgonia.Node) (gorgonia.Nodes, error) {
		dx, err := apply(device.CrossEntropyBackward{CrossEntropy: d}, in[0].Shape().Clone(), nil, nil, in[0], in[1], dy)
		return nodes(err, dx, nil)
	}
	return apply(d, tensor.ScalarShape(), []bool{true, false}, grad, logits, labels)
}
