package exec

import (
	"slices"

	"manvision/device"
)

// fuse makes one kernel of two where the second is all that reads what the first
// computes, so that it is neither written nor read again: a batch norm and the sum
// behind it, a sum of two gradients and the mask of a ReLU. It comes before posts have
// their places and values their storage; neither of the two takes more memory.
func (c *compiler) fuse() error {
	f := fuser{steps: slices.Clone(c.steps), made: map[*value]int{}, reads: map[*value][]int{}, held: map[*value]bool{}}
	for i, s := range c.steps {
		for _, v := range s.out {
			f.made[v] = i
		}
		for _, v := range s.in {
			f.reads[v] = append(f.reads[v], i)
		}
	}
	for _, n := range c.spec.Settled {
		f.held[c.values[n.ID()][0]] = true
	}
	for _, p := range c.spec.Posts {
		for _, src := range p.In {
			if src.Node != nil {
				f.held[c.values[src.Node.ID()][0]] = true
			}
		}
	}
	fused := false
	for i, s := range f.steps {
		if s == nil {
			continue
		}
		switch o := plain(s.op).(type) {
		case device.Add:
			fused = f.normSum(i, o) || fused
		case device.ReLUBackward:
			fused = f.maskedSum(i, o) || fused
		}
	}
	if !fused {
		return nil
	}
	c.steps = nil
	for _, s := range f.steps {
		if s == nil {
			continue
		}
		for _, v := range append(s.in[:len(s.in):len(s.in)], s.out...) {
			v.last = -1
		}
	}
	for _, s := range f.steps {
		if s == nil {
			continue
		}
		if err := c.step(s.op, s.in, s.out, s.skip); err != nil {
			return err
		}
		c.steps[len(c.steps)-1].derived = s.derived
	}
	return nil
}

// fuser holds the steps of a graph, nil where one became part of another, with the
// places at which values are made and read.
type fuser struct {
	steps []*step
	made  map[*value]int
	reads map[*value][]int
	held  map[*value]bool // read by others than steps
}

// plain is the operation that one on bf16 activations computes.
func plain(op device.Op) device.Op {
	if m, ok := op.(device.Mixed); ok {
		return m.Of
	}
	return op
}

// as returns an operation in the form, on floats or bf16 activations, of another.
func as(of, op device.Op) device.Op {
	if _, ok := of.(device.Mixed); ok {
		if m, ok := device.Reduce(op); ok {
			return m
		}
	}
	return op
}

// between returns the step that makes v if step i, in the same form, is all that
// reads v.
func (f *fuser) between(v *value, i int) (int, bool) {
	at, ok := f.made[v]
	if !ok || v.ext != nil || v.pin || f.held[v] || len(f.reads[v]) != 1 || f.steps[at] == nil {
		return 0, false
	}
	_, a := f.steps[at].op.(device.Mixed)
	_, b := f.steps[i].op.(device.Mixed)
	return at, a == b
}

// quiet reports whether the steps between two write no storage outside the arena: what
// is read there can then be read earlier or later.
func (f *fuser) quiet(from, to int) bool {
	for _, s := range f.steps[from+1 : to] {
		if s == nil {
			continue
		}
		for _, v := range s.out {
			if v.ext != nil {
				return false
			}
		}
	}
	return true
}

// normSum makes the batch norm that gives a term of sum i part of the sum; of two the
// later one.
func (f *fuser) normSum(i int, o device.Add) bool {
	s, norm, term := f.steps[i], -1, 0
	for t, v := range s.in {
		at, ok := f.between(v, i)
		if !ok || at <= norm || !f.quiet(at, i) {
			continue
		}
		if b, ok := plain(f.steps[at].op).(device.BatchNorm); ok && !b.ReLU && !b.Sum && !f.earlier(f.steps[at].out[1:], i) {
			norm, term = at, t
		}
	}
	if norm < 0 {
		return false
	}
	from := f.steps[norm]
	b := plain(from.op).(device.BatchNorm)
	b.ReLU, b.Sum = o.ReLU, true
	in := append(append([]*value{}, from.in...), s.in[1-term])
	out := append([]*value{s.out[0]}, from.out[1:]...)
	f.replace(i, norm, &step{op: as(s.op, b), in: in, out: out})
	return true
}

// earlier reports whether a step before i reads one of the values.
func (f *fuser) earlier(values []*value, i int) bool {
	for _, v := range values {
		for _, r := range f.reads[v] {
			if r < i {
				return true
			}
		}
	}
	return false
}

// maskedSum makes a sum that is the gradient of ReLU i part of its mask, at the place of
// the sum: both its terms need not be kept then.
func (f *fuser) maskedSum(i int, o device.ReLUBackward) bool {
	s := f.steps[i]
	at, ok := f.between(s.in[1], i)
	if !ok || o.Sum || s.out[0].ext != nil || !f.quiet(at, i) {
		return false
	}
	sum, ok := plain(f.steps[at].op).(device.Add)
	if y, made := f.made[s.in[0]]; !ok || sum.ReLU || made && y > at {
		return false
	}
	o.Sum = true
	in := append([]*value{s.in[0]}, f.steps[at].in...)
	f.replace(at, i, &step{op: as(s.op, o), in: in, out: s.out})
	return true
}

// replace puts a step at place i instead of those at i and gone.
func (f *fuser) replace(i, gone int, s *step) {
	f.steps[i], f.steps[gone] = s, nil
	for _, v := range s.out {
		f.made[v] = i
	}
	for _, v := range s.in {
		for k, r := range f.reads[v] {
			if r == gone {
				f.reads[v][k] = i
			}
		}
	}
}
