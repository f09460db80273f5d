// Package manpp trains a network by MAN++ supervised local learning: it cuts a
// backbone into gradient-isolated blocks, gives every block but the last an
// auxiliary network, and runs block by block, so that only one block's
// activations are alive at a time (METHOD §1; arXiv 2507.16279).
package manpp

import (
	"fmt"
	"strings"

	"gorgonia.org/gorgonia"

	"manvision/exec"
	"manvision/nn"
)

// Strategy says how blocks are trained. Its values are those that Strategies lists.
type Strategy struct {
	Name string
	// Local is true when blocks before the last have local heads; false means one
	// block, ordinary backpropagation.
	Local bool
	// Network stands between a block's output and its local head; nil: the head reads
	// the output itself.
	Network Network
	// Window is how many consecutive blocks are also trained together behind their own
	// head, 0 or 1: none.
	Window int
	// Head names the local head that the strategy's paper has, for tasks with several
	// (see package classification).
	Head string
}

// The strategies.
var (
	// E2E is ordinary backpropagation through one block.
	E2E = Strategy{Name: "e2e"}
	// Greedy is greedy supervised learning: a linear classifier a block. Belilovsky et
	// al. 2018, arXiv 1812.11446; the baseline "greedy SL" of InfoPro.
	Greedy = Strategy{Name: "greedy", Local: true, Head: "0c1f"}
	// DGL is decoupled greedy learning: deeper local classifiers. Belilovsky et al.
	// 2020, arXiv 1901.08164.
	DGL = Strategy{Name: "dgl", Local: true, Head: "dgl"}
	// PredSim adds a similarity loss to a linear classifier. Nøkland and Eidnes 2019,
	// arXiv 1901.06656.
	PredSim = Strategy{Name: "predsim", Local: true, Head: "predsim"}
	// InfoPro adds a reconstruction of the image to local classifiers. Wang et al. 2021,
	// arXiv 2101.10832.
	InfoPro = Strategy{Name: "infopro", Local: true, Head: "1c2f"}
	// AugLocal trains a linear classifier behind fresh units of the architecture of
	// later ones. Ma et al. 2024, arXiv 2402.17318.
	AugLocal = Strategy{Name: "auglocal", Local: true, Network: augmented{}, Head: "0c1f"}
	// MLAAN trains blocks by themselves and in windows of two, behind networks of later
	// units' copies. Zhang et al. 2025, arXiv 2406.16633.
	MLAAN = Strategy{Name: "mlaan", Local: true, Network: leap{}, Window: 2, Head: "0c1f"}
	// MAN reads LB(x) + EMA(x), two clones of the unit that follows. Su et al. 2024.
	MAN = Strategy{Name: "man", Local: true, Network: fusion{}, Head: "dgl"}
	// MANPP reads s·LB(x) + (2−s)·EMA(x) with a trained s (METHOD §1.1).
	MANPP = Strategy{Name: "manpp", Local: true, Network: fusion{learnScale: true}, Head: "dgl"}
)

// Strategies lists all strategies.
func Strategies() []Strategy {
	return []Strategy{E2E, Greedy, DGL, PredSim, InfoPro, AugLocal, MLAAN, MAN, MANPP}
}

// ParseStrategy finds a strategy by name.
func ParseStrategy(name string) (Strategy, error) {
	var names []string
	for _, s := range Strategies() {
		if s.Name == name {
			return s, nil
		}
		names = append(names, s.Name)
	}
	return Strategy{}, fmt.Errorf("unknown strategy %q (one of %s)", name, strings.Join(names, ", "))
}

// Network is an auxiliary network: it turns the output of a block into the feature
// that the block's local head is trained on. Values have no state; parameters belong
// to the model's store.
type Network interface {
	// build makes block j's network on the block's output x.
	build(g *nn.Graph, m *Model, j int, x Feature) (Feature, *auxiliary)
	// clones lists block j's copies of units of the backbone.
	clones(m *Model, j int) []clone
}

// clone pairs the prefix of a copy's parameters with that of the unit's.
type clone struct{ copy, unit string }

// auxiliary is what a block needs to know of its network.
type auxiliary struct {
	prefix  string
	pairs   [][2]*nn.Var // LB and EMA tensors of equal meaning
	updates []exec.Post  // of the EMA
}

// Quirks are habits of the official release that METHOD lists and that training
// can do with or without. Those of a task's heads are the task's own.
type Quirks struct {
	// IndependentClones draws the initial weights of LB and EMA at random. When
	// false they start as copies of the unit they stand for.
	IndependentClones bool
	// DecayScale lets weight decay pull s towards 0, that is towards the EMA.
	DecayScale bool
	// EMABeforeBackward updates the EMA between a block's forward and backward pass:
	// gradients flow back through weights newer than those of the forward pass (METHOD
	// §1.2).
	EMABeforeBackward bool
}

// The named sets: what the release does (with ImageNet in another order), and what we
// hold to be right.
var (
	Released         = Quirks{IndependentClones: true, DecayScale: true}
	ReleasedImageNet = Quirks{IndependentClones: true, DecayScale: true, EMABeforeBackward: true}
	Fixed            = Quirks{}
)

// Feature is a feature map on its way through the network.
type Feature struct {
	Node   *gorgonia.Node // [N,H,W,C], or tokens [N,T,C] of a vision transformer
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
