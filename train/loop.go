package train

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"manvision/data"
	"manvision/internal/resident"
	"manvision/manpp"
	"manvision/report/progress"
	"manvision/weights"
)

func (r *run) loop(ctx context.Context, start time.Time) error {
	images := 0
	mark, waited := time.Now(), r.loader.Stats().Wait
	due := false // a line of the log, since its step was skipped
	for r.step < r.total {
		detail := due || (r.step+1)%int64(r.cfg.Train.LogEvery) == 0 || r.step+1 == r.total
		var epoch int64
		skipping := false
		if r.statistics != nil {
			if err := r.statistics.keep(); err != nil {
				return r.rescue(err)
			}
		}
		r.o.Profile.Begin()
		for part := range r.cfg.Train.Accumulate {
			wait := r.o.Profile.Now()
			b, err := r.loader.Next()
			if err != nil {
				return r.rescue(err)
			}
			r.o.Profile.Mark("loader", "wait for images", wait)
			if !skipping { // the batches of a skipped step are passed over
				if err := r.train(b, part, detail); err != nil {
					if skipping = r.skipStep(err); !skipping {
						return r.rescue(err)
					}
				}
			}
			images += len(b.Samples)
			epoch = b.Epoch
			r.loader.Recycle(b)
		}
		if r.average != nil && !skipping {
			if err := r.average.update(r.step); err != nil {
				return r.rescue(err)
			}
		}
		r.o.Profile.End()
		r.step++
		if due = detail && skipping; due {
			detail = false // its losses are no numbers
		}
		if detail {
			now := time.Now()
			st := r.loader.Stats()
			r.record.fill(&r.report)
			r.record.Skipped = r.skipped
			r.record.Step, r.record.Epoch = r.step, epoch
			r.record.Images = float64(images) / now.Sub(mark).Seconds()
			r.record.DataWait = float64(st.Wait-waited) / float64(now.Sub(mark))
			r.record.Memory, _ = resident.Bytes()
			r.record.Seconds = now.Sub(start).Seconds()
			if err := r.logs.write(&r.record); err != nil {
				return r.rescue(err)
			}
			images, mark, waited = 0, now, st.Wait
		}
		if !skipping {
			r.show()
		}
		stop := ctx.Err() != nil || r.o.StopAfter > 0 && r.step >= r.o.StopAfter
		evalNow := r.cfg.Train.EvalEvery > 0 && r.step%int64(r.cfg.Train.EvalEvery) == 0 || r.step == r.total
		if evalNow && !stop {
			if err := r.evaluate(ctx); err != nil {
				if ctx.Err() == nil {
					return r.rescue(err)
				}
				stop = true
			}
			mark, waited = time.Now(), r.loader.Stats().Wait
		}
		every := int64(r.cfg.Train.CheckpointEvery)
		if every > 0 && r.step%every == 0 || r.step == r.total || stop || evalNow {
			if err := r.save(); err != nil {
				return err
			}
		}
		if stop && r.step < r.total {
			return ErrInterrupted
		}
	}
	if r.summary == nil { // resumed after its last step
		return r.evaluate(ctx)
	}
	return nil
}

// rescue saves what has been trained before an error ends the run. Within a step of
// several batches the norms' running statistics have seen some of them; resumed, the
// step begins anew.
func (r *run) rescue(err error) error {
	if r.step > r.saved && r.step > 0 && !errors.Is(err, errDiverged) {
		if saveErr := r.save(); saveErr != nil {
			return errors.Join(err, saveErr)
		}
		r.o.Say(fmt.Sprintf("saved %s before stopping", r.path))
	}
	return err
}

// errDiverged marks errors after which the weights are not worth keeping.
var errDiverged = errors.New("diverged")

// train does a part (from 0) of a step on a batch.
func (r *run) train(b *data.Batch, part int, detail bool) error {
	s, err := r.tr.Steps(b.N, b.H, b.W)
	if err != nil {
		return err
	}
	if err := r.keepChoices(); err != nil {
		return err
	}
	for _, b := range s.Blocks {
		r.o.Profile.Watch(b.Program)
	}
	prepare := r.o.Profile.Now()
	if err := r.model.SetTargets(s.Heads, b, r.skip); err != nil {
		return fmt.Errorf("targets of %s: %w", b.Samples[0].File, err)
	}
	if r.o.tamper != nil {
		r.o.tamper(r.step, b)
	}
	if err := s.Input.Upload(b.Images); err != nil {
		return err
	}
	r.o.Profile.Mark("training", "targets and images to the device", prepare)
	if err := r.tr.RunPart(s, r.step, part, r.skip, detail, &r.report); err != nil {
		var bad *manpp.NotFinite
		if errors.As(err, &bad) {
			return r.diverged(bad, s, b)
		}
		return fmt.Errorf("%w: %w", errDiverged, err)
	}
	r.record.BlockMemory = r.record.BlockMemory[:0]
	for _, b := range s.Blocks {
		r.record.BlockMemory = append(r.record.BlockMemory, b.Program.Bytes())
	}
	return nil
}

func (r *run) show() {
	if r.progress == nil {
		return
	}
	l := progress.Line{Step: r.step, Steps: r.total, Loss: r.report.Loss(), LR: r.report.LR,
		ImgPerSec: r.record.Images, DataWait: r.record.DataWait, MemBytes: r.record.Memory}
	for _, b := range r.report.Blocks {
		l.BlockLosses = append(l.BlockLosses, b.Loss)
	}
	r.progress.Update(l)
}

func (r *run) say(text string) {
	if r.progress != nil {
		r.progress.Println(text)
		return
	}
	r.o.Say(text)
}

func (r *run) evaluate(ctx context.Context) error {
	start := time.Now()
	defer func() {
		r.model.Net().Store.FreeFolded() // training has no use for them
		r.evalTime += time.Since(start)
	}()
	var s *Summary
	err := r.averaged(func() (err error) {
		s, err = r.pred.Score(ctx, r.val, nil)
		return err
	})
	if err != nil {
		return fmt.Errorf("evaluation after step %d: %w", r.step, err)
	}
	if err := r.keepChoices(); err != nil {
		return err
	}
	r.summary = s
	r.metrics, r.score = s.Values(), nil
	if v, ok := s.Value(s.Rank); ok {
		r.score = &v
	}
	r.say(fmt.Sprintf("step %d: %s on %d images in %.1f s", r.step, s, s.Images, time.Since(start).Seconds()))
	for _, w := range s.Warnings {
		r.say("warning: " + w)
	}
	return r.logs.evaluated(r.step, r.metrics)
}

// averaged calls do with the weights' average in their place, if the run has one.
func (r *run) averaged(do func() error) error {
	if r.average == nil {
		return do()
	}
	if err := r.average.swapIn(); err != nil {
		return err
	}
	return errors.Join(do(), r.average.swapOut())
}

func (r *run) save() error {
	epoch := r.step * int64(r.cfg.Train.Accumulate) / r.loader.StepsPerEpoch()
	start := time.Now()
	defer func() { r.saveTime += time.Since(start) }()
	var c *weights.Checkpoint
	err := r.averaged(func() (err error) {
		if c, err = r.model.Net().checkpoint(r.tr, r.step, epoch, r.metrics, r.score); err == nil && r.average != nil {
			r.average.keep(c)
		}
		return err
	})
	if err == nil {
		err = sound(c)
	}
	if err == nil {
		err = r.describe(&c.Meta)
	}
	if err != nil {
		return err
	}
	path, err := r.folder.Save(c)
	if err != nil {
		if r.saved >= 0 {
			return fmt.Errorf("%w; the checkpoint of step %d is intact: make room and go on with --resume", err, r.saved)
		}
		return err
	}
	r.path, r.saved = path, r.step
	r.metrics, r.score = nil, nil
	return nil
}

// describe adds what a resumed run compares and goes on with.
func (r *run) describe(m *weights.Meta) (err error) {
	if m.Schedule, err = json.Marshal(scheduleState{r.total}); err != nil {
		return err
	}
	state, err := json.Marshal(runState{Threads: Threads(r.cfg), Skipped: r.skipped, Data: r.data})
	m.Extra = map[string]json.RawMessage{"run": state}
	return err
}
