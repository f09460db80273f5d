// Package manpp trains a network by MAN++ supervised local learning: it cuts a
// backbone into gradient-isolated blocks, gives every block but the last an
// auxiliary network, and runs block by block, so that only one block's
// activations are alive at a time (METHOD §1; arXiv 2507.16279).
package manpp

import (
	"fmt"
	"strings"

	"gorgonia.org/gorgonia"

	"manvision/nn"
)

// Strategy says how blocks are trained. Its values are E2E, MAN and MANPP.
type Strategy struct {
	Name string
	// Local is true when blocks before the last have auxiliary networks; false
	// means one block, ordinary backpropagation.
	Local bool
	// LearnScale makes the fusion scalar s trainable (MAN++); MAN keeps it at 1.
	LearnScale bool
}

// The strategies.
var (
	E2E   = Strategy{Name: "e2e"}
	MAN   = Strategy{Name: "man", Local: true}
	MANPP = Strategy{Name: "manpp", Local: true, LearnScale: true}
)

// ParseStrategy finds a strategy by name.
func ParseStrategy(name string) (Strategy, error) {
	all := []Strategy{E2E, MAN, MANPP}
	var names []string
	for _, s := range all {
		if s.Name == name {
			return s, nil
		}
		names = append(names, s.Name)
	}
	return Strategy{}, fmt.Errorf("unknown strategy %q (one of %s)", name, strings.Join(names, ", "))
}

// Quirks are habits of the official release that METHOD lists and that training
// can do with or without. Those of a task's heads are the task's own.
type Quirks struct {
	// IndependentClones draws the initial weights of LB and EMA at random. When
	// false they start as copies of the unit they stand for.
	IndependentClones bool
	// DecayScale lets weight decay pull s towards 0, that is towards the EMA.
	DecayScale bool
}

// The two named sets: what the release does, and what we hold to be right.
var (
	Released = Quirks{IndependentClones: true, DecayScale: true}
	Fixed    = Quirks{}
)

// Feature is a feature map on its way through the network.
type Feature struct {
	Node   *gorgonia.Node // [N,H,W,C]
	Stage  int            // backbone stage that made it (1 to 4)
	Stride int            // pixels of the input between neighbouring cells
}

// Loss is one term of a block's loss; a block's loss is the sum of its terms.
type Loss struct {
	Name string
	Node *gorgonia.Node // scalar
}

// Heads builds a task's heads for one input size. A task keeps the storage of
// the targets that it makes as inputs of the graphs.
type Heads interface {
	// Stages lists the backbone stages whose last feature maps Final reads.
	Stages() []int
	// Local builds the head of block j (from 0) of blocks-1 on the auxiliary
	// feature y and returns its losses. Parameters start with prefix.
	Local(g *nn.Graph, j int, y Feature, prefix string) []Loss
	// Final builds the network's own head on the feature maps of Stages.
	Final(g *nn.Graph, features map[int]Feature) []Loss
}
