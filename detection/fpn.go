package detection

import (
	"fmt"

	"gorgonia.org/gorgonia"

	"manvision/device"
	"manvision/manpp"
	"manvision/nn"
)

// FPN is the feature pyramid of RetinaNet over the backbone's stages 2, 3 and 4
// (C3, C4, C5): lateral 1x1 convolutions, a top-down path with nearest
// interpolation summed before the 3x3 smoothing, and two extra levels, P6 from C5
// (or P5) and P7 from ReLU(P6). Parameters carry torchvision's names (inner_blocks,
// layer_blocks, extra_blocks). Lin et al. 2017, "Feature Pyramid Networks";
// METHOD §2.
type FPN struct {
	Channels int
	// P6FromP5 takes P6 from P5, smoothed: torchvision's retinanet_resnet50_fpn.
	P6FromP5 bool
	// RectifiedP6 gives the subnets ReLU(P6) instead of P6, as the official MAN++
	// release does because its ReLU works in place.
	RectifiedP6 bool
}

// Forward returns P3 to P7, [N,h,w,Channels] each, of features by stage.
func (f FPN) Forward(g *nn.Graph, feats map[int]manpp.Feature, prefix string) []*gorgonia.Node {
	lateral := nn.Layer{Out: f.Channels, Kernel: 1, Bias: true, Init: nn.FrameworkDefault}
	smooth := nn.Layer{Out: f.Channels, Kernel: 3, Bias: true, Init: nn.FrameworkDefault, ConvOptions: nn.ConvOptions{Pad: 1}}
	extra := smooth
	extra.Stride = 2

	out := make([]*gorgonia.Node, 5)
	var top *gorgonia.Node
	for i := 2; i >= 0; i-- { // C5, C4, C3
		c, ok := feats[i+2]
		if !ok {
			g.Fail(fmt.Errorf("FPN: no features of stage %d", i+2))
			return nil
		}
		p := g.Conv(c.Node, fmt.Sprintf("%sinner_blocks.%d.0", prefix, i), lateral)
		if top != nil && g.Err() == nil {
			p = g.Add(p, g.Resize(top, p.Shape()[1], p.Shape()[2], device.Nearest))
		}
		top = p
		out[i] = g.Conv(p, fmt.Sprintf("%slayer_blocks.%d.0", prefix, i), smooth)
	}
	deepest := feats[4].Node
	if f.P6FromP5 {
		deepest = out[2]
	}
	if f.RectifiedP6 {
		extra.ReLU = true
		out[3] = g.Conv(deepest, prefix+"extra_blocks.p6", extra)
		extra.ReLU = false
		out[4] = g.Conv(out[3], prefix+"extra_blocks.p7", extra)
		return out
	}
	out[3] = g.Conv(deepest, prefix+"extra_blocks.p6", extra)
	out[4] = g.Conv(g.ReLU(out[3]), prefix+"extra_blocks.p7", extra)
	return out
}
