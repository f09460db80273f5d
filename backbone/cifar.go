package backbone

import (
	"fmt"
	"maps"
	"slices"

	"gorgonia.org/gorgonia"

	"manvision/nn"
)

// ResNets for pictures of 32x32 of He et al. 2015, §4.2: depth = 6n+2, three stages
// of n basic units.
var cifar = func() map[string]cifarNet {
	m := map[string]cifarNet{}
	for _, d := range []int{20, 32, 44, 56, 110} {
		m[fmt.Sprintf("cifar_resnet%d", d)] = cifarNet{d, false}
		m[fmt.Sprintf("cifar_resnet%d_a", d)] = cifarNet{d, true}
	}
	return m
}()

type cifarNet struct {
	depth  int
	padded bool
}

// CIFARNames lists the backbones of three stages that New knows, for small pictures.
// Those that end in _a have shortcuts without parameters (see CIFARResNet).
func CIFARNames() []string {
	return slices.SortedFunc(maps.Keys(cifar), func(a, b string) int {
		x, y := cifar[a], cifar[b]
		switch {
		case x.padded == y.padded:
			return x.depth - y.depth
		case x.padded:
			return 1
		}
		return -1
	})
}

// CIFARResNet returns a residual network for small pictures of 6n+2 layers: a 3x3
// stem of base channels that keeps the size, three stages of n basic units with 1,
// 2 and 4 times base channels, the later two halving the size. Where shapes change a
// shortcut is a strided 1x1 projection with batch norm; padded makes it He et al.'s
// option A instead, which has no parameters: every second cell, zeros for the new
// channels, half of them before and half behind.
func CIFARResNet(depth, base int, padded bool) *Backbone {
	b := &Backbone{Name: "cifar_resnet"}
	b.Units = append(b.Units, Unit{Last: true, In: 3, Out: base, Stride: 1, kind: cifarStem})
	k := basic
	if padded {
		k = paddedUnit
	}
	in, n := base, (depth-2)/6
	for s := range 3 {
		width := base << s
		for i := range n {
			stride := 1
			if i == 0 && s > 0 {
				stride = 2
			}
			b.Units = append(b.Units, Unit{
				Name: fmt.Sprintf("layer%d.%d", s+1, i), Stage: s + 1, Last: i == n-1,
				In: in, Out: width, Stride: stride, kind: k, width: width, groups: 1, dil: 1,
			})
			in = width
		}
	}
	return b
}

func (u Unit) cifarStem(g *nn.Graph, x *gorgonia.Node, p string) *gorgonia.Node {
	return g.ConvNorm(x, p+"conv1", p+"bn1", nn.Layer{Out: u.Out, Kernel: 3, ConvOptions: nn.ConvOptions{Pad: 1}}, true)
}
