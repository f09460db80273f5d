package segmentation

import (
	"gorgonia.org/gorgonia"

	"manvision/nn"
)

// fcn is a fully convolutional head: 3x3 convolution, batch norm, ReLU, dropout,
// classifier. It serves as final, auxiliary and local head. Parameter names are
// torchvision's FCNHead's.
type fcn struct {
	classes  int
	channels int // of the 3x3 convolution; 0: a quarter of the input's
	dropout  float64
}

// forward maps x [N,h,w,C] to logits [N,h,w,classes].
func (f fcn) forward(g *nn.Graph, x *gorgonia.Node, prefix string) *gorgonia.Node {
	if g.Err() != nil {
		return nil
	}
	channels := f.channels
	if channels == 0 {
		channels = max(x.Shape()[3]/4, 1)
	}
	y := g.ConvNorm(x, prefix+"0", prefix+"1", conv3(channels), true)
	y = g.Dropout(y, prefix+"3", f.dropout)
	return g.Conv(y, prefix+"4", classify(f.classes))
}
