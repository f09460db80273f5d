package manpp

import (
	"errors"
	"fmt"
	"math"
	"time"

	"manvision/device"
	"manvision/exec"
)

// SideBySide has up to lanes blocks run at once, each on its share of the device's
// threads: a block begins as soon as the one before it has written its output. Every
// number comes out as from the same blocks one after another on a device with the
// threads of a lane. Every lane takes working memory of its own. It is called before
// the first step; the optimizer must not run after Close.
func (t *Trainer) SideBySide(lanes int) error {
	dev, ok := t.Device().(device.Laner)
	switch {
	case !ok:
		return fmt.Errorf("device %s runs one block at a time", t.Device().Name())
	case len(t.sizes) > 0 || t.Opt.side != nil:
		return errors.New("blocks side by side: asked for after the first plan")
	case lanes < 2 || lanes > t.Model.Blocks() || lanes > dev.Threads():
		return fmt.Errorf("%d blocks at once of %d, on %d threads; there must be at least 2, as many blocks and a thread for each", lanes, t.Model.Blocks(), dev.Threads())
	case t.Opt.clipsBlocks():
		return errors.New("blocks whose gradients are clipped one by one cannot run side by side: each waits for the update of the one before it")
	}
	var err error
	if t.Opt.side, err = dev.Lanes(lanes, dev.Threads()/lanes); err != nil {
		return err
	}
	for range lanes - 1 {
		t.arenas = append(t.arenas, exec.NewArena(dev))
	}
	return nil
}

// runSide runs the blocks of a step's part side by side.
func (t *Trainer) runSide(s *Steps, step int64, part int, skip map[string]bool, detail bool, r *StepReport) error {
	last := part == t.Opt.Hyper.Parts()-1
	for j, b := range s.Blocks {
		if err := b.begin(&r.Blocks[j], part, last, skip, detail && last); err != nil {
			return err
		}
	}
	err := s.side.Run(func(j int, took time.Duration, err error) error {
		b, out := s.Blocks[j], &r.Blocks[j]
		if err != nil && !errors.Is(err, exec.ErrNotFinite) {
			return err
		}
		if err := b.read(out, part); err != nil {
			return err
		}
		out.Time += took
		return b.finite(out, step, part, r.LR)
	})
	if err != nil || !last {
		return err
	}
	for j, b := range s.Blocks {
		if err := b.measured(&r.Blocks[j], detail); err != nil {
			return err
		}
	}
	if r.GradNorm, err = t.Opt.finish(len(s.Blocks)-1, true); err != nil {
		return fmt.Errorf("step %d: %w", step, err)
	}
	if math.IsNaN(r.GradNorm) || math.IsInf(r.GradNorm, 0) {
		return &NotFinite{Step: step, Part: part, Block: -1, Of: "gradient", Value: r.GradNorm, LR: r.LR}
	}
	return nil
}
