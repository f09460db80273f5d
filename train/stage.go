package train

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"manvision/config"
	"manvision/data"
	"manvision/data/augment"
	"manvision/device"
	"manvision/internal/doctor"
	"manvision/manpp"
	"manvision/optim"
	"manvision/report/progress"
)

// How long steps are measured to choose how many blocks run at once.
const (
	// rounds is how often each of two numbers of blocks at once has its turn.
	rounds = 4
	// spent is about how long both are measured together, where steps are short.
	spent = 2 * time.Second
	// longest is the longest step that is measured: the kernels of longer ones have work
	// for every thread.
	longest = 500 * time.Millisecond
	// mostSteps bounds the steps of a turn.
	mostSteps = 30
)

// stage is where a run tries steps before it begins: a device and models of its own, and
// made-up images, so that nothing of the run is touched.
type stage struct {
	task    Task
	cfg     *config.Config
	dev     device.Device
	classes Classes
	batch   *data.Batch
}

// newStage opens a stage and lists what there is to try; see atOnce. It holds no memory of
// the device yet.
func (r *run) newStage(task Task) (s *stage, numbers []int, why string, err error) {
	s = &stage{task: task, cfg: r.cfg, classes: r.source.Classes()}
	if s.dev, err = r.o.Open(Threads(r.cfg)); err != nil {
		return nil, nil, "", err
	}
	m, err := task.Build(r.cfg, s.dev, s.classes)
	if err != nil {
		return nil, nil, "", errors.Join(err, s.dev.Close())
	}
	numbers, why = atOnce(r.cfg, s.dev, m.Net().Model.Blocks())
	return s, numbers, why, nil
}

func (s *stage) close() { s.dev.Close() }

// trial trains on a stage with so many blocks at once.
type trial struct {
	model   Model
	tr      *manpp.Trainer
	steps   *manpp.Steps
	batch   *data.Batch
	planned int64
	skip    map[string]bool
	report  manpp.StepReport
	step    int64
	took    []float64 // seconds
}

// try plans a trial and draws its variables.
func (s *stage) try(lanes int) (*trial, error) {
	cfg := s.cfg.WithConcurrency(lanes, "")
	m, err := s.task.Build(cfg, s.dev, s.classes)
	if err != nil {
		return nil, err
	}
	t := &trial{model: m, skip: map[string]bool{}}
	if t.tr, err = NewTrainer(m, max(1, cfg.Train.Steps, cfg.Schedule.WarmupSteps+1)); err != nil {
		return nil, err
	}
	// Steps that hardly move the parameters do not diverge on noise.
	t.tr.Opt.Schedule = optim.Schedule{Base: 1e-9}
	n, h, w := PlanSize(cfg)
	if t.steps, err = t.tr.Steps(n, h, w); err == nil {
		err = m.Net().Store.Realize()
	}
	if err != nil {
		t.close()
		return nil, err
	}
	t.planned = t.tr.Memory(t.steps).Total()
	if s.batch == nil {
		s.batch = madeUp(n, h, w, s.classes.Len())
	}
	t.batch = s.batch
	return t, nil
}

func (t *trial) close() {
	t.tr.Close()
	t.tr.Opt.Free()
	t.model.Net().Store.Free()
}

// train does some steps and notes what each takes.
func (t *trial) train(ctx context.Context, steps int) error {
	for range steps {
		if err := ctx.Err(); err != nil {
			return err
		}
		start := time.Now()
		for part := range t.tr.Opt.Hyper.Parts() {
			if err := t.model.SetTargets(t.steps.Heads, t.batch, t.skip); err != nil {
				return err
			}
			if err := t.steps.Input.Upload(t.batch.Images); err != nil {
				return err
			}
			if err := t.tr.RunPart(t.steps, t.step, part, t.skip, false, &t.report); err != nil {
				return err
			}
		}
		t.step++
		t.took = append(t.took, time.Since(start).Seconds())
	}
	return nil
}

// pace is the median of what was noted.
func (t *trial) pace() pace {
	slices.Sort(t.took)
	n := len(t.took)
	return pace{(t.took[(n-1)/2] + t.took[n/2]) / 2, n}
}

// compare measures steps with fewer and with more blocks at once in turn, so that what else
// the machine does meets both. The first step of a turn wakes threads and is left out
// where there are more.
func (s *stage) compare(ctx context.Context, fewer, more int) (a, b pace, err error) {
	few, err := s.try(fewer)
	if err != nil {
		return a, b, err
	}
	defer few.close()
	if err := few.train(ctx, 2); err != nil { // the first allocates
		return a, b, err
	}
	step := few.took[1]
	if most := longest.Seconds(); step > most && step < 4*most { // once more, as it may have been disturbed
		if err := few.train(ctx, 1); err != nil {
			return a, b, err
		}
		step = min(step, few.took[2])
	}
	if step > longest.Seconds() {
		return a, b, fmt.Errorf("not tried: steps of %.2g s have work enough for all threads", step)
	}
	many, err := s.try(more)
	if err != nil {
		return a, b, err
	}
	defer many.close()
	if free := doctor.Look("/").Free(); free > 0 && many.planned > free/10*8 {
		return a, b, fmt.Errorf("not tried: planned with %s, of %s that are free", progress.Bytes(many.planned), progress.Bytes(free))
	}
	if err := many.train(ctx, 1); err != nil {
		return a, b, err
	}
	few.took, many.took = nil, nil
	turn := int(min(max(1, spent.Seconds()/(2*rounds*step)), mostSteps))
	for range rounds {
		for _, t := range []*trial{few, many} {
			n := len(t.took)
			if err := t.train(ctx, turn); err != nil {
				return a, b, err
			}
			if turn > 1 {
				t.took = slices.Delete(t.took, n, n+1)
			}
		}
	}
	return few.pace(), many.pace(), nil
}

// madeUp makes a batch of n images of h x w with everything that any task trains on.
func madeUp(n, h, w, classes int) *data.Batch {
	random := augment.NewRandom(1)
	b := &data.Batch{N: n, H: h, W: w, C: 3, Images: make([]float32, n*h*w*3), Labels: make([]uint8, n*h*w), Classes: make([]int32, n), Samples: make([]data.Sample, n)}
	for i := range b.Images {
		b.Images[i] = float32(random.Uniform(-2, 2))
	}
	for i := range b.Labels {
		b.Labels[i] = uint8(i / 16 % min(classes, 255))
	}
	fw, fh := float32(w), float32(h)
	for i := range n {
		b.Classes[i] = int32(i % classes)
		b.Samples[i] = data.Sample{InW: w, InH: h, Width: w, Height: h, ScaleX: 1, ScaleY: 1,
			Boxes:  [][4]float32{{0.05 * fw, 0.1 * fh, 0.4 * fw, 0.65 * fh}, {0.4 * fw, 0.15 * fh, 0.55 * fw, 0.5 * fh}, {0.5 * fw, 0.5 * fh, 0.95 * fw, 0.9 * fh}},
			Labels: []int32{0, int32(1 % classes), int32(2 % classes)}}
	}
	return b
}
