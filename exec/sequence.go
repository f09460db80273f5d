package exec

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Sequence runs programs that belong one after another side by side, as many at once as
// there are lanes, with the results of running them in order: a kernel that reads or
// writes storage waits for the kernels of earlier programs that write or read it, and
// posts for what earlier programs guard. A lane that is free takes the next program.
type Sequence struct {
	programs []*Program
	arenas   []*Arena     // of the lanes
	waits    [][][]wait   // by program and step
	done     []counter    // steps, by program
	next     atomic.Int64 // program to run
	failed   atomic.Int64 // the first program that ended with an error
	errs     []error
}

// wait asks for so many steps of an earlier program.
type wait struct {
	program int
	steps   int64
}

// counter has a cache line of its own.
type counter struct {
	atomic.Int64
	_ [align - 8]byte
}

// access is one step's use of a range of storage outside the programs' arena.
type access struct {
	wait   // for it
	lo, hi int64
	write  bool
}

// NewSequence plans to run the programs, all compiled for one device with lanes (see
// device.Laner) and with the first of arenas as working memory, with as many lanes as
// there are arenas. Arenas lie on memory of whichever device.
func NewSequence(programs []*Program, arenas []*Arena) (*Sequence, error) {
	s := &Sequence{programs: programs, arenas: arenas, done: make([]counter, len(programs)), errs: make([]error, len(programs))}
	need := int64(0)
	for i, p := range programs {
		if p.dev != programs[0].dev || p.own || !slices.Contains(arenas, p.arena) {
			return nil, errors.New("programs side by side: " + p.name + " has a device or working memory of its own")
		}
		need = max(need, p.bytes)
		for _, d := range p.steps {
			if d.derived != nil {
				return nil, errors.New("programs side by side: " + p.name + " derives storage that others may read")
			}
		}
		s.waits = append(s.waits, make([][]wait, len(programs[i].steps)))
	}
	for _, a := range arenas {
		a.reserve(need)
	}
	uses := map[any][]access{}
	for i, p := range programs {
		known := make([]int64, i) // steps of earlier programs that are done by now
		for k, st := range p.steps {
			await := func(w wait) {
				if w.steps > known[w.program] {
					known[w.program] = w.steps
					s.waits[i][k] = append(s.waits[i][k], w)
				}
			}
			for n, v := range append(slices.Clip(st.in), st.out...) {
				if v.ext == nil {
					continue
				}
				var key any = v.ext
				a := access{wait{i, int64(k) + 1}, 0, v.ext.size, n >= len(st.in)}
				if v.ext.arena != nil {
					key, a.lo, a.hi = v.ext.arena, v.ext.offset, v.ext.offset+v.ext.size
				}
				for _, b := range uses[key] {
					if b.program < i && (a.write || b.write) && a.lo < b.hi && b.lo < a.hi {
						await(b.wait)
					}
				}
				uses[key] = append(uses[key], a)
			}
			if st.post {
				for j, q := range programs[:i] {
					if q.guard != nil {
						await(wait{j, int64(q.guardAt) + 1})
					}
				}
			}
		}
	}
	return s, nil
}

// errCut ends a program because an earlier one failed.
var errCut = errors.New("an earlier program failed")

// Run runs all programs. Behind each, on its lane, it calls after with the program's
// number, the time that it took and how it ended; what the program keeps can be read
// there. Run returns the error that after gives for the first program that has one.
// Programs before that one are run to their ends; of those behind it no post has run if
// the guard ended it.
func (s *Sequence) Run(after func(i int, took time.Duration, err error) error) error {
	for i, p := range s.programs {
		for _, t := range p.tensors {
			if err := t.Realize(); err != nil {
				return fmt.Errorf("%s: %w", p.name, err)
			}
		}
		p.wrote()
		s.done[i].Store(0)
	}
	for _, a := range s.arenas {
		if err := a.realize(a.need); err != nil {
			return fmt.Errorf("%d bytes of working memory: %w", a.need, err)
		}
	}
	s.next.Store(0)
	s.failed.Store(int64(len(s.programs)))
	clear(s.errs)
	lost := make([]error, len(s.arenas))
	var lanes sync.WaitGroup
	for l, arena := range s.arenas {
		lanes.Go(func() {
			lost[l] = s.programs[0].dev.Do(func() error {
				s.lane(arena, after)
				return nil
			})
		})
	}
	lanes.Wait()
	if f := s.failed.Load(); f < int64(len(s.programs)) {
		return s.errs[f]
	}
	return errors.Join(lost...)
}

// lane takes programs until there are none left or one failed.
func (s *Sequence) lane(arena *Arena, after func(i int, took time.Duration, err error) error) {
	for {
		i := s.next.Add(1) - 1
		if i >= int64(len(s.programs)) || s.failed.Load() < i {
			return
		}
		start := time.Now()
		err := s.run(int(i), arena)
		if err == errCut {
			return
		}
		if s.errs[i] = after(int(i), time.Since(start), err); s.errs[i] == nil {
			continue
		}
		for f := s.failed.Load(); i < f && !s.failed.CompareAndSwap(f, i); f = s.failed.Load() {
		}
		return
	}
}

// run runs program i in an arena.
func (s *Sequence) run(i int, arena *Arena) error {
	p := s.programs[i]
	if p.arena != arena {
		p.arena, p.boundGen = arena, -1
	}
	if p.boundGen != p.generation() {
		if err := p.bind(); err != nil {
			return err
		}
	}
	for k, waits := range s.waits[i] {
		for _, w := range waits {
			if !s.await(w, int64(i)) {
				return errCut
			}
		}
		if err := p.runStep(k); err != nil {
			return err
		}
		s.done[i].Store(int64(k) + 1)
	}
	return nil
}

// spins bounds how often a lane looks before it sleeps: some 50 microseconds, as the
// threads of a team do.
const spins = 20000

// await waits, and reports false when a program before i failed.
func (s *Sequence) await(w wait, i int64) bool {
	for n := 0; s.done[w.program].Load() < w.steps; n++ {
		if s.failed.Load() < i {
			return false
		}
		if n > spins {
			time.Sleep(20 * time.Microsecond)
		}
	}
	return true
}
