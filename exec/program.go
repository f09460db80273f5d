package exec

import (
	"fmt"
	"time"
	"unsafe"

	"gorgonia.org/gorgonia"

	"manvision/device"
)

var _ gorgonia.VM = (*Program)(nil)

// Program is a compiled graph. It satisfies gorgonia.VM.
type Program struct {
	name     string
	dev      device.Device
	arena    *Arena
	own      bool
	steps    []*step
	kept     map[*gorgonia.Node]*value
	skips    map[string]*bool
	tensors  []*Tensor
	arenas   []*Arena // that hold some of tensors
	writes   []*Tensor
	within   []result
	bytes    int64
	bound    int64
	boundGen int
	timings  []timing // one a step while the program is profiled, else nil
	run      func() error
	guard    []*value // see Guard
	guardAt  int
	scalar   [1]float64
}

// Bytes is the peak working memory of a run: activations, gradients and kernels'
// scratch, without parameters and other tensors bound from outside.
func (p *Program) Bytes() int64 { return p.bytes }

// LowerBound is the largest amount alive at one step: what a perfect placement
// would need.
func (p *Program) LowerBound() int64 { return p.bound }

// Steps is the number of kernels that a run calls.
func (p *Program) Steps() int { return len(p.steps) }

// Tensors are the tensors bound from outside that the program reads or writes.
func (p *Program) Tensors() []*Tensor { return p.tensors }

// Skip switches the posts of a group off or on for the runs that follow. It
// reports whether there is such a group.
func (p *Program) Skip(group string, off bool) bool {
	s := p.skips[group]
	if s != nil {
		*s = off
	}
	return s != nil
}

// Realize allocates what the program needs and binds its kernels. Run does so by
// itself; calling it early moves the cost out of the first step.
func (p *Program) Realize() error {
	for _, t := range p.tensors {
		if err := t.Realize(); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	if err := p.arena.realize(p.bytes); err != nil {
		return fmt.Errorf("%s: %d bytes of working memory: %w", p.name, p.arena.need, err)
	}
	if p.boundGen == p.generation() {
		return nil
	}
	return p.bind()
}

// bind gives the kernels the addresses of what they read and write.
func (p *Program) bind() error {
	for _, s := range p.steps {
		var in, out []device.Ptr
		for _, v := range s.in {
			in = append(in, p.addr(v))
		}
		for _, v := range s.out {
			out = append(out, p.addr(v))
		}
		var scratch device.Ptr
		if s.scratch != nil {
			scratch = unsafe.Add(p.arena.mem.Ptr(), s.scratch.offset)
		}
		if err := s.kernel.Bind(in, out, scratch); err != nil {
			return fmt.Errorf("%s: %s: %w", p.name, s.name, err)
		}
	}
	p.boundGen = p.generation()
	return nil
}

// generation changes whenever memory that the program uses is reallocated.
func (p *Program) generation() int {
	gen := p.arena.gen
	for _, a := range p.arenas {
		gen += a.gen
	}
	for _, t := range p.tensors {
		gen += t.gen
	}
	return gen
}

func (p *Program) addr(v *value) device.Ptr {
	if v.ext != nil {
		return v.ext.Ptr()
	}
	return unsafe.Add(p.arena.mem.Ptr(), v.span.offset)
}

// Run computes everything once. After the first call it allocates nothing.
func (p *Program) Run() error {
	if p.boundGen != p.generation() {
		if err := p.Realize(); err != nil {
			return err
		}
	}
	p.wrote()
	return p.dev.Do(p.run)
}

func (p *Program) runSteps() error {
	for i := range p.steps {
		if err := p.runStep(i); err != nil {
			return err
		}
	}
	return nil
}

// runStep runs step i if it is due.
func (p *Program) runStep(i int) error {
	s := p.steps[i]
	if !s.due() {
		return nil
	}
	if p.timings != nil {
		defer p.timings[i].measure(time.Now())
	}
	if err := s.kernel.Run(); err != nil {
		return fmt.Errorf("%s: %s: %w", p.name, s.name, err)
	}
	if s.derived != nil {
		s.derived.seen = s.derived.state()
	}
	return p.check(i)
}

// RunAll is Run, as gorgonia.VM names it.
func (p *Program) RunAll() error { return p.Run() }

// Reset does nothing: a program keeps no state between runs but the tensors bound
// to it.
func (p *Program) Reset() {}

// Download reads a kept node's value after a run; see device.Device.Download for
// dst. The value is lost once another program runs in the same arena.
func (p *Program) Download(dst any, n *gorgonia.Node) error {
	v, ok := p.kept[n]
	if !ok {
		return fmt.Errorf("%s: %s was not compiled as a kept node", p.name, describe(n))
	}
	if p.boundGen != p.generation() {
		return fmt.Errorf("%s: %s read before a run, or after its memory was given back", p.name, describe(n))
	}
	return p.dev.Download(dst, v.desc, p.addr(v))
}

// Close frees kernels and, when the arena is the program's own, the arena.
func (p *Program) Close() error {
	for _, s := range p.steps {
		s.kernel.Close()
	}
	if p.own {
		p.arena.Free()
	}
	return nil
}
