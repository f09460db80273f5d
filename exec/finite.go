package exec

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"gorgonia.org/gorgonia"

	"manvision/device"
)

// ErrNotFinite is what a run with a guard ends with; see Program.Guard.
var ErrNotFinite = errors.New("not finite")

// Guard makes runs end with ErrNotFinite as soon as one of the nodes, kept scalars, is
// NaN or infinite: before kernels that come later, which are the posts that update
// parameters wherever these wait for gradients of the nodes.
func (p *Program) Guard(nodes ...*gorgonia.Node) error {
	p.guard, p.guardAt = nil, 0
	for _, n := range nodes {
		v, ok := p.kept[n]
		if !ok || v.desc.Elems() != 1 {
			return fmt.Errorf("%s: %s is not a kept scalar", p.name, describe(n))
		}
		for i, s := range p.steps {
			if slices.Contains(s.out, v) && !s.post {
				p.guardAt = max(p.guardAt, i)
			}
		}
		p.guard = append(p.guard, v)
	}
	return nil
}

// check looks at the guarded scalars after step i.
func (p *Program) check(i int) error {
	if p.guard == nil || i != p.guardAt {
		return nil
	}
	for _, v := range p.guard {
		if err := p.dev.Download(p.scalar[:], v.desc, p.addr(v)); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		if !isFinite(p.scalar[0]) {
			return fmt.Errorf("%s: %w", p.name, ErrNotFinite)
		}
	}
	return nil
}

func isFinite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

// FirstNotFinite runs the kernels anew on the same inputs, without posts, and says in
// words which argument or result was the first with a value that is NaN or infinite;
// "" if there was none. What the graph computes into bound storage is written again.
func (p *Program) FirstNotFinite() (string, error) {
	if err := p.Realize(); err != nil {
		return "", err
	}
	p.wrote()
	var found string
	seen := map[*value]bool{} // external storage that was looked at before the first write
	err := p.dev.Do(func() error {
		for _, s := range p.steps {
			if s.post {
				continue
			}
			for _, v := range s.in {
				if v.ext == nil || seen[v] {
					continue
				}
				seen[v] = true
				n, err := p.countNotFinite(v)
				if err != nil {
					return err
				}
				if n > 0 {
					found = fmt.Sprintf("%d of %d values of %s, which %s reads", n, v.desc.Elems(), v.name, s.op.Kind())
					return nil
				}
			}
			if err := s.kernel.Run(); err != nil {
				return fmt.Errorf("%s: %s: %w", p.name, s.name, err)
			}
			if s.derived != nil {
				s.derived.seen = s.derived.state()
			}
			for _, v := range s.out {
				seen[v] = true
				n, err := p.countNotFinite(v)
				if err != nil {
					return err
				}
				if n > 0 {
					found = fmt.Sprintf("%d of %d values of the result of %s", n, v.desc.Elems(), s.describe())
					return nil
				}
			}
		}
		return nil
	})
	return found, err
}

// describe names an operation by its kind and the outside storage that it reads.
func (s *step) describe() string {
	var of []string
	for _, v := range s.in {
		if v.ext != nil && v.name != "" {
			of = append(of, v.name)
		}
	}
	if of == nil {
		return s.name
	}
	return s.op.Kind() + " of " + strings.Join(of, ", ")
}

func (p *Program) countNotFinite(v *value) (int, error) {
	if v.desc.DType != device.Float && v.desc.DType != device.BF16 {
		return 0, nil
	}
	x := make([]float64, v.desc.Elems())
	if err := p.dev.Download(x, v.desc, p.addr(v)); err != nil {
		return 0, fmt.Errorf("%s: %w", p.name, err)
	}
	n := 0
	for _, f := range x {
		if !isFinite(f) {
			n++
		}
	}
	return n, nil
}
