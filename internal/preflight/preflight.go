// Package preflight looks at everything that a training run depends on before it
// starts: recipe, data, labels, weights, memory, disk and machine. It goes on after
// each finding, so that one pass shows all of them.
package preflight

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"manvision/config"
	"manvision/data"
	"manvision/data/shapes"
	"manvision/device"
	"manvision/internal/doctor"
	"manvision/internal/finding"
	"manvision/report/progress"
	"manvision/train"
	"manvision/weights"
)

// Options set up Check.
type Options struct {
	Machine *doctor.Machine
	// Open makes the device with a number of threads.
	Open func(threads int) (device.Device, error)
	// Resume is whether the run goes on from checkpoints in its folder, ResumeAuto
	// whether it does where there are some.
	Resume, ResumeAuto bool
	// HeadersFrom is the number of images of a split from which on only their headers
	// are read; 0: 20000.
	HeadersFrom int
	// Progress, if not nil, is told a split's name before each split, and returns what
	// to call after each image, from several goroutines, and at the end.
	Progress func(split string) (step, done func())
}

// checker collects the findings of a run.
type checker struct {
	cfg  *config.Config
	task train.Task
	o    Options
	out  []finding.Finding
}

func (c *checker) add(area string, s finding.Severity, fix, format string, args ...any) {
	c.out = append(c.out, finding.New(area, s, fix, format, args...))
}

// Recipe lists the faults of a recipe that Load refused.
func Recipe(err error) []finding.Finding {
	var out []finding.Finding
	for _, e := range each(err) {
		out = append(out, finding.New("recipe", finding.Error, "correct it there; train --explain KEY tells meaning and range", "%v", e))
	}
	return out
}

// each lists the errors that errors.Join joined.
func each(err error) []error {
	if err == nil {
		return nil
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var out []error
		for _, e := range joined.Unwrap() {
			out = append(out, each(e)...)
		}
		return out
	}
	return []error{err}
}

// Check lists everything it finds about a run by the recipe, errors first. The error is
// for a cancelled context.
func Check(ctx context.Context, cfg *config.Config, o Options) ([]finding.Finding, error) {
	c := &checker{cfg: cfg, o: o}
	c.out = o.Machine.Environment()
	var err error
	if c.task, err = train.TaskOf(cfg); err != nil {
		c.add("recipe", finding.Error, "choose a task that train --explain task lists", "%v", err)
		return c.out, nil
	}
	c.threads()
	c.learningRate()
	missing := c.paths()
	var splits [2]train.Split
	for i, val := range []bool{false, true} {
		if splits[i], err = c.split(ctx, val, missing); err != nil {
			return nil, err
		}
	}
	c.compare(splits[0], splits[1])
	c.length(splits[0])
	model := c.model(splits[0])
	c.output(model)
	finding.SortBySeverity(c.out)
	return c.out, nil
}

func (c *checker) threads() {
	m := c.o.Machine
	if n := c.cfg.Threads; n > m.Cores {
		c.add("cores", finding.Warning, fmt.Sprintf("--set threads=%d, or 0 for all cores", m.Cores), "threads is %d (%s) but there are %d cores", n, c.cfg.Source("threads"), m.Cores)
	}
}

// paths looks for the files that the recipe names and returns the keys whose files are
// missing.
func (c *checker) paths() []string {
	var missing []string
	for _, e := range each(c.cfg.CheckPaths()) {
		text := e.Error()
		var fault *config.Error
		if errors.As(e, &fault) {
			key, _, _ := strings.Cut(fault.Problem, ":")
			key, _, _ = strings.Cut(key, " ") // "data.root is empty"
			missing = append(missing, key)
		}
		area, fix := "data", "correct the path, or give the data set's folder with --set data.root=FOLDER"
		if strings.Contains(text, "model.pretrained:") {
			area, fix = "weights", "bin/data download weights fetches torchvision's; or correct the path; or --set 'model.pretrained=\"\"' to start from scratch"
		}
		c.add(area, finding.Error, fix, "%s", text)
	}
	return missing
}

// drawn reports whether a split is of a procedural data set that is not there yet.
func (c *checker) drawn() bool {
	d := c.cfg.Data
	if d.Format != "shapes" {
		return false
	}
	if c.cfg.Task == "segmentation" {
		return !shapes.HasLabels(d.Root, shapes.TrainPart) || !shapes.HasLabels(d.Root, shapes.ValPart)
	}
	_, err := os.Stat(d.Path(d.Val.Annotations))
	return err != nil
}

// split looks at the data of a split and opens it as the run would; nil where that is
// not possible.
func (c *checker) split(ctx context.Context, val bool, missing []string) (train.Split, error) {
	area, section := "training data", "data.train"
	if val {
		area, section = "validation data", "data.val"
	}
	for _, key := range missing {
		if key == "data.root" || strings.HasPrefix(key, section+".") || strings.HasPrefix(key, "data.classification.") {
			return nil, nil // which has been said
		}
	}
	if c.drawn() {
		if !val {
			c.add("data", finding.Note, "nothing to do", "the data set of shapes is not in %s yet: the run draws it", c.cfg.Data.Root)
		}
		return nil, nil
	}
	source, openErr := c.task.Open(c.cfg, val)
	o := data.CheckOptions{}
	most := c.o.HeadersFrom
	if most == 0 {
		most = 20000
	}
	if openErr == nil && source.Len() > most {
		o.HeadersOnly = true
		c.add(area, finding.Note, "bin/data check decodes them all", "%d images: only their headers were read", source.Len())
	}
	done := func() {}
	if c.o.Progress != nil {
		o.Progress, done = c.o.Progress(area)
	}
	found, err := c.task.Check(ctx, c.cfg, val, o)
	done()
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		c.add(area, finding.Error, "look whether data.root, the split and data.format name what is there", "%v", err)
	}
	for _, f := range found {
		f.Area = area
		c.out = append(c.out, f)
	}
	if openErr != nil {
		if err == nil && finding.Count(found, finding.Error) == 0 {
			c.add(area, finding.Error, "as the message says", "%v", openErr)
		}
		return nil, nil
	}
	return source, nil
}

// compare looks at training and validation together.
func (c *checker) compare(tr, val train.Split) {
	if tr == nil || val == nil {
		return
	}
	if d := tr.Classes().Diff(val.Classes()); d != "" {
		c.add("data", finding.Error, "give both files one list of categories", "training and validation data have different categories: %s", d)
	}
	files := map[string]bool{}
	for i := range tr.Len() {
		if p := tr.Item(i).Path; p != "" {
			files[filepath.Clean(p)] = true
		}
	}
	shared := 0
	for i := range val.Len() {
		if files[filepath.Clean(val.Item(i).Path)] {
			shared++
		}
	}
	if shared > 0 {
		c.add("data", finding.Warning, "split the images anew, unless learning them by heart is the test", "%d of %d validation images are trained on: scores say nothing about new images", shared, val.Len())
	}
	if n, b := tr.Len(), c.cfg.Train.Batch*c.cfg.Train.Accumulate; n < b {
		c.add("recipe", finding.Warning, fmt.Sprintf("--set train.batch=%d or less", n), "a step of %d images is larger than the data set of %d: images repeat within it", b, n)
	}
}

// length looks at the schedule over the whole run.
func (c *checker) length(tr train.Split) {
	steps := c.cfg.Train.Steps
	if steps == 0 && tr != nil {
		steps = c.cfg.Train.TotalSteps((tr.Len() + c.cfg.Train.Batch - 1) / c.cfg.Train.Batch)
	}
	if steps == 0 {
		return
	}
	s := c.cfg.Schedule
	if n := len(s.Milestones); s.Name == "multistep" && n > 0 && s.Milestones[0] >= steps {
		c.add("recipe", finding.Warning, fmt.Sprintf("--set 'schedule.milestones=[%d, %d]', or --set schedule.name=cosine", steps*2/3, steps*8/9),
			"schedule.milestones %v (%s) lie behind the last of %d steps: the learning rate never falls", s.Milestones, c.cfg.Source("schedule.milestones"), steps)
	}
	if s.WarmupSteps >= steps {
		c.add("recipe", finding.Warning, fmt.Sprintf("--set schedule.warmup_steps=%d", steps/20), "schedule.warmup_steps %d (%s) do not end within %d steps", s.WarmupSteps, c.cfg.Source("schedule.warmup_steps"), steps)
	}
}

// learningRate compares the batch with the one that the learning rate was written for:
// that of the file which states the rate.
func (c *checker) learningRate() {
	cfg := c.cfg
	number := func(key string) int {
		n, err := strconv.Atoi(cfg.AsOf(key, "optim.lr").Value)
		if err != nil || n < 1 {
			return 1
		}
		return n
	}
	was, now := number("train.batch")*number("train.accumulate"), cfg.Train.Batch*cfg.Train.Accumulate
	lr := cfg.Optim.LR
	given := cfg.Given("optim.lr")
	from := given[len(given)-1].From
	if was != now {
		scaled := lr * float64(now) / float64(was)
		fix := fmt.Sprintf("linear scaling: --set optim.lr=%.3g", scaled)
		if cfg.Optim.Name == "adamw" {
			fix = fmt.Sprintf("between --set optim.lr=%.3g (linear scaling) and the same rate, which AdamW often bears", scaled)
		}
		if passes := was / cfg.Train.Batch; was%cfg.Train.Batch == 0 && passes > 1 && now < was {
			fix += fmt.Sprintf("; or --set train.accumulate=%d, which keeps %d images a step", passes, was)
		}
		c.add("recipe", finding.Warning, fix, "optim.lr %g was written for %d images a step (%s); this run has %d (train.batch %d x train.accumulate %d, %s)",
			lr, was, from, now, cfg.Train.Batch, cfg.Train.Accumulate, cfg.Source("train.batch"))
	}
	if rule := cfg.AsOf("optim.name", "optim.lr").Value; rule != "" && rule != cfg.Optim.Name {
		fix := "AdamW's rates are about a tenth or less of SGD's: --set optim.lr=0.001 or 0.0001"
		if cfg.Optim.Name == "sgd" {
			fix = "SGD's rates are about ten times AdamW's: --set optim.lr=0.01 or so"
		}
		c.add("recipe", finding.Warning, fix, "optim.lr %g was written for %s (%s); this run has %s (%s)", lr, rule, from, cfg.Optim.Name, cfg.Source("optim.name"))
	}
	if cfg.Task == "detection" && cfg.Model.Norm == "train" && cfg.Train.Batch < 4 {
		c.add("recipe", finding.Warning, "--set model.norm=frozen with pretrained weights, or a larger train.batch (accumulating does not help batch norms)",
			"batch norms take their statistics from %d images (model.norm train, %s): they are noisy", cfg.Train.Batch, cfg.Source("train.batch"))
	}
}

// model builds the network, and compares its memory with what is free and its
// variables with the pretrained weights; nil where it cannot be built.
func (c *checker) model(tr train.Split) *train.ModelCheck {
	cfg := c.cfg
	dev, err := c.o.Open(train.Threads(cfg))
	if err != nil {
		c.add("machine", finding.Error, "bin/doctor looks at the machine", "%v", err)
		return nil
	}
	defer dev.Close()
	// A missing file has been told.
	whole := *cfg
	if _, err := os.Stat(cfg.Model.Pretrained); err != nil {
		whole.Model.Pretrained = ""
	}
	var classes train.Classes
	if tr != nil {
		classes = tr.Classes()
	}
	m, err := train.CheckModel(&whole, dev, classes)
	if err != nil {
		c.add("recipe", finding.Error, "as the message says; train --explain KEY tells what else is possible", "%v", err)
		return nil
	}
	c.memory(m)
	c.weights(m)
	return m
}

func (c *checker) memory(m *train.ModelCheck) {
	cfg, free := c.cfg, c.o.Machine.Free()
	if m.AtOnce != nil {
		c.add("memory", finding.Note, "nothing to do; manpp.concurrency=1 keeps to one", "manpp.concurrency is auto: up to %d blocks at once, planned with %s; the run leaves out what does not fit", m.AtOnce.Lanes, progress.Bytes(m.AtOnce.Total()))
	}
	need := m.Memory.Total() + m.Evaluation + m.Prefetch
	if cfg.Train.WeightEMA > 0 {
		need += 3 * m.Memory.Parameters
	}
	what := fmt.Sprintf("a training step of %d images of %dx%d is planned with %s, evaluations with %s more, decoded images with up to %s",
		m.Input[0], m.Input[1], m.Input[2], progress.Bytes(m.Memory.Total()), progress.Bytes(m.Evaluation), progress.Bytes(m.Prefetch))
	if free == 0 {
		c.add("memory", finding.Note, "", "%s", what)
		return
	}
	fix := fmt.Sprintf("fewer images a pass (train.batch, with train.accumulate for the rest), or smaller ones; --memory-limit %dMB cuts into the fewest blocks that fit; data.prefetch=1", max(1, free*8/10/1e6))
	if !m.Local {
		fix = "fewer images a pass (train.batch, with train.accumulate for the rest), or smaller ones; --set manpp.strategy=manpp trains block by block; data.prefetch=1"
	}
	if cfg.MANPP.Recompute == "norms" {
		fix += "; manpp.recompute=convs"
	}
	if cfg.Precision == "f32" {
		fix += "; precision=bf16"
	}
	switch {
	case need > free:
		c.add("memory", finding.Error, fix, "%s, but %s are free: the run would be killed or swap", what, progress.Bytes(free))
	case need > free/10*8:
		c.add("memory", finding.Warning, fix, "%s; %s are free: the rest of the program may not find room", what, progress.Bytes(free))
	default:
		c.add("memory", finding.Note, "nothing to do", "%s; %s are free", what, progress.Bytes(free))
	}
}

func (c *checker) weights(m *train.ModelCheck) {
	if m.PretrainedErr != nil {
		c.add("weights", finding.Error, "name the weights of this backbone (model.backbone), or less of them with model.pretrained_share", "%v", m.PretrainedErr)
		return
	}
	for _, note := range m.Notes {
		c.add("weights", finding.Warning, "--set data.classification.normalize to what the weights were trained with (imagenet, cifar, half)", "%s", note)
	}
	r := m.Pretrained
	if r == nil {
		return
	}
	if n := len(r.Missing) + len(r.Mismatched); n > 0 {
		examples := append([]string{}, r.Missing...)
		for _, t := range r.Mismatched {
			examples = append(examples, fmt.Sprintf("%s wants %v, file has %v", t.Name, t.Want, t.Have))
		}
		c.out = append(c.out, finding.Finding{Area: "weights", Severity: finding.Note, Kind: "variables that stay as drawn, as the file has none that fit", Count: n,
			Examples: examples[:min(len(examples), 5)], Fix: "nothing to do where these are heads for other classes"})
	}
}

// output looks at the folder that the run writes to.
func (c *checker) output(m *train.ModelCheck) {
	cfg := c.cfg
	last := filepath.Join(cfg.Output, "checkpoints", weights.LastName)
	_, err := os.Stat(last)
	switch {
	case c.o.ResumeAuto:
	case err == nil && !c.o.Resume:
		c.add("output", finding.Error, "--resume to go on with it, or another --output", "%s holds checkpoints of an earlier run", cfg.Output)
	case err != nil && c.o.Resume:
		c.add("output", finding.Error, "leave out --resume, or name the run's --output", "nothing to resume: no checkpoint in %s", filepath.Dir(last))
	}
	c.out = append(c.out, doctor.DiskFindings(cfg.Output)...)
	d, err := doctor.DiskOf(cfg.Output)
	if m == nil || err != nil {
		return
	}
	// Those to keep, the best and the last, and one while it is written.
	n := int64(cfg.Train.Keep + 3)
	if need := n * m.Checkpoint; need > d.Free {
		c.add("disk", finding.Error, "--set train.keep=1, make room, or another --output", "up to %d checkpoints of %s need %s, but %s are free at %s (train.keep %d, %s)",
			n, progress.Bytes(m.Checkpoint), progress.Bytes(need), progress.Bytes(d.Free), d.Folder, cfg.Train.Keep, cfg.Source("train.keep"))
	}
}
