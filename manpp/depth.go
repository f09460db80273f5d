package manpp

import (
	"fmt"

	"manvision/nn"
)

// units is how many units fusion's network of block j has: the fused one and behind
// it learnable copies of the units that follow it.
func (f fusion) units(m *Model, j int) int {
	depth := m.Depth
	if depth == 0 {
		depth = 1
		if m.Backbone.ViT != nil {
			depth = 2 // METHOD §1.6
		}
	}
	return min(depth, len(m.Backbone.Units)-1-m.Partition[j])
}

// deeper begins the names of the copy that follows the fused unit i units later.
func deeper(j, i int) string { return fmt.Sprintf("%slb%d.", auxName(j), i) }

// deepen applies the copies behind the fused unit to y.
func (f fusion) deepen(g *nn.Graph, m *Model, j int, y Feature) Feature {
	for i := 1; i < f.units(m, j); i++ {
		at := m.Partition[j] + 1 + i
		unit, known := m.Backbone.Units[at], len(m.Store.Vars())
		if i > 1 { // the fused sum is kept
			m.forget(g, m.Backbone.Units[at-1], y.Node)
		}
		y = Feature{unit.Clone(g, y.Node, deeper(j, i)), unit.Stage, y.Stride * unit.Stride}
		if g.Err() != nil {
			return Feature{}
		}
		if !m.Quirks.IndependentClones {
			m.startLike(m.Store.Vars()[known:], clone{deeper(j, i), m.unitPrefix(at)})
		}
	}
	return y
}
