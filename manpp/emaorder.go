package manpp

import (
	"strings"

	"manvision/nn"
)

// renew has the backward pass read the EMA copy c as its update will leave it, where
// the quirk asks for that; the function returned ends it.
func (m *Model) renew(g *nn.Graph, c clone) (end func()) {
	if !m.Quirks.EMABeforeBackward {
		return func() {}
	}
	g.Renew(func(v *nn.Var) (*nn.Var, error) {
		return m.Store.Declare(c.unit+strings.TrimPrefix(v.Name, c.copy), v.Value.Desc, v.Shape, v.Init())
	}, m.EMAMomentum)
	return func() { g.Renew(nil, 0) }
}

// startLike gives the variables of copy c the unit's initial values.
func (m *Model) startLike(vars []*nn.Var, c clone) {
	for _, v := range vars {
		if tail, ok := strings.CutPrefix(v.Name, c.copy); ok && !v.Buffer {
			m.Store.InitLike(v.Name, c.unit+tail)
		}
	}
}
