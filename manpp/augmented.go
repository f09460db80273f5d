package manpp

import (
	"fmt"
	"math"

	"manvision/nn"
)

// augmented is AugLocal's network: fresh units with the architecture of later ones,
// picked evenly up to the last, fewer towards the end of the backbone (METHOD §5.5).
type augmented struct{}

func (augmented) clones(*Model, int) []clone { return nil }

// shrinkage is t of the paper: networks of late blocks tend to this share of depth.
const shrinkage = 0.5

// positions lists the units whose architecture block j's network has.
func (augmented) positions(m *Model, j int) []int {
	depth := m.Depth
	if depth == 0 {
		depth = 2
	}
	// d_j = max(1, round(d·(1−t·r) + t·r)), r growing from 0 to 1 over the blocks that
	// have networks.
	r := 0.0
	if len(m.Partition) > 1 {
		r = shrinkage * float64(j) / float64(len(m.Partition)-1)
	}
	d := max(1, int(math.Round(float64(depth)*(1-r)+r)))
	l, left := m.Partition[j], len(m.Backbone.Units)-1-m.Partition[j]
	d = min(d, left)
	var at []int
	for n := 1; n <= d; n++ {
		at = append(at, l+int(math.Round(float64(n*left)/float64(d))))
	}
	return at
}

func (a augmented) build(g *nn.Graph, m *Model, j int, x Feature) (Feature, *auxiliary) {
	p := auxName(j)
	at := a.positions(m, j)
	for i, u := range at {
		unit := m.Backbone.Units[u].After(x.Node.Shape()[3])
		x = Feature{unit.Clone(g, x.Node, fmt.Sprintf("%saug.%d.", p, i)), unit.Stage, x.Stride * unit.Stride}
		if g.Err() != nil {
			return Feature{}, nil
		}
	}
	if len(at) == 1 {
		// A single unit's maps are pooled and normed before the classifier.
		n, c := x.Node.Shape()[0], x.Node.Shape()[3]
		x.Node = g.Reshape(g.Norm(g.GlobalAvgPool(x.Node), p+"aug.norm", false), n, 1, 1, c)
	}
	return x, nil
}
