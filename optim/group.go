package optim

import (
	"fmt"
	"math"
	"path"
	"strings"
)

// Group changes the settings of the parameters whose name matches.
type Group struct {
	// Match is a path.Match pattern over the whole parameter name. Names are
	// joined by dots, so "*" matches any run of characters, dots included:
	// "backbone.*" is the whole backbone, "*.bias" every bias, "backbone.ema_s*"
	// the fusion scalars.
	Match string

	LRScale     *float64 // factor on the scheduled learning rate; nil leaves it
	WeightDecay *float64 // replaces the decay, exemptions included; nil leaves it
	Frozen      bool     // no update at all
}

// Rules give each parameter its settings. The zero value decays nothing and
// scales nothing.
type Rules struct {
	WeightDecay float64 // decay of every parameter without another rule, ≥ 0

	// Exemptions from decay. The official MAN++ release has none.
	NoScaleDecay bool // the fusion scalars s: tensors with one element that are no weight or bias
	NoNormDecay  bool // one-dimensional .weight: the scales of batch and layer norms
	NoBiasDecay  bool // .bias: of convolutions, linear layers and norms

	// Groups apply in order; a later match overrides what an earlier one set.
	Groups []Group
}

// Settings are what the update of one parameter needs beside Hyper.
type Settings struct {
	LRScale     float64 // factor on Schedule.LR
	WeightDecay float64
	Frozen      bool // skip the parameter
}

// Validate says what is wrong with the rules, or returns nil.
func (r Rules) Validate() error {
	bad := func(x float64) bool { return !(x >= 0) || math.IsInf(x, 0) }
	if bad(r.WeightDecay) {
		return fmt.Errorf("optim: weight decay %g is negative or not finite", r.WeightDecay)
	}
	for i, g := range r.Groups {
		if _, err := path.Match(g.Match, ""); err != nil || g.Match == "" {
			return fmt.Errorf("optim: group %d: %q is not a pattern (*, ?, [a-z])", i, g.Match)
		}
		if g.LRScale != nil && bad(*g.LRScale) {
			return fmt.Errorf("optim: group %d (%s): learning-rate scale %g is negative or not finite", i, g.Match, *g.LRScale)
		}
		if g.WeightDecay != nil && bad(*g.WeightDecay) {
			return fmt.Errorf("optim: group %d (%s): weight decay %g is negative or not finite", i, g.Match, *g.WeightDecay)
		}
	}
	return nil
}

// Resolve returns the settings of the parameter of that name and shape. Shapes
// count dimensions as PyTorch does: [] is a scalar, [c] a norm's weight.
func (r Rules) Resolve(name string, shape []int) Settings {
	s := Settings{LRScale: 1, WeightDecay: r.WeightDecay}
	weight, bias := last(name) == "weight", last(name) == "bias"
	switch {
	case r.NoBiasDecay && bias,
		r.NoNormDecay && weight && len(shape) == 1,
		r.NoScaleDecay && !weight && !bias && elements(shape) == 1:
		s.WeightDecay = 0
	}
	for _, g := range r.Groups {
		if ok, _ := path.Match(g.Match, name); !ok {
			continue
		}
		if g.LRScale != nil {
			s.LRScale = *g.LRScale
		}
		if g.WeightDecay != nil {
			s.WeightDecay = *g.WeightDecay
		}
		s.Frozen = g.Frozen
	}
	return s
}

// Unmatched returns the patterns of the groups that match none of the names: a
// misspelt pattern would otherwise do nothing in silence.
func (r Rules) Unmatched(names []string) []string {
	var out []string
groups:
	for _, g := range r.Groups {
		for _, n := range names {
			if ok, _ := path.Match(g.Match, n); ok {
				continue groups
			}
		}
		out = append(out, g.Match)
	}
	return out
}

func last(name string) string { return name[strings.LastIndexByte(name, '.')+1:] }

func elements(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}
