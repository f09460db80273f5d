package backbone

import (
	"math"
	"slices"
	"strings"
	"testing"

	"gorgonia.org/gorgonia"

	"manvision/device"
	"manvision/device/ref"
	"manvision/nn"
)

// params are the published numbers of parameters. ImageNet with the 1000-class head:
// num_params in torchvision 0.14's weights metadata (ResNet50_Weights.IMAGENET1K_V1 and
// so on, ViT_B_16_Weights), for the two smaller transformers timm's of
// vit_tiny_patch16_224 and vit_small_patch16_224; the release's variant has a layer
// norm, 2·D, more. CIFAR with 10 classes, option A: the model table of
// akamaster/pytorch_resnet_cifar10's README is in thousands (0.27, 0.46, 0.66, 0.85, 1.7
// million) and ResNet-20's 269,722 is counted in its file; the other depths add
// (depth−20)/6 units of 2·9·w²+4·w weights for each width w of 16, 32, 64: 97,216 in
// all. Projections add 16·32+2·32 + 32·64+2·64 = 2,752.
var params = map[string]int{
	"resnet18":  11689512,
	"resnet34":  21797672,
	"resnet50":  25557032,
	"resnet101": 44549160,
	"resnet152": 60192808,

	"resnext50_32x4d":  25028904,
	"resnext101_32x8d": 88791336,
	"wide_resnet50_2":  68883240,

	"cifar_resnet20_a":  269722,
	"cifar_resnet32_a":  269722 + 2*97216,
	"cifar_resnet44_a":  269722 + 4*97216,
	"cifar_resnet56_a":  269722 + 6*97216,
	"cifar_resnet110_a": 269722 + 15*97216,

	"cifar_resnet20":  272474,
	"cifar_resnet32":  272474 + 2*97216,
	"cifar_resnet44":  272474 + 4*97216,
	"cifar_resnet56":  272474 + 6*97216,
	"cifar_resnet110": 272474 + 15*97216,

	"vit_ti_16": 5717416,
	"vit_s_16":  22050664,
	"vit_b_16":  86567656,

	"vit_ti_16_manpp": 5717416 + 2*192,
	"vit_s_16_manpp":  22050664 + 2*384,
	"vit_b_16_manpp":  86567656 + 2*768,
}

// narrow is a small width that the backbone can have.
func narrow(name string) int {
	switch {
	case name == "resnext50_32x4d":
		return 16
	case name == "resnext101_32x8d":
		return 8
	case strings.HasPrefix(name, "vit_"):
		return 12
	}
	return 4
}

// TestEveryBackbone builds every backbone that New knows: in its published width the
// number of parameters is the published one; a narrow version has the shapes that its
// units say, at an odd size where it is convolutional (strides round up, as padding
// makes it), and gives every parameter a finite gradient that is not zero.
func TestEveryBackbone(t *testing.T) {
	names := slices.Concat(Names(), CIFARNames(), ViTNames())
	if len(names) != len(params) {
		t.Errorf("%d backbones, %d published numbers", len(names), len(params))
	}
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			t.Run("parameters", func(t *testing.T) { countParameters(t, name) })
			t.Run("gradients", func(t *testing.T) { learns(t, name) })
		})
	}
}

// forward runs all units on x [n,h,w,3] and checks the shape of what each gives.
func forward(t *testing.T, g *nn.Graph, b *Backbone, x *gorgonia.Node, prefix string) *gorgonia.Node {
	t.Helper()
	n, h, w := x.Shape()[0], x.Shape()[1], x.Shape()[2]
	tokens := 0
	if v := b.ViT; v != nil {
		tokens = 1 + h/v.Patch*(w/v.Patch)
	}
	for _, u := range b.Units {
		if c := x.Shape()[x.Dims()-1]; c != u.In {
			t.Errorf("unit %q reads %d channels, says %d", u.Name, c, u.In)
		}
		if x = u.Forward(g, x, prefix); g.Err() != nil {
			t.Fatal(g.Err())
		}
		h, w = (h+u.Stride-1)/u.Stride, (w+u.Stride-1)/u.Stride
		want := []int{n, h, w, u.Out}
		if tokens > 0 {
			want = []int{n, tokens, u.Out}
		}
		if !slices.Equal(x.Shape(), want) {
			t.Errorf("unit %q gives %v, want %v", u.Name, x.Shape(), want)
		}
	}
	return x
}

// classify is the network's own head.
func classify(g *nn.Graph, b *Backbone, x *gorgonia.Node, prefix string, classes int) *gorgonia.Node {
	if b.ViT != nil {
		return b.ViT.Classify(g, x, prefix, classes)
	}
	return Classifier(g, x, prefix, classes)
}

func countParameters(t *testing.T, name string) {
	b, err := New(name, PublishedWidth(name))
	if err != nil {
		t.Fatal(err)
	}
	dev := ref.New()
	defer dev.Close()
	g := nn.NewGraph(nn.NewStore(dev, 1), nn.Train)
	size, classes := 224, 1000
	if strings.HasPrefix(name, "cifar") {
		size, classes = 32, 10
	}
	x, _ := g.Input("input", device.Desc{Shape: []int{1, size, size, 3}})
	if classify(g, b, forward(t, g, b, x, ""), "", classes); g.Err() != nil {
		t.Fatal(g.Err())
	}
	n := 0
	for _, v := range g.Store.Vars() {
		if v.Trainable {
			n += v.Elems()
		}
	}
	if n != params[name] {
		t.Errorf("%d parameters, want %d", n, params[name])
	}
}

func learns(t *testing.T, name string) {
	dev := ref.New()
	defer dev.Close()
	store := nn.NewStore(dev, 1)
	defer store.Free()
	b, err := New(name, narrow(name))
	if err != nil {
		t.Fatal(err)
	}
	g := nn.NewGraph(store, nn.Train)
	g.Recompute = b.ViT != nil
	h, w := 45, 67
	if b.ViT != nil {
		h, w = 32, 48
	}
	x, in := g.Input("input", device.Desc{Shape: []int{2, h, w, 3}})
	y := forward(t, g, b, x, "p.")
	l, labels := g.Input("labels", device.Desc{DType: device.Int32, Shape: []int{2}})
	loss := g.CrossEntropy(classify(g, b, y, "p.", 5), l, -1)
	grads, err := g.Gradients(loss)
	if err != nil {
		t.Fatal(err)
	}
	keep := []*gorgonia.Node{loss}
	for _, gr := range grads {
		keep = append(keep, gr.Node)
	}
	p, err := g.Compile(name, nil, keep...)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	image := make([]float64, 2*h*w*3)
	nn.UniformIn(1)(image, nil, nn.NewStream(1, "image"))
	for _, err := range []error{store.Realize(), in.Upload(image), labels.Upload([]int32{1, 3})} {
		if err != nil {
			t.Fatal(err)
		}
	}
	trainable := 0
	for _, v := range store.Vars() {
		if !strings.HasPrefix(v.Name, "p.") {
			t.Errorf("%s lacks the prefix", v.Name)
		}
		if !v.Trainable {
			continue
		}
		trainable++
		if b.ViT == nil {
			continue
		}
		// torchvision's classifier starts at zero, which would stop all gradients.
		x := make([]float64, v.Elems())
		nn.UniformIn(0.3)(x, nil, nn.NewStream(2, v.Name))
		if err := store.Set(v.Name, x); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Run(); err != nil {
		t.Fatal(err)
	}
	if len(grads) != trainable {
		t.Errorf("%d gradients of %d parameters", len(grads), trainable)
	}
	for _, gr := range grads {
		d := make([]float64, gr.Var.Elems())
		if err := p.Download(d, gr.Node); err != nil {
			t.Fatal(err)
		}
		sum := 0.0
		for _, v := range d {
			sum += math.Abs(v)
		}
		if sum == 0 || math.IsNaN(sum) || math.IsInf(sum, 0) {
			t.Errorf("the gradient of %s sums to %v", gr.Var.Name, sum)
		}
	}
}
