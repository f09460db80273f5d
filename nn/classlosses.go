package nn

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"manvision/device"
)

// SoftCrossEntropy is weight times the mean over rows of −Σ target·log
// softmax(logits), both [Rows,Classes]: cross-entropy with smoothed or mixed labels.
// The result is a scalar; target gets no gradient.
func SoftCrossEntropy(logits, target *gorgonia.Node, weight float64) (*gorgonia.Node, error) {
	if err := present("soft cross-entropy", logits, target); err != nil {
		return nil, err
	}
	if logits.Dims() != 2 || !logits.Shape().Eq(target.Shape()) {
		return nil, fmt.Errorf("soft cross-entropy: shapes %v and %v", logits.Shape(), target.Shape())
	}
	d := device.SoftCrossEntropy{Rows: logits.Shape()[0], Classes: logits.Shape()[1], Weight: weight}
	grad := func(in gorgonia.Nodes, _, dy *gorgonia.Node) (gorgonia.Nodes, error) {
		dx, err := apply(device.SoftCrossEntropyBackward{SoftCrossEntropy: d}, in[0].Shape().Clone(), nil, nil, in[0], in[1], dy)
		return nodes(err, dx, nil)
	}
	return apply(d, tensor.ScalarShape(), []bool{true, false}, grad, logits, target)
}

// SupCon is weight times the supervised contrastive loss (device.SupCon) of the rows
// of x [Rows,Dim], which need not have unit length, against labels int32 [Rows]. The
// result is a scalar.
func SupCon(x, labels *gorgonia.Node, temperature, weight float64) (*gorgonia.Node, error) {
	if err := present("contrastive loss", x, labels); err != nil {
		return nil, err
	}
	if x.Dims() != 2 {
		return nil, fmt.Errorf("contrastive loss: features %v must be [N,C]", x.Shape())
	}
	d := device.SupCon{Rows: x.Shape()[0], Dim: x.Shape()[1], Temperature: temperature, Weight: weight}
	grad := func(in gorgonia.Nodes, _, dy *gorgonia.Node) (gorgonia.Nodes, error) {
		dx, err := apply(device.SupConBackward{SupCon: d}, in[0].Shape().Clone(), nil, nil, in[0], in[1], dy)
		return nodes(err, dx, nil)
	}
	return apply(d, tensor.ScalarShape(), []bool{true, false}, grad, x, labels)
}

// Similarity is weight times the similarity matching loss (device.Similarity) of the
// maps x [N,H,W,C] against labels int32 [N] of classes kinds. The result is a scalar.
func Similarity(x, labels *gorgonia.Node, classes int, weight float64) (*gorgonia.Node, error) {
	if err := present("similarity loss", x, labels); err != nil {
		return nil, err
	}
	if x.Dims() != 4 {
		return nil, fmt.Errorf("similarity loss: x %v must be [N,H,W,C]", x.Shape())
	}
	s := x.Shape()
	d := device.Similarity{N: s[0], Cells: s[1] * s[2], C: s[3], Classes: classes, Weight: weight}
	grad := func(in gorgonia.Nodes, _, dy *gorgonia.Node) (gorgonia.Nodes, error) {
		dx, err := apply(device.SimilarityBackward{Similarity: d}, in[0].Shape().Clone(), nil, nil, in[0], in[1], dy)
		return nodes(err, dx, nil)
	}
	return apply(d, tensor.ScalarShape(), []bool{true, false}, grad, x, labels)
}

// SoftCrossEntropy is the cross-entropy against distributions.
func (g *Graph) SoftCrossEntropy(logits, target *gorgonia.Node, weight float64) *gorgonia.Node {
	return g.try("", func() (*gorgonia.Node, error) { return SoftCrossEntropy(logits, target, weight) })
}

// SupCon is the supervised contrastive loss.
func (g *Graph) SupCon(x, labels *gorgonia.Node, temperature, weight float64) *gorgonia.Node {
	return g.try("", func() (*gorgonia.Node, error) { return SupCon(x, labels, temperature, weight) })
}

// Similarity is the similarity matching loss.
func (g *Graph) Similarity(x, labels *gorgonia.Node, classes int, weight float64) *gorgonia.Node {
	return g.try("", func() (*gorgonia.Node, error) { return Similarity(x, labels, classes, weight) })
}
