package detection

import (
	"fmt"
	"math"

	"gorgonia.org/gorgonia"

	"manvision/nn"
)

// subnets are RetinaNet's classification and box heads, shared over the levels
// they are applied to: Convs times 3x3 convolution and ReLU, then a 3x3
// convolution to anchors·classes or anchors·4 channels. Names are torchvision's.
type subnets struct {
	channels, convs  int
	anchors, classes int
	prior            float64 // probability of an object at the start
}

func (s subnets) tower(g *nn.Graph, x *gorgonia.Node, prefix string) *gorgonia.Node {
	l := nn.Layer{Out: s.channels, Kernel: 3, Bias: true, Init: nn.Gaussian(0.01), ConvOptions: nn.ConvOptions{Pad: 1, ReLU: true}}
	for i := range s.convs {
		x = g.Conv(x, fmt.Sprintf("%sconv.%d.0", prefix, i), l)
	}
	return x
}

// logits returns [N, h·w·anchors, classes].
func (s subnets) logits(g *nn.Graph, x *gorgonia.Node, prefix string) *gorgonia.Node {
	out := nn.Layer{Out: s.anchors * s.classes, Kernel: 3, Bias: true, Init: nn.Gaussian(0.01),
		BiasInit: nn.Constant(-math.Log((1 - s.prior) / s.prior)), ConvOptions: nn.ConvOptions{Pad: 1}}
	y := g.Conv(s.tower(g, x, prefix+"classification_head."), prefix+"classification_head.cls_logits", out)
	return s.flat(g, y, s.classes)
}

// deltas returns [N, h·w·anchors, 4].
func (s subnets) deltas(g *nn.Graph, x *gorgonia.Node, prefix string) *gorgonia.Node {
	out := nn.Layer{Out: s.anchors * 4, Kernel: 3, Bias: true, Init: nn.Gaussian(0.01), ConvOptions: nn.ConvOptions{Pad: 1}}
	y := g.Conv(s.tower(g, x, prefix+"regression_head."), prefix+"regression_head.bbox_reg", out)
	return s.flat(g, y, 4)
}

// flat joins rows, columns and anchors, in NHWC a reshape without any copy.
func (s subnets) flat(g *nn.Graph, y *gorgonia.Node, last int) *gorgonia.Node {
	if g.Err() != nil {
		return nil
	}
	n := y.Shape()[0]
	return g.Reshape(y, n, y.Shape().TotalSize()/n/last, last)
}
