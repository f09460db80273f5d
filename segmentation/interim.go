package segmentation

import (
	"errors"

	"gorgonia.org/gorgonia"

	"manvision/device"
	"manvision/nn"
)

type ohem = struct {
	Threshold float64
	MinKept   int
}

func dropout(_ *nn.Graph, x *gorgonia.Node, _ string, _ float64) *gorgonia.Node { return x }

func pixelCE(g *nn.Graph, logits, labels *gorgonia.Node, _ float64) *gorgonia.Node {
	if g.Err() != nil {
		return nil
	}
	s := labels.Shape()
	return g.CrossEntropy(g.Resize(logits, s[1], s[2], device.Bilinear), g.Reshape(labels, s[0]*s[1]*s[2]), Ignore)
}

func sigmoidBCE(g *nn.Graph, _, _ *gorgonia.Node, _ float64) *gorgonia.Node {
	g.Fail(errors.New("the reconstruction loss is not there yet"))
	return nil
}
