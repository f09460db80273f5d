// Package backbone describes networks as lists of units: the stem and residual
// units in order. Local learning cuts such a list into blocks and clones single
// units, so a unit builds itself under any name prefix.
package backbone

import (
	"gorgonia.org/gorgonia"

	"manvision/nn"
)

// Unit is one element of a backbone.
type Unit struct {
	// Name is torchvision's prefix of its parameters: "layer2.0"; empty for the
	// stem, whose parameters are conv1 and bn1.
	Name string
	// Stage is 0 for the stem, 1 to 4 for layer1 to layer4; CIFAR networks end with
	// layer3.
	Stage int
	// Last marks the last unit of its stage.
	Last bool
	// In and Out are channels; Stride is the reduction of height and width.
	In, Out, Stride int

	kind   kind
	width  int // of the 3x3 convolution
	groups int // of a bottleneck's 3x3 convolution
	dil    int // dilation of the 3x3 convolution
	vit    *ViT
}

type kind uint8

const (
	stem kind = iota
	basic
	bottleneck
	cifarStem
	paddedUnit // a basic unit whose shortcut has no parameters
	patches    // of a vision transformer
	encoder    // a transformer block
)

// Backbone is a network without its classifier.
type Backbone struct {
	Name  string
	Units []Unit
	// ViT describes a vision transformer, whose units beyond the first take and give
	// tokens [N,T,D] instead of maps; nil for convolutional networks.
	ViT *ViT
}

// Features is the number of channels of the last unit.
func (b *Backbone) Features() int { return b.Units[len(b.Units)-1].Out }

// StageEnds returns the index of the last unit of every stage, the stem first.
func (b *Backbone) StageEnds() []int {
	var ends []int
	for i, u := range b.Units {
		if u.Last {
			ends = append(ends, i)
		}
	}
	return ends
}

// Forward applies the unit to x [N,H,W,In] and returns [N,H/Stride,W/Stride,Out].
// Its parameters are named prefix + Name + ".conv1.weight" and so on; an empty
// Name adds nothing.
func (u Unit) Forward(g *nn.Graph, x *gorgonia.Node, prefix string) *gorgonia.Node {
	if u.Name != "" {
		prefix += u.Name + "."
	}
	return u.Clone(g, x, prefix)
}

// After is the unit's architecture for a map of in channels: it halves the size where
// it has more channels than that and keeps it elsewhere. AugLocal (Ma et al. 2024)
// builds auxiliary networks of such units.
func (u Unit) After(in int) Unit {
	u.In, u.Stride = in, 1
	if u.Out > in {
		u.Stride = 2
	}
	return u
}

// Rectified reports whether the unit's result is that of a ReLU, which gradients can
// compute once more (nn.Recompute).
func (u Unit) Rectified() bool { return u.kind != patches && u.kind != encoder && u.kind != stem }

// Clone applies a copy of the unit's architecture whose parameters are named
// prefix + "conv1.weight" and so on.
func (u Unit) Clone(g *nn.Graph, x *gorgonia.Node, prefix string) *gorgonia.Node {
	switch u.kind {
	case stem:
		return u.stem(g, x, prefix)
	case cifarStem:
		return u.cifarStem(g, x, prefix)
	case patches:
		return u.patches(g, x, prefix)
	case encoder:
		return u.encoder(g, x, prefix)
	case basic, paddedUnit:
		return u.basic(g, x, prefix)
	}
	return u.bottleneck(g, x, prefix)
}
