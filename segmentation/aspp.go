package segmentation

import (
	"fmt"

	"gorgonia.org/gorgonia"

	"manvision/device"
	"manvision/nn"
)

// aspp is atrous spatial pyramid pooling: a 1x1 convolution, one dilated 3x3
// convolution a rate and the pooled image, side by side, and a 1x1 projection of
// all (Chen et al. 2017, §3.3). Parameter names are torchvision's.
type aspp struct {
	rates    []int
	channels int
	dropout  float64
	frozen   bool // running statistics for the norm of the pooled image
}

// forward maps x [N,h,w,C] to [N,h,w,channels].
func (a aspp) forward(g *nn.Graph, x *gorgonia.Node, prefix string) *gorgonia.Node {
	if g.Err() != nil {
		return nil
	}
	conv := func(x *gorgonia.Node, name, norm string, l nn.Layer) *gorgonia.Node {
		l.Out, l.Init = a.channels, nn.FrameworkDefault
		return g.ConvNorm(x, prefix+name, prefix+norm, l, true)
	}
	branches := []*gorgonia.Node{conv(x, "convs.0.0", "convs.0.1", nn.Layer{Kernel: 1})}
	for i, r := range a.rates {
		name := fmt.Sprintf("convs.%d.", i+1)
		branches = append(branches, conv(x, name+"0", name+"1", nn.Layer{Kernel: 3, ConvOptions: nn.ConvOptions{Pad: r, Dilation: r}}))
	}
	branches = append(branches, a.pooled(g, x, fmt.Sprintf("%sconvs.%d.", prefix, len(a.rates)+1)))
	y := conv(g.Concat(3, branches...), "project.0", "project.1", nn.Layer{Kernel: 1}) // [N,h,w,channels]
	return g.Dropout(y, prefix+"project.3", a.dropout)
}

// pooled is the image branch: the mean of every map through a 1x1 convolution,
// spread over the map again.
func (a aspp) pooled(g *nn.Graph, x *gorgonia.Node, prefix string) *gorgonia.Node {
	frozen := g.FrozenNorm
	g.FrozenNorm = frozen || a.frozen
	defer func() { g.FrozenNorm = frozen }()
	n, h, w, c := x.Shape()[0], x.Shape()[1], x.Shape()[2], x.Shape()[3]
	if n == 1 && g.Mode == nn.Train && !g.FrozenNorm {
		g.Fail(fmt.Errorf("%s2: the batch norm of the image pooling has one value an image, so a batch of 1 has no variance; use a batch of at least 2, or model.norm frozen", prefix))
		return nil
	}
	y := g.Reshape(g.GlobalAvgPool(x), n, 1, 1, c)
	y = g.ConvNorm(y, prefix+"1", prefix+"2", nn.Layer{Out: a.channels, Kernel: 1, Init: nn.FrameworkDefault}, true)
	return g.Resize(y, h, w, device.Bilinear) // of one cell: the same value everywhere
}
