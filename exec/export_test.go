package exec

import (
	"unsafe"

	"manvision/device"
)

// Span is one buffer of a plan, for tests.
type Span struct {
	Offset, Size int64
	First, Last  int
}

// Spans lists the buffers of a program's plan, each once.
func (p *Program) Spans() []Span {
	var out []Span
	seen := map[*span]bool{}
	add := func(s *span) {
		if s != nil && !seen[s] {
			seen[s] = true
			out = append(out, Span{s.offset, s.size, s.first, s.last})
		}
	}
	for _, s := range p.steps {
		for _, v := range append(append([]*value{}, s.in...), s.out...) {
			add(v.span)
		}
		add(s.scratch)
	}
	return out
}

// Shared counts the values that lie in place of another.
func (p *Program) Shared() int {
	values := map[*value]bool{}
	for _, s := range p.steps {
		for _, v := range s.out {
			if v.span != nil {
				values[v] = true
			}
		}
		if s.scratch != nil {
			values[&value{}] = true
		}
	}
	return len(values) - len(p.Spans())
}

// Schedule lists the operations in the order in which they run.
func (p *Program) Schedule() []device.Op {
	var out []device.Op
	for _, s := range p.steps {
		out = append(out, s.op)
	}
	return out
}

// Memory is the arena's memory as bytes; the device must be in host memory.
func (a *Arena) Memory() []byte {
	return unsafe.Slice((*byte)(a.mem.Ptr()), a.mem.Size())
}

// Arena is where the program works.
func (p *Program) Arena() *Arena { return p.arena }
