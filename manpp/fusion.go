package manpp

import (
	"strings"

	"manvision/device"
	"manvision/exec"
	"manvision/nn"
)

// fusion is the network of MAN and MAN++: y = s·LB(x) + (2−s)·EMA(x), LB and EMA
// clones of the unit that follows the block; s stays 1 unless learnScale is set. Where
// Model.Depth asks for more, learnable clones of the units after that one follow.
type fusion struct{ learnScale bool }

func (f fusion) clones(m *Model, j int) []clone {
	unit := m.unitPrefix(m.Partition[j] + 1)
	list := []clone{{auxName(j) + "lb.", unit}, {auxName(j) + "ema.", unit}}
	for i := 1; i < f.units(m, j); i++ {
		list = append(list, clone{deeper(j, i), m.unitPrefix(m.Partition[j] + 1 + i)})
	}
	return list
}

func (f fusion) build(g *nn.Graph, m *Model, j int, x Feature) (Feature, *auxiliary) {
	next := m.Backbone.Units[m.Partition[j]+1]
	p := auxName(j)
	lb := next.Clone(g, x.Node, p+"lb.")
	g.Frozen = true
	end := m.renew(g, clone{p + "ema.", m.unitPrefix(m.Partition[j] + 1)})
	ema := next.Clone(g, x.Node, p+"ema.")
	end()
	g.Frozen = false
	m.forget(g, next, lb)
	m.forget(g, next, ema)
	g.Frozen = !f.learnScale
	s := g.Scalar(p+"s", 1)
	g.Frozen = false
	y := g.Fuse(s, lb, ema)
	if g.Err() != nil {
		return Feature{}, nil
	}
	a := &auxiliary{prefix: p}
	source := m.unitPrefix(m.Partition[j] + 1)
	for _, v := range m.Store.Vars() {
		tail, ok := strings.CutPrefix(v.Name, p+"ema.")
		if !ok || v.Buffer {
			continue
		}
		if !m.Quirks.IndependentClones {
			m.Store.InitLike(v.Name, source+tail)
			m.Store.InitLike(p+"lb."+tail, source+tail)
		}
		update, err := m.ema(v, source+tail)
		if err != nil {
			g.Fail(err)
			return Feature{}, nil
		}
		a.updates = append(a.updates, update)
		lbv, _ := m.Store.Lookup(p + "lb." + tail)
		a.pairs = append(a.pairs, [2]*nn.Var{lbv, v})
	}
	return f.deepen(g, m, j, Feature{y, next.Stage, x.Stride * next.Stride}), a
}

// ema moves v towards the parameter of a unit.
func (m *Model) ema(v *nn.Var, unit string) (exec.Post, error) {
	// The unit belongs to a later block; asking for it here makes it exist.
	u, err := m.Store.Declare(unit, v.Value.Desc, v.Shape, v.Init())
	if err != nil {
		return exec.Post{}, err
	}
	return exec.Post{Op: device.EMA{Of: v.Value.Desc, Momentum: m.EMAMomentum},
		In: []exec.Source{{Tensor: u.Value}}, Out: []*exec.Tensor{v.Value}}, nil
}
