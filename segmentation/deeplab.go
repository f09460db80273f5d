package segmentation

import (
	"gorgonia.org/gorgonia"

	"manvision/device"
	"manvision/nn"
)

// lowLevel is the width that DeepLabV3+ reduces layer1 to.
const lowLevel = 48

// deeplab is DeepLabV3's head on x [N,h,w,C]: ASPP, a 3x3 convolution, the
// classifier. It returns logits [N,h,w,Classes].
func (s *Net) deeplab(g *nn.Graph, x *gorgonia.Node, pyramid aspp, prefix string) *gorgonia.Node {
	y := pyramid.forward(g, x, prefix+"0.")
	y = g.ConvNorm(y, prefix+"1", prefix+"2", conv3(s.width()), true)
	return g.Conv(y, prefix+"4", classify(s.Classes))
}

// deeplabPlus is DeepLabV3+'s head: the ASPP of x is enlarged to low, the last map
// of layer1 [N,H,W,C], and refined together with 48 channels of it by two 3x3
// convolutions (Chen et al. 2018, §3.1 and table 2). It returns logits
// [N,H,W,Classes].
func (s *Net) deeplabPlus(g *nn.Graph, x, low *gorgonia.Node, pyramid aspp, prefix string) *gorgonia.Node {
	if g.Err() != nil {
		return nil
	}
	y := pyramid.forward(g, x, prefix+"aspp.")
	z := g.ConvNorm(low, prefix+"low_level.0", prefix+"low_level.1", nn.Layer{Out: lowLevel, Kernel: 1, Init: nn.FrameworkDefault}, true)
	y = g.Resize(y, low.Shape()[1], low.Shape()[2], device.Bilinear)
	y = g.Concat(3, y, z)
	y = g.ConvNorm(y, prefix+"decoder.0", prefix+"decoder.1", conv3(s.width()), true)
	y = g.ConvNorm(y, prefix+"decoder.3", prefix+"decoder.4", conv3(s.width()), true)
	return g.Conv(y, prefix+"decoder.6", classify(s.Classes))
}

// conv3 is a 3x3 convolution of out channels that keeps the map's size.
func conv3(out int) nn.Layer {
	return nn.Layer{Out: out, Kernel: 3, Init: nn.FrameworkDefault, ConvOptions: nn.ConvOptions{Pad: 1}}
}

// classify is the 1x1 convolution with bias that makes logits.
func classify(classes int) nn.Layer {
	return nn.Layer{Out: classes, Kernel: 1, Bias: true, Init: nn.FrameworkDefault}
}
