package manpp

import (
	"errors"
	"fmt"
	"math"
	"time"

	"manvision/device"
	"manvision/exec"
)

// Trainer runs training steps of a model. Programs are compiled once an input
// size and kept.
type Trainer struct {
	Model *Model
	Opt   *Optimizer
	// NewHeads makes the task's heads for images [n,h,w,3].
	NewHeads func(n, h, w int) (Heads, error)
	// MaxSizes bounds how many input sizes are kept compiled; 0 means 8.
	MaxSizes int

	arenas   []*exec.Arena // one for each block that may run at once
	boundary *exec.Arena
	sizes    map[[3]int]*Steps
	recent   [][3]int // least recently used first
}

// NewTrainer checks the model and returns a trainer.
func NewTrainer(m *Model, opt *Optimizer, heads func(n, h, w int) (Heads, error)) (*Trainer, error) {
	if err := m.Check(); err != nil {
		return nil, err
	}
	if !m.Quirks.DecayScale {
		opt.Rules.NoScaleDecay = true
	}
	dev := m.Store.Device()
	return &Trainer{Model: m, Opt: opt, NewHeads: heads,
		arenas: []*exec.Arena{exec.NewArena(dev)}, boundary: exec.NewArena(dev), sizes: map[[3]int]*Steps{}}, nil
}

// Steps returns the programs for images [n,h,w,3], compiling them if needed.
func (t *Trainer) Steps(n, h, w int) (*Steps, error) {
	key := [3]int{n, h, w}
	if s, ok := t.sizes[key]; ok {
		for i, k := range t.recent {
			if k == key {
				copy(t.recent[i:], t.recent[i+1:])
				t.recent[len(t.recent)-1] = key
				break
			}
		}
		return s, nil
	}
	limit := t.MaxSizes
	if limit == 0 {
		limit = 8
	}
	if len(t.recent) >= limit {
		t.sizes[t.recent[0]].Close()
		delete(t.sizes, t.recent[0])
		t.recent = t.recent[1:]
	}
	heads, err := t.NewHeads(n, h, w)
	if err != nil {
		return nil, err
	}
	s, err := t.Model.compile(heads, t.Opt, n, h, w, t.boundary, t.arenas)
	if err != nil {
		return nil, fmt.Errorf("input %dx%dx%d: %w", n, h, w, err)
	}
	t.sizes[key] = s
	t.recent = append(t.recent, key)
	return s, nil
}

// BlockReport is what a step tells of one block.
type BlockReport struct {
	Loss     float64   // sum of Terms
	Terms    []float64 // as Block.Losses
	Time     time.Duration
	Scale    float64 // s before the step; 0 for a block without auxiliary network or unless asked for
	Distance float64 // ‖LB−EMA‖ over all parameters, before the step; 0 likewise
}

// StepReport is what a step tells.
type StepReport struct {
	Blocks   []BlockReport
	LR       float64
	GradNorm float64 // of all gradients, before clipping; 0 without clipping
}

// Loss is the final head's loss.
func (r *StepReport) Loss() float64 { return r.Blocks[len(r.Blocks)-1].Loss }

// Run trains one step, number step from 0, on the images and targets that the
// caller has uploaded into s. skip switches update groups off (see Skipper);
// detail also measures s and ‖LB−EMA‖. r is reused between steps. An optimizer whose
// Hyper.Accumulate is above 1 needs RunPart.
func (t *Trainer) Run(s *Steps, step int64, skip map[string]bool, detail bool, r *StepReport) error {
	if n := t.Opt.Hyper.Parts(); n > 1 {
		return fmt.Errorf("step %d: the optimizer averages %d parts a step; run them one by one", step, n)
	}
	return t.RunPart(s, step, 0, skip, detail, r)
}

// RunPart runs part (from 0) of a step's Hyper.Parts as Run does, on a batch of its
// own, which may have another size than the other parts. Their gradients are averaged
// and the last part updates the parameters, once; the EMA copies move then too.
// Batch norms see each part by itself. Dropout has masks of its own in every part. r
// holds the mean of the losses and the sum of the times of the parts run so far. Parts
// have to be run in order, from 0.
func (t *Trainer) RunPart(s *Steps, step int64, part int, skip map[string]bool, detail bool, r *StepReport) error {
	parts := t.Opt.Hyper.Parts()
	if part < 0 || part >= parts {
		return fmt.Errorf("step %d: no part %d of %d", step, part, parts)
	}
	last := part == parts-1
	if part == 0 {
		if err := t.Opt.begin(step); err != nil {
			return err
		}
	}
	if err := t.Model.Store.SetStep(step*int64(parts) + int64(part)); err != nil {
		return err
	}
	r.LR = t.Opt.Schedule.LR(step)
	if len(r.Blocks) != len(s.Blocks) {
		r.Blocks = make([]BlockReport, len(s.Blocks))
	}
	t.Opt.skips(skip)
	r.GradNorm = 0
	if s.side != nil {
		return t.runSide(s, step, part, skip, detail, r)
	}
	for j, b := range s.Blocks {
		start := time.Now()
		out := &r.Blocks[j]
		if err := b.begin(out, part, last, skip, detail && last); err != nil {
			return err
		}
		if err := b.Program.Run(); err != nil && !errors.Is(err, exec.ErrNotFinite) {
			return err
		}
		if err := b.read(out, part); err != nil {
			return err
		}
		if err := b.measured(out, detail && last); err != nil {
			return err
		}
		out.Time += time.Since(start)
		if err := b.finite(out, step, part, r.LR); err != nil {
			return err
		}
		if last {
			norm, err := t.Opt.finish(j, j == len(s.Blocks)-1)
			if err != nil {
				return fmt.Errorf("step %d: %w", step, err)
			}
			if math.IsNaN(norm) || math.IsInf(norm, 0) {
				bad := &NotFinite{Step: step, Part: part, Block: -1, Of: "gradient", Value: norm, LR: r.LR}
				if t.Opt.clipsBlocks() {
					bad.Block = j
				}
				return bad
			}
			r.GradNorm = math.Hypot(r.GradNorm, norm)
		}
	}
	return nil
}

// begin prepares a part of a step: groups that it skips, and what detail measures of the
// values that the step runs with.
func (b *Block) begin(r *BlockReport, part int, last bool, skip map[string]bool, detail bool) error {
	for group, off := range skip {
		b.Program.Skip(group, off)
	}
	b.Program.Skip(groupEMA, !last)
	if part == 0 {
		r.Time = 0
	}
	r.Scale, r.Distance = 0, 0
	if b.distance == nil {
		return nil
	}
	b.Program.Skip(groupReport, !detail)
	if !detail {
		return nil
	}
	var x [1]float64
	if err := b.scale.Value.Download(x[:]); err != nil {
		return err
	}
	r.Scale = x[0]
	return b.distance.Zero()
}

// finite returns an error if the block's loss is not a finite number.
func (b *Block) finite(r *BlockReport, step int64, part int, lr float64) error {
	if math.IsNaN(r.Loss) || math.IsInf(r.Loss, 0) {
		return &NotFinite{Step: step, Part: part, Block: b.Index, Of: "loss", Value: r.Loss, LR: lr}
	}
	return nil
}

// read adds the losses of a step's part (from 0) to the mean of those before.
func (b *Block) read(r *BlockReport, part int) error {
	if len(r.Terms) != len(b.Losses) {
		r.Terms = make([]float64, len(b.Losses))
	}
	var x [1]float64
	r.Loss = 0
	for i, l := range b.Losses {
		if err := b.Program.Download(x[:], l.Node); err != nil {
			return err
		}
		if part == 0 {
			r.Terms[i] = x[0]
		} else {
			r.Terms[i] += (x[0] - r.Terms[i]) / float64(part+1)
		}
		r.Loss += r.Terms[i]
	}
	return nil
}

// measured reads what detail measures.
func (b *Block) measured(r *BlockReport, detail bool) error {
	if b.distance == nil || !detail {
		return nil
	}
	var x [1]float64
	if err := b.distance.Download(x[:]); err != nil {
		return err
	}
	r.Distance = math.Sqrt(x[0])
	return nil
}

// Memory is the planned memory of a training step in bytes.
type Memory struct {
	Blocks     []int64 `json:"blocks"`          // working memory of each block: activations, gradients, scratch
	Lanes      int     `json:"lanes"`           // blocks that may run at once
	Arena      int64   `json:"working"`         // the largest of Blocks, for each lane
	Boundary   int64   `json:"boundary"`        // images and what crosses cuts
	Parameters int64   `json:"parameters"`      // and buffers
	State      int64   `json:"optimizer_state"` // optimizer state
	Gradients  int64   `json:"gradients"`       // kept for clipping or accumulation
}

// Total is the planned peak.
func (m Memory) Total() int64 {
	return m.Arena + m.Boundary + m.Parameters + m.State + m.Gradients
}

// Memory adds up the plan of steps s.
func (t *Trainer) Memory(s *Steps) Memory {
	m := Memory{Lanes: len(t.arenas), Boundary: t.boundary.Bytes(), Parameters: t.Model.Store.Bytes(), State: t.Opt.StateBytes(), Gradients: t.Opt.GradBytes()}
	for _, a := range t.arenas {
		m.Arena += a.Bytes()
	}
	for _, b := range s.Blocks {
		m.Blocks = append(m.Blocks, b.Program.Bytes())
	}
	return m
}

// Device is where the trainer runs.
func (t *Trainer) Device() device.Device { return t.Model.Store.Device() }

// Close frees programs and working memory; the model's variables stay.
func (t *Trainer) Close() {
	for _, s := range t.sizes {
		s.Close()
	}
	t.sizes, t.recent = map[[3]int]*Steps{}, nil
	for _, a := range t.arenas {
		a.Free()
	}
	t.boundary.Free()
	if t.Opt.side != nil {
		t.Opt.discard()
		t.Opt.side.Close()
		t.Opt.side = nil
	}
}

// Arena is the programs' working memory, which evaluation between steps may use.
func (t *Trainer) Arena() *exec.Arena { return t.arenas[0] }

// Boundary holds the images and what crosses cuts; its content is of no use
// between steps.
func (t *Trainer) Boundary() *exec.Arena { return t.boundary }
