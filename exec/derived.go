package exec

import "manvision/device"

// Derived is storage computed from other storage alone, such as a filter with the
// batch norm behind it folded in. A program that names it in its Spec computes it
// at the beginning of a run, but only when something it reads has been written or
// allocated anew since it was last computed, by whichever program. Programs share
// one Derived and with it its storage.
type Derived struct {
	Op  device.Op
	In  []*Tensor
	Out []*Tensor

	seen int // state it was computed from; 0 before
}

// state grows whenever one of the tensors read is written, or any reallocated.
func (d *Derived) state() int {
	n := 1
	for _, t := range d.In {
		n += t.gen + t.writes
	}
	for _, t := range d.Out {
		n += t.gen
	}
	return n
}

// derived makes the steps that compute what the graph derives from storage; they
// come before all others.
func (c *compiler) derived() error {
	for _, d := range c.spec.Derived {
		in, out := make([]*value, len(d.In)), make([]*value, len(d.Out))
		for i, t := range d.In {
			in[i] = c.external(t, "")
		}
		for i, t := range d.Out {
			out[i] = c.external(t, "")
		}
		if err := c.step(d.Op, in, out, nil); err != nil {
			return err
		}
		c.steps[len(c.steps)-1].derived = d
	}
	return nil
}

// due reports whether a step has to run now.
func (s *step) due() bool {
	if s.derived != nil {
		return s.derived.seen != s.derived.state()
	}
	return s.skip == nil || !*s.skip
}

// wrote notes what a program's run writes to storage outside its arena.
func (p *Program) wrote() {
	for _, t := range p.writes {
		t.writes++
	}
	for _, r := range p.within {
		r.settle()
	}
}
