package backbone

import (
	"fmt"
	"sort"
	"strings"

	"gorgonia.org/gorgonia"

	"manvision/nn"
)

// ResNets of He et al. 2015 as torchvision builds them ("v1.5": a bottleneck's
// stride sits on its 3x3 convolution).
var resnets = map[string]struct {
	kind   kind
	layers [4]int
}{
	"resnet18":  {basic, [4]int{2, 2, 2, 2}},
	"resnet34":  {basic, [4]int{3, 4, 6, 3}},
	"resnet50":  {bottleneck, [4]int{3, 4, 6, 3}},
	"resnet101": {bottleneck, [4]int{3, 4, 23, 3}},
	"resnet152": {bottleneck, [4]int{3, 8, 36, 3}},
}

// Names lists the backbones that New knows.
func Names() []string {
	var names []string
	for n := range resnets {
		names = append(names, n)
	}
	sort.Slice(names, func(i, j int) bool {
		return len(names[i]) < len(names[j]) || len(names[i]) == len(names[j]) && names[i] < names[j]
	})
	return names
}

// New returns a backbone by torchvision's name. width is the channels of the stem
// and the base of the stages' widths; 64 is torchvision's.
func New(name string, width int) (*Backbone, error) {
	r, ok := resnets[name]
	if !ok {
		return nil, fmt.Errorf("unknown backbone %q (one of %s)", name, strings.Join(Names(), ", "))
	}
	if width < 1 {
		return nil, fmt.Errorf("backbone %s: width %d is below 1", name, width)
	}
	b := ResNet(r.kind == bottleneck, r.layers[:], width)
	b.Name = name
	return b, nil
}

// ResNet returns a residual network of basic or bottleneck units with the given
// number of units in layer1 to layer4: stem 7x7/2 of base channels, max pool
// 3x3/2, stages of 1, 2, 4 and 8 times base.
func ResNet(bottlenecks bool, layers []int, base int) *Backbone {
	b := &Backbone{Name: "resnet"}
	b.Units = append(b.Units, Unit{Stage: 0, Last: true, In: 3, Out: base, Stride: 4, kind: stem})
	in, k, expansion := base, basic, 1
	if bottlenecks {
		k, expansion = bottleneck, 4
	}
	for s, n := range layers {
		width := base << s
		for i := range n {
			stride := 1
			if i == 0 && s > 0 {
				stride = 2
			}
			b.Units = append(b.Units, Unit{
				Name: fmt.Sprintf("layer%d.%d", s+1, i), Stage: s + 1, Last: i == n-1,
				In: in, Out: width * expansion, Stride: stride, kind: k, width: width, dil: 1,
			})
			in = width * expansion
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
	c2 := nn.Layer{Out: u.width, Kernel: 3, ConvOptions: nn.ConvOptions{Stride: u.Stride, Pad: u.dil, Dilation: u.dil}}
	y := g.ConvNorm(x, p+"conv1", p+"bn1", nn.Layer{Out: u.width, Kernel: 1}, true)
	y = g.ConvNorm(y, p+"conv2", p+"bn2", c2, true)
	y = g.ConvNorm(y, p+"conv3", p+"bn3", nn.Layer{Out: u.Out, Kernel: 1}, false)
	return g.AddReLU(y, u.shortcut(g, x, p))
}

// shortcut is the identity, or a strided 1x1 projection where shapes change.
func (u Unit) shortcut(g *nn.Graph, x *gorgonia.Node, p string) *gorgonia.Node {
	if u.In == u.Out && u.Stride == 1 {
		return x
	}
	l := nn.Layer{Out: u.Out, Kernel: 1, ConvOptions: nn.ConvOptions{Stride: u.Stride}}
	return g.ConvNorm(x, p+"downsample.0", p+"downsample.1", l, false)
}

// Classifier appends torchvision's head: global average pooling and the linear
// layer fc. x is [N,H,W,C], the result [N,classes].
func Classifier(g *nn.Graph, x *gorgonia.Node, prefix string, classes int) *gorgonia.Node {
	return g.FC(g.GlobalAvgPool(x), prefix+"fc", classes, nn.FrameworkDefault)
}
