package train

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"manvision/config"
	"manvision/data"
	"manvision/device"
	"manvision/internal/profile"
	"manvision/internal/resident"
	"manvision/manpp"
	"manvision/report/progress"
	"manvision/weights"
)

// Options are what a run needs beside its recipe.
type Options struct {
	// Open makes the device with a number of threads.
	Open func(threads int) (device.Device, error)
	// Resume goes on from the last checkpoint in the recipe's output folder, as Policy
	// ("" is strict) says. With ResumeAuto a folder without one is no error: the run
	// starts.
	Resume, ResumeAuto bool
	Policy             ResumePolicy
	// Begin is told what is going to run once everything has been checked and
	// planned, before the first step, and returns what shows the steps (nil:
	// nothing). A run that fails before has met bad input.
	Begin func(*Outline) *progress.Progress
	// Say prints a line of news; nil drops it.
	Say func(string)
	// StopAfter ends the run after that step as an interruption does, with a
	// checkpoint; 0 means never.
	StopAfter int64
	// Profile records some of the steps; nil records none and costs nothing.
	Profile *profile.Recorder
	// tamper may change a batch before a step (from 0) sees it, for tests.
	tamper func(step int64, b *data.Batch)
	// pacer takes the place of the measurement that manpp.concurrency auto chooses by, for
	// tests.
	pacer pacer
}

// Result is how a run ended.
type Result struct {
	Step       int64
	Checkpoint string   // the last one
	Summary    *Summary // of the last evaluation; nil if there was none
	Stats      data.Stats
	Seconds    float64
	// EvalSeconds and SaveSeconds are the parts of Seconds that evaluations and
	// checkpoints took.
	EvalSeconds, SaveSeconds float64
	Memory                   MemoryUse
}

// MemoryUse sets the plan beside what was measured, in bytes.
type MemoryUse struct {
	// Planned is the peak of the device's memory that the plan foresees.
	Planned int64 `json:"planned"`
	// Allocated is the most that was ever allocated on the device.
	Allocated int64 `json:"allocated"`
	// Resident is how far the process's resident memory rose at most above what it
	// held before the first allocation; it includes decoded images. 0: unknown.
	Resident int64 `json:"resident"`
}

// ErrInterrupted says that a run was stopped before its end; the checkpoint in
// Result holds everything.
var ErrInterrupted = errors.New("interrupted")

// run is a training in progress.
type run struct {
	cfg     *config.Config
	o       Options
	model   Model
	tr      *manpp.Trainer
	loader  *data.Loader
	source  Split
	val     Split
	pred    Predictor
	average *average // nil: the run has none
	choices []byte   // of algorithms, that a resumed run was given; nil: none
	chosen  int      // choices in tuning.json
	folder  *weights.Folder
	data    *dataIdentity
	logs    *logs
	// statistics undoes skipped steps; nil where a bad step ends the run.
	statistics *statistics
	skipped    int // steps
	skip       map[string]bool
	report     manpp.StepReport
	record     record
	step       int64
	total      int64
	metrics    weights.Metrics // of the evaluation after this step, not yet saved
	score      *float64
	summary    *Summary
	saved      int64 // step of the last checkpoint, -1 for none
	path       string

	progress *progress.Progress
	resident int64 // bytes before the first allocation
	evalTime time.Duration
	saveTime time.Duration
}

// Run trains a recipe from the start or, with Resume, from its last checkpoint,
// evaluates as the recipe says, and leaves checkpoints, logs and the resolved
// recipe in its output folder. When ctx ends, the run stops after the step it is
// in, saves, and returns ErrInterrupted.
func Run(ctx context.Context, cfg *config.Config, o Options) (*Result, error) {
	if o.Say == nil {
		o.Say = func(string) {}
	}
	r := &run{cfg: cfg, o: o, skip: map[string]bool{}, saved: -1}
	defer r.close()
	if err := r.open(ctx); err != nil {
		return nil, err
	}
	if o.Begin != nil {
		r.progress = o.Begin(r.outline())
	}
	start := time.Now()
	err := r.loop(ctx, start)
	res := &Result{Step: r.step, Checkpoint: r.path, Summary: r.summary, Stats: r.loader.Stats(), Seconds: time.Since(start).Seconds(),
		EvalSeconds: r.evalTime.Seconds(), SaveSeconds: r.saveTime.Seconds(), Memory: r.memoryUse()}
	if r.progress != nil {
		r.progress.Finish()
	}
	for _, s := range res.Stats.Skipped {
		o.Say(fmt.Sprintf("skipped: %v", s.Err))
	}
	return res, err
}

func (r *run) open(ctx context.Context) error {
	cfg := r.cfg
	task, err := TaskOf(cfg)
	if err != nil {
		return err
	}
	if err := task.Prepare(ctx, cfg, r.o.Say); err != nil {
		return err
	}
	if err := cfg.CheckPaths(); err != nil {
		return err
	}
	if r.source, err = task.Open(cfg, false); err != nil {
		return err
	}
	if text := r.source.Notes(); text != "" {
		r.o.Say(text)
	}
	if r.val, err = task.Open(cfg, true); err != nil {
		return err
	}
	if d := r.source.Classes().Diff(r.val.Classes()); d != "" {
		return fmt.Errorf("training and validation data have different categories: %s", d)
	}
	if r.loader, err = TrainLoader(cfg, r.source); err != nil {
		return err
	}
	r.total = int64(cfg.Train.TotalSteps(int(r.loader.StepsPerEpoch())))
	if cfg.MANPP.Concurrency == config.Auto {
		if err := r.decide(ctx, task); err != nil {
			return err
		}
		cfg = r.cfg
	}
	dev, err := r.o.Open(Threads(cfg))
	if err != nil {
		return err
	}
	if err := r.tune(dev); err != nil {
		return errors.Join(err, dev.Close())
	}
	model, err := task.Build(cfg, dev, r.source.Classes())
	if err != nil {
		return errors.Join(err, dev.Close())
	}
	r.model = model
	if note := model.Net().Note; note != "" {
		r.o.Say(note)
	}
	if r.tr, err = NewTrainer(r.model, int(r.total)); err != nil {
		return err
	}
	// The largest input first: what does not fit fails now, not after hours.
	if _, err = r.tr.Steps(PlanSize(cfg)); err != nil {
		return err
	}
	if r.pred, err = r.model.NewPredictor(r.tr.Boundary(), r.tr.Arena()); err != nil {
		return err
	}
	if err = r.pred.Warm(r.val); err != nil {
		return err
	}
	if r.folder, err = r.openFolder(); err != nil {
		return err
	}
	r.data = identify(r.source)
	r.resident = resident.Baseline()
	if err := r.initialise(); err != nil {
		return err
	}
	if cfg.Train.OnNaN == "skip" {
		r.statistics = newStatistics(r.model.Net().Store)
	}
	if err := weights.ReplaceFile(filepath.Join(cfg.Output, "config.yaml"), func(w io.Writer) error {
		_, err := w.Write(cfg.Annotated())
		return err
	}); err != nil {
		return fmt.Errorf("resolved recipe: %w", err)
	}
	if err := r.keepChoices(); err != nil {
		return err
	}
	if r.logs, err = openLogs(cfg.Output, r.step, len(r.model.Net().Model.Partition)+1, cfg.Train.TensorBoard); err != nil {
		return err
	}
	return r.loader.SeekStep(r.step * int64(cfg.Train.Accumulate))
}

// checkpointFolder is where checkpoints lie in a run's output.
const checkpointFolder = "checkpoints"

// begins finds the checkpoint that the run goes on from, "" where it starts.
func (r *run) begins() (string, error) {
	last, found := r.folder.Last()
	switch {
	case r.o.ResumeAuto && r.o.Policy == ResumeWeights:
		return "", errors.New("resume policy weights begins anew each time and cannot be automatic")
	case (r.o.Resume || r.o.ResumeAuto) && found:
		return last, nil
	case r.o.ResumeAuto:
		return "", nil
	case r.o.Resume:
		return "", fmt.Errorf("nothing to resume: no checkpoint in %s", filepath.Join(r.cfg.Output, checkpointFolder))
	case found:
		return "", fmt.Errorf("%s holds checkpoints of an earlier run (last: %s); go on with --resume, or choose another output or remove the folder", r.cfg.Output, filepath.Base(last))
	}
	return "", nil
}

// initialise sets all variables: from the last checkpoint, from a pretrained
// backbone, or drawn.
func (r *run) initialise() error {
	last, err := r.begins()
	switch {
	case err != nil:
		return err
	case last != "":
		return r.resume(last)
	case r.o.ResumeAuto:
		r.o.Say(fmt.Sprintf("nothing to resume in %s: starting", r.cfg.Output))
	}
	if err := r.model.Net().Store.Realize(); err != nil {
		return err
	}
	if r.cfg.Model.Pretrained != "" {
		rep, notes, err := r.model.Net().LoadPretrained(r.cfg.Model.Pretrained)
		if err != nil {
			return err
		}
		r.o.Say(fmt.Sprintf("%s:\n%s", r.cfg.Model.Pretrained, rep))
		for _, note := range notes {
			r.o.Say("warning: " + note)
		}
	}
	return r.startAverage()
}

// startAverage begins the weights' average, if the run has one, at their values.
func (r *run) startAverage() (err error) {
	if decay := r.cfg.Train.WeightEMA; decay > 0 {
		r.average, err = newAverage(r.model.Net().Store, decay)
	}
	return err
}

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

func (r *run) close() {
	r.o.Profile.Close()
	if r.loader != nil {
		r.loader.Close()
	}
	if r.logs != nil {
		r.logs.close()
	}
	if r.pred != nil {
		r.pred.Close()
	}
	if r.tr != nil {
		r.tr.Close()
	}
	if r.model != nil {
		store := r.model.Net().Store
		dev := store.Device()
		if r.tr != nil {
			r.tr.Opt.Free()
		}
		store.Free()
		dev.Close()
	}
}
