package manpp

import (
	"fmt"
	"slices"

	"manvision/nn"
	"manvision/optim"
)

// Balance cuts m's backbone into k blocks such that a training step on images
// [n,h,w,3] plans little memory in all: working memory, what crosses cuts,
// parameters and optimizer state, auxiliary networks and heads included. From the
// cuts that Balanced finds on units alone it moves single cuts and neighbouring
// pairs by one unit while that helps, planning every try in full. heads makes the
// task's heads of a model cut otherwise than m; hyper is the optimizer's, whose
// state counts. m is not changed, nothing is allocated.
func Balance(m *Model, hyper optim.Hyper, heads func(m *Model, n, h, w int) (Heads, error), n, h, w, k int) (Partition, error) {
	units, err := UnitCosts(m.Store.Device(), m.Backbone, n, h, w)
	if err != nil {
		return nil, err
	}
	best, err := Balanced(units, k)
	if err != nil {
		return nil, err
	}
	tried := map[string]plan{}
	try := func(p Partition) (plan, error) {
		key := fmt.Sprint(p)
		c, ok := tried[key]
		if !ok {
			var err error
			if c, err = m.plan(p, hyper, heads, n, h, w); err != nil {
				return c, err
			}
			tried[key] = c
		}
		return c, nil
	}
	cost, err := try(best)
	if err != nil {
		return nil, err
	}
	for moved := true; moved; {
		moved = false
		for _, p := range neighbours(best) {
			if p.Check(m.Backbone) != nil {
				continue
			}
			c, err := try(p)
			if err != nil {
				return nil, err
			}
			if c.less(cost) {
				best, cost, moved = p, c, true
			}
		}
	}
	return best, nil
}

// plan is what Balance minimises: the bytes in all and, among equals, the sum of
// the blocks' squares, which leads from one plateau to the next.
type plan struct {
	total   int64
	squares float64
}

func (p plan) less(q plan) bool {
	return p.total < q.total || p.total == q.total && p.squares < q.squares
}

// plan compiles a training step of m cut at p, with variables of its own.
func (m *Model) plan(p Partition, hyper optim.Hyper, heads func(m *Model, n, h, w int) (Heads, error), n, h, w int) (plan, error) {
	t := *m
	t.Store, t.Partition = nn.NewStore(m.Store.Device(), 0), p
	t.Store.Activations = m.Store.Activations
	opt, err := NewOptimizer(t.Store, hyper, optim.Rules{}, optim.Schedule{Base: 1})
	if err != nil {
		return plan{}, err
	}
	tr, err := NewTrainer(&t, opt, func(n, h, w int) (Heads, error) { return heads(&t, n, h, w) })
	if err != nil {
		return plan{}, err
	}
	defer tr.Close()
	s, err := tr.Steps(n, h, w)
	if err != nil {
		return plan{}, err
	}
	mem := tr.Memory(s)
	c := plan{total: mem.Total()}
	for _, b := range mem.Blocks {
		c.squares += float64(b) * float64(b)
	}
	return c, nil
}

// neighbours are p with one cut, or two that follow each other, moved by a unit.
func neighbours(p Partition) []Partition {
	var out []Partition
	for i := range p {
		for _, d := range []int{-1, 1} {
			for last := i; last < min(i+2, len(p)); last++ {
				q := slices.Clone(p)
				for j := i; j <= last; j++ {
					q[j] += d
				}
				out = append(out, q)
			}
		}
	}
	return out
}
