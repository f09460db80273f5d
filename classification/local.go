package classification

import (
	"fmt"

	"gorgonia.org/gorgonia"

	"manvision/device"
	"manvision/manpp"
	"manvision/nn"
)

func conv3(out, stride int) nn.Layer {
	return nn.Layer{Out: out, Kernel: 3, ConvOptions: nn.ConvOptions{Stride: stride, Pad: 1}}
}

// classifier maps the auxiliary feature y [N,H,W,C] to [N,out] by the local head of
// a kind. Parameters are numbered as the official release's Sequential modules, where
// ReLU, pooling and flattening count too.
func (h *heads) classifier(g *nn.Graph, kind string, y manpp.Feature, prefix string, out int) *gorgonia.Node {
	if g.Err() != nil {
		return nil
	}
	switch kind {
	case headDGL:
		return h.dgl(g, y.Node, prefix, out)
	case headImageNet:
		return h.imageNet(g, y.Node, prefix, out)
	case headToken:
		return h.model.Backbone.ViT.ClassifyLocal(g, y.Node, prefix, out)
	}
	return h.infoPro(g, y, int(kind[0]-'0'), int(kind[2]-'0'), prefix, out)
}

// dgl is MAN++'s head for DGL (METHOD §1.4): pooling to about 8x8, three 1x1
// convolutions, pooling, three linear layers, all with batch norm and ReLU, and a
// classifier. Maps whose size is no multiple of 8 keep whole windows only.
func (h *heads) dgl(g *nn.Graph, x *gorgonia.Node, p string, out int) *gorgonia.Node {
	f := h.net.features()
	if size := min(x.Shape()[1], x.Shape()[2]) / 8; size > 1 {
		x = g.AvgPool(x, nn.PoolOptions{Size: size})
	}
	for i := 0; i < 9; i += 3 {
		x = g.ConvNorm(x, fmt.Sprint(p, i), fmt.Sprint(p, i+1), nn.Layer{Out: f, Kernel: 1}, true)
	}
	x = g.GlobalAvgPool(x) // [N,F]
	for i := 11; i < 20; i += 3 {
		x = g.Norm(g.FC(x, fmt.Sprint(p, i), 4*f, nn.FrameworkDefault), fmt.Sprint(p, i+1), true)
	}
	return g.FC(x, p+"20", out, nn.FrameworkDefault)
}

// infoPro is InfoPro's head of convs 3x3 convolutions and fcs linear layers. The
// first convolution doubles the channels and halves the size but for maps of the last
// stage.
func (h *heads) infoPro(g *nn.Graph, y manpp.Feature, convs, fcs int, p string, out int) *gorgonia.Node {
	x, at := y.Node, 0
	widen := max(h.net.Widen, 1)
	for i := range convs {
		channels, stride := x.Shape()[3], 1
		if i == 0 {
			if y.Stage < h.Stages()[0] {
				channels, stride = 2*channels, 2
			}
			channels *= widen
		}
		x = g.ConvNorm(x, fmt.Sprint(p, at), fmt.Sprint(p, at+1), conv3(channels, stride), true)
		if g.Err() != nil {
			return nil
		}
		at += 3
	}
	x = g.GlobalAvgPool(x)
	at += 2
	for range fcs - 1 {
		x = g.ReLU(g.FC(x, fmt.Sprint(p, at), h.net.features()*widen, nn.FrameworkDefault))
		at += 2
	}
	return g.FC(x, fmt.Sprint(p, at), out, nn.FrameworkDefault)
}

// imageNet is InfoPro's head for ImageNet (METHOD §1.5).
func (h *heads) imageNet(g *nn.Graph, x *gorgonia.Node, p string, out int) *gorgonia.Node {
	for i, l := range []nn.Layer{{Out: max(x.Shape()[3]/4, 1), Kernel: 1}, conv3(256, 2), conv3(512, 2), {Out: 2048, Kernel: 1}} {
		x = g.ConvNorm(x, fmt.Sprint(p, 3*i), fmt.Sprint(p, 3*i+1), l, true)
	}
	return g.FC(g.GlobalAvgPool(x), p+"14", out, nn.FrameworkDefault)
}

// decoder maps y to logits [N,h,w,3] whose sigmoid is the image: on CIFAR-like maps
// an enlargement to full size and two 3x3 convolutions (METHOD §1.4), with the head
// for ImageNet step by step (§1.5).
func (h *heads) decoder(g *nn.Graph, y manpp.Feature, p string) *gorgonia.Node {
	if g.Err() != nil {
		return nil
	}
	biased := func(out, kernel int) nn.Layer {
		return nn.Layer{Out: out, Kernel: kernel, Bias: true, ConvOptions: nn.ConvOptions{Pad: kernel / 2}}
	}
	x := y.Node
	if h.kind != headImageNet {
		x = g.Resize(x, h.h, h.w, device.BilinearAligned)
		x = g.ConvNorm(x, p+"0", p+"1", biased(12*max(h.net.Widen, 1), 3), true)
		return g.Conv(x, p+"3", biased(3, 3))
	}
	// What stands before each enlargement by two; the last convolution has the size of
	// the image.
	layers := []nn.Layer{biased(12, 3), biased(32, 3)}
	switch {
	case y.Stride <= 8:
		layers = append(layers, biased(128, 1))
	default:
		layers = append(layers, biased(64, 1), biased(192, 1))
	}
	at := 0
	for i := len(layers) - 1; i >= 0; i-- {
		x = g.ConvNorm(x, fmt.Sprint(p, at), fmt.Sprint(p, at+1), layers[i], true)
		x = g.Resize(x, (h.h+1<<i-1)>>i, (h.w+1<<i-1)>>i, device.BilinearAligned)
		at += 4
	}
	return g.Conv(x, fmt.Sprint(p, at), biased(3, 3))
}

// predSim is PredSim's pair of losses: a linear classifier that starts at 0 on maps
// pooled to at most 4096 numbers, and the similarity of a 3x3 convolution's maps.
func (h *heads) predSim(g *nn.Graph, x *gorgonia.Node, p string, weight float64) []manpp.Loss {
	s := x.Shape()
	pooled, size := x, 1
	for s[3]*(s[1]/size)*(s[2]/size) > 4096 && 2*size <= min(s[1], s[2]) {
		size *= 2
	}
	if size > 1 {
		pooled = g.AvgPool(x, nn.PoolOptions{Size: size})
	}
	share := h.net.SimilarityShare
	if share == 0 {
		share = 0.99
	}
	var losses []manpp.Loss
	if share < 1 && g.Err() == nil {
		flat := g.Reshape(pooled, s[0], pooled.Shape().TotalSize()/s[0])
		losses = append(losses, h.crossEntropy(g, g.FC(flat, p+"pred", h.net.Classes, nn.Constant(0)), (1-share)*weight))
	}
	maps := g.Conv(x, p+"sim", conv3(s[3], 1))
	return append(losses, manpp.Loss{Name: "sim", Node: g.Similarity(maps, h.labels(g), h.net.Classes, share*weight)})
}
