package exec

import (
	"fmt"

	"manvision/device"
)

// NewTensorWithin describes storage for one result of programs that work in the arena, one
// for each input size: it lies among their working memory, where the plan of the program
// that ran last has room for it to the end of its run. It costs no memory beside theirs,
// and holds the result until another program runs in the arena. Only a program that
// computes a node straight into it can write it.
func NewTensorWithin(arena *Arena, d device.Desc) (*Tensor, error) {
	t, err := NewTensor(arena.dev, d)
	if err != nil {
		return nil, err
	}
	t.arena, t.within, t.offset = arena, true, -1
	return t, nil
}

// inside returns the value of a result that is to lie in t, within the arena.
func (c *compiler) inside(t *Tensor, d device.Desc, name string) (*value, error) {
	switch err := same(d, t.Desc); {
	case t.arena != c.spec.Arena:
		return nil, fmt.Errorf("%v is to lie within another arena than the program works in", t.Desc)
	case err != nil:
		return nil, err
	}
	v := &value{desc: t.Desc, bytes: t.size, pin: true, last: -1, name: name}
	c.within = append(c.within, result{t, v})
	return v, nil
}

// result is a value that can be read outside the program, until the arena's next run.
type result struct {
	t *Tensor
	v *value
}

// settle tells the tensor where the program has its result.
func (r result) settle() {
	r.t.writes++
	if r.t.offset != r.v.span.offset {
		r.t.offset = r.v.span.offset
		r.t.gen++
	}
}

// Within reports whether the storage lies among programs' working memory.
func (t *Tensor) Within() bool { return t.within }
