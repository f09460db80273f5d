package exec

import (
	"fmt"
)

// posts merges the posts into the schedule: each as early as possible, which is
// after the step that makes its last input, after the last step that reads or
// writes the storage it writes, and after the posts before it that it depends on.
func (c *compiler) posts() error {
	graph := c.steps
	c.steps = nil
	made := map[*value]int{}
	for i, s := range graph {
		for _, v := range s.out {
			made[v] = i
		}
	}
	settled := -1
	for _, n := range c.spec.Settled {
		settled = max(settled, made[c.values[n.ID()][0]])
	}
	after := map[int][]*step{}
	read, written := map[*value]int{}, map[*value]int{} // by which step's posts, plus 1
	for _, p := range c.spec.Posts {
		s := &step{op: p.Op, name: p.Op.Kind()}
		at := settled
		for _, src := range p.In {
			var v *value
			if src.Node != nil {
				v = c.values[src.Node.ID()][0]
			} else {
				v = c.external(src.Tensor, "")
			}
			if m, ok := made[v]; ok {
				at = max(at, m)
			}
			at = max(at, written[v]-1)
			s.in = append(s.in, v)
		}
		for _, t := range p.Out {
			v := c.external(t, "")
			at = max(at, v.last, read[v]-1, written[v]-1)
			s.out = append(s.out, v)
			if v.name != "" {
				s.name = p.Op.Kind() + " " + v.name
			}
		}
		if p.Group != "" {
			if c.skips[p.Group] == nil {
				c.skips[p.Group] = new(bool)
			}
			s.skip = c.skips[p.Group]
		}
		for _, v := range s.in {
			read[v] = max(read[v], at+1)
		}
		for _, v := range s.out {
			written[v] = max(written[v], at+1)
		}
		after[at] = append(after[at], s)
	}
	add := func(s *step) error {
		if err := c.step(s.op, s.in, s.out, s.skip); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		added := c.steps[len(c.steps)-1]
		added.name, added.post = s.name, true
		return nil
	}
	for _, s := range after[-1] {
		if err := add(s); err != nil {
			return err
		}
	}
	for i, s := range graph {
		c.steps = append(c.steps, s)
		c.use(len(c.steps)-1, s.in, s.out)
		for _, p := range after[i] {
			if err := add(p); err != nil {
				return err
			}
		}
	}
	return nil
}
