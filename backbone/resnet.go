package backbone

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"gorgonia.org/gorgonia"

	"manvision/nn"
)

// A residual is what tells torchvision's networks apart: ResNets of He et al. 2015
// ("v1.5": a bottleneck's stride sits on its 3x3 convolution), ResNeXts of Xie et
// al. 2016, Wide ResNets of Zagoruyko and Komodakis 2016.
type residual struct {
	bottleneck bool
	layers     [4]int // units of layer1 to layer4
	groups     int    // of the 3x3 convolutions of bottlenecks
	perGroup   int    // their channels a group in layer1
}

var resnets = map[string]residual{
	"resnet18":         {false, [4]int{2, 2, 2, 2}, 1, 64},
	"resnet34":         {false, [4]int{3, 4, 6, 3}, 1, 64},
	"resnet50":         {true, [4]int{3, 4, 6, 3}, 1, 64},
	"resnet101":        {true, [4]int{3, 4, 23, 3}, 1, 64},
	"resnet152":        {true, [4]int{3, 8, 36, 3}, 1, 64},
	"resnext50_32x4d":  {true, [4]int{3, 4, 6, 3}, 32, 4},
	"resnext101_32x8d": {true, [4]int{3, 4, 23, 3}, 32, 8},
	"wide_resnet50_2":  {true, [4]int{3, 4, 6, 3}, 1, 128},
}

// Names lists the backbones of four stages that New knows, those of torchvision.
func Names() []string { return sorted(resnets) }

func sorted[V any](m map[string]V) []string {
	return slices.SortedFunc(maps.Keys(m), func(a, b string) int {
		return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
	})
}

// New returns a backbone by its name, one of Names, CIFARNames or ViTNames. width is
// the channels of the stem and the base of the stages' widths, of a vision transformer
// the channels of its tokens; PublishedWidth is the published network's. The 32 groups of a ResNeXt need a width that they divide:
// a multiple of 16 for resnext50_32x4d and of 8 for resnext101_32x8d.
func New(name string, width int) (*Backbone, error) {
	if width < 1 {
		return nil, fmt.Errorf("backbone %s: width %d is below 1", name, width)
	}
	if c, ok := cifar[name]; ok {
		b := CIFARResNet(c.depth, width, c.padded)
		b.Name = name
		return b, nil
	}
	if v, ok := vits[name]; ok {
		v.Width = width
		return NewViT(v)
	}
	r, ok := resnets[name]
	if !ok {
		return nil, fmt.Errorf("unknown backbone %q (one of %s)", name, strings.Join(slices.Concat(Names(), CIFARNames(), ViTNames()), ", "))
	}
	if inner := width * r.perGroup * r.groups; inner%(64*r.groups) != 0 {
		return nil, fmt.Errorf("backbone %s: at width %d its %d groups have %g channels each; use a multiple of %d", name, width, r.groups,
			float64(width*r.perGroup)/64, 64/min(64, r.perGroup))
	}
	b := r.build(width)
	b.Name = name
	return b, nil
}

// PublishedWidth is the width of a backbone in its paper: 64, and 16 for CIFAR
// networks; vision transformers have various ones. Unknown names have 0.
func PublishedWidth(name string) int {
	if v, ok := vits[name]; ok {
		return v.Width
	}
	if _, ok := cifar[name]; ok {
		return 16
	}
	if _, ok := resnets[name]; ok {
		return 64
	}
	return 0
}

// ResNet returns a residual network of basic or bottleneck units with the given
// number of units in layer1 to layer4: stem 7x7/2 of base channels, max pool
// 3x3/2, stages of 1, 2, 4 and 8 times base.
func ResNet(bottlenecks bool, layers []int, base int) *Backbone {
	return residual{bottleneck: bottlenecks, layers: [4]int(layers), groups: 1, perGroup: 64}.build(base)
}

func (r residual) build(base int) *Backbone {
	b := &Backbone{Name: "resnet"}
	b.Units = append(b.Units, Unit{Stage: 0, Last: true, In: 3, Out: base, Stride: 4, kind: stem})
	in, k, expansion := base, basic, 1
	if r.bottleneck {
		k, expansion = bottleneck, 4
	}
	for s, n := range r.layers {
		planes := base << s
		for i := range n {
			stride := 1
			if i == 0 && s > 0 {
				stride = 2
			}
			b.Units = append(b.Units, Unit{
				Name: fmt.Sprintf("layer%d.%d", s+1, i), Stage: s + 1, Last: i == n-1,
				In: in, Out: planes * expansion, Stride: stride, kind: k,
				width: planes * r.perGroup * r.groups / 64, groups: r.groups, dil: 1,
			})
			in = planes * expansion
		}
	}
	return b
}

func (u Unit) stem(g *nn.Graph, x *gorgonia.Node, p string) *gorgonia.Node {
	conv := nn.Layer{Out: u.Out, Kernel: 7, ConvOptions: nn.ConvOptions{Stride: 2, Pad: 3}}
	y := g.ConvNorm(x, p+"conv1", p+"bn1", conv, true)              // [N,H/2,W/2,Out]
	return g.MaxPool(y, nn.PoolOptions{Size: 3, Stride: 2, Pad: 1}) // [N,H/4,W/4,Out]
}

func (u Unit) basic(g *nn.Graph, x *gorgonia.Node, p string) *gorgonia.Node {
	c1 := nn.Layer{Out: u.width, Kernel: 3, ConvOptions: nn.ConvOptions{Stride: u.Stride, Pad: u.dil, Dilation: u.dil}}
	c2 := nn.Layer{Out: u.Out, Kernel: 3, ConvOptions: nn.ConvOptions{Pad: u.dil, Dilation: u.dil}}
	y := g.ConvNorm(x, p+"conv1", p+"bn1", c1, true)
	y = g.ConvNorm(y, p+"conv2", p+"bn2", c2, false)
	return g.AddReLU(y, u.shortcut(g, x, p))
}

func (u Unit) bottleneck(g *nn.Graph, x *gorgonia.Node, p string) *gorgonia.Node {
	c2 := nn.Layer{Out: u.width, Kernel: 3, ConvOptions: nn.ConvOptions{Stride: u.Stride, Pad: u.dil, Dilation: u.dil, Groups: u.groups}}
	y := g.ConvNorm(x, p+"conv1", p+"bn1", nn.Layer{Out: u.width, Kernel: 1}, true)
	y = g.ConvNorm(y, p+"conv2", p+"bn2", c2, true)
	y = g.ConvNorm(y, p+"conv3", p+"bn3", nn.Layer{Out: u.Out, Kernel: 1}, false)
	return g.AddReLU(y, u.shortcut(g, x, p))
}

// shortcut is the identity, or where shapes change a strided 1x1 projection, or
// what needs no parameters (see CIFARResNet).
func (u Unit) shortcut(g *nn.Graph, x *gorgonia.Node, p string) *gorgonia.Node {
	if u.In == u.Out && u.Stride == 1 {
		return x
	}
	if u.kind == paddedUnit {
		return g.PadChannels(g.Subsample(x, u.Stride), (u.Out-u.In)/2, u.Out)
	}
	l := nn.Layer{Out: u.Out, Kernel: 1, ConvOptions: nn.ConvOptions{Stride: u.Stride}}
	return g.ConvNorm(x, p+"downsample.0", p+"downsample.1", l, false)
}

// Classifier appends torchvision's head: global average pooling and the linear
// layer fc. x is [N,H,W,C], the result [N,classes].
func Classifier(g *nn.Graph, x *gorgonia.Node, prefix string, classes int) *gorgonia.Node {
	return g.FC(g.GlobalAvgPool(x), prefix+"fc", classes, nn.FrameworkDefault)
}
