package exec

// storage decides which values share memory in place and returns the spans of
// the arena.
func (c *compiler) storage() []*span {
	var spans []*span
	end := len(c.steps) - 1
	for i, s := range c.steps {
		shared := c.inPlace(i, s)
		for j, v := range s.out {
			if v.ext != nil || v.span != nil {
				continue
			}
			if shared != nil && shared[0] == j {
				v.span = s.in[shared[1]].span
				v.span.last = max(v.span.last, v.last)
			} else {
				v.span = &span{size: v.bytes, first: i, last: max(v.last, i)}
				spans = append(spans, v.span)
			}
			if v.pin {
				v.span.last = end
			}
		}
		if n := s.kernel.Scratch(); n > 0 {
			s.scratch = &span{size: n, first: i, last: i}
			spans = append(spans, s.scratch)
		}
	}
	return spans
}

// inPlace picks an {output, input} pair of step i whose input dies there.
func (c *compiler) inPlace(i int, s *step) *[2]int {
	for _, pair := range s.op.InPlace() {
		if pair[0] >= len(s.out) || pair[1] >= len(s.in) {
			continue
		}
		o, in := s.out[pair[0]], s.in[pair[1]]
		if o.ext != nil || in.ext != nil || in.span == nil || in.pin || in.last != i || in.span.last != i || in.bytes != o.bytes {
			continue
		}
		twice := false
		for j, other := range s.in {
			twice = twice || j != pair[1] && other.span == in.span
		}
		if !twice {
			return &pair
		}
	}
	return nil
}
