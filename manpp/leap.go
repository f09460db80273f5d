package manpp

import (
	"fmt"
	"strings"

	"manvision/nn"
)

// leap is MLAAN's network, the leap augmented module: a chain of copies of later
// units, one of each stage to come and then some up to the last. Of the first one it
// sums a trained copy and one that follows the unit by EMA, as the paper's code does
// (METHOD §5.1); the copies behind it are trained.
type leap struct{}

// positions lists the units that block j's chain copies: the first of every later
// stage, and in the last stage up to three, evenly spaced. For ResNet-32 this gives
// the paper's tables.
func (leap) positions(m *Model, j int) []int {
	units := m.Backbone.Units
	p, last := m.Partition[j], len(units)-1
	stage, begun := units[p].Stage, false
	if stage == 0 && units[p].Out == units[p+1].Out {
		stage = 1 // the stem's map is like those of stage 1
	}
	var at []int
	for i := p + 1; i <= last; i++ {
		if units[i].Stage > stage {
			stage, begun, p = units[i].Stage, true, i
			at = append(at, i)
		}
	}
	left := last - p
	n := min(left, 3)
	if begun {
		n = min(left, max(4-len(at), 1))
	}
	for k := 1; k <= n; k++ {
		step := k * left
		if begun {
			step += n - 1 // rounded up
		}
		at = append(at, p+step/n)
	}
	return at
}

func (l leap) clones(m *Model, j int) []clone {
	var list []clone
	for i, u := range l.positions(m, j) {
		list = append(list, clone{fmt.Sprintf("%saug.%d.", auxName(j), i), m.unitPrefix(u)})
		if i == 0 {
			list = append(list, clone{auxName(j) + "ema.", m.unitPrefix(u)})
		}
	}
	return list
}

func (l leap) build(g *nn.Graph, m *Model, j int, x Feature) (Feature, *auxiliary) {
	p := auxName(j)
	a := &auxiliary{prefix: p}
	for i, at := range l.positions(m, j) {
		unit := m.Backbone.Units[at]
		y := unit.Clone(g, x.Node, fmt.Sprintf("%saug.%d.", p, i))
		if i == 0 {
			g.Frozen = true
			ema := unit.Clone(g, x.Node, p+"ema.")
			g.Frozen = false
			y = g.Add(y, ema)
		}
		if g.Err() != nil {
			return Feature{}, nil
		}
		x = Feature{y, unit.Stage, x.Stride * unit.Stride}
	}
	for _, c := range l.clones(m, j) {
		if !m.Quirks.IndependentClones {
			m.startLike(m.Store.Vars(), c)
		}
		if c.copy != p+"ema." {
			continue
		}
		for _, v := range m.Store.Vars() {
			tail, ok := strings.CutPrefix(v.Name, c.copy)
			if !ok || v.Buffer {
				continue
			}
			update, err := m.ema(v, c.unit+tail)
			if err != nil {
				g.Fail(err)
				return Feature{}, nil
			}
			a.updates = append(a.updates, update)
		}
	}
	return x, a
}
