package train

import (
	"context"
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
