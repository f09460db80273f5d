package train

import (
	"context"
	"errors"
	"fmt"

	"manvision/config"
	"manvision/data"
	"manvision/data/cityscapes"
	"manvision/data/classes"
	"manvision/data/coco"
	"manvision/data/labelmap"
	"manvision/data/shapes"
	"manvision/device"
	"manvision/internal/finding"
	"manvision/manpp"
	"manvision/weights"
)

// Check implements Task. What the recipe gives leave to pass over is a warning.
func (detectionTask) Check(ctx context.Context, cfg *config.Config, val bool, o data.CheckOptions) ([]data.Finding, error) {
	d, s := cfg.Data, cfg.Data.Train
	if val {
		s = d.Val
	}
	r, err := data.CheckDetection(ctx, d.Path(s.Annotations), d.Path(s.Images), o)
	var bad *coco.InputError
	if errors.As(err, &bad) {
		return []data.Finding{{Severity: finding.Error, Kind: "annotation file that cannot be used", Count: 1, Examples: []string{bad.Error()},
			Fix: "correct the file as the line says; more may be found then"}}, nil
	}
	if err != nil {
		return nil, err
	}
	for i := range r.Findings {
		// Evaluation compares with boxes as they are written.
		if f := &r.Findings[i]; f.Kind == "bad box" && (val || d.SkipBadBoxes) {
			f.Severity = finding.Warning
		}
	}
	return pardon(cfg, r.Findings), nil
}

// Check implements Task.
func (segmentationTask) Check(ctx context.Context, cfg *config.Config, val bool, o data.CheckOptions) ([]data.Finding, error) {
	d, s := cfg.Data, cfg.Data.Train
	if val {
		s = d.Val
	}
	c := labelmap.CheckOptions{HeadersOnly: o.HeadersOnly, Examples: o.Examples, Workers: o.Workers, Progress: o.Progress}
	folders := func(images, labels string, list []labelmap.Class, ignore int) (*labelmap.Report, error) {
		set, err := labelmap.ScanFolders(images, labels, list, ignore)
		if err != nil {
			return nil, err
		}
		return labelmap.Check(ctx, set, c)
	}
	var r *labelmap.Report
	var err error
	switch d.Format {
	case "cityscapes":
		r, err = cityscapes.Check(ctx, d.Root, s.Split, cityscapes.Options{Labels: d.Segmentation.Labels}, c)
	case "folders":
		r, err = folders(d.Path(s.Images), d.Path(s.Annotations), palette(d.Segmentation.Classes), d.Segmentation.Ignore)
	default: // shapes
		part := shapes.TrainPart
		if val {
			part = shapes.ValPart
		}
		r, err = folders(shapes.ImageDir(d.Root, part), shapes.LabelDir(d.Root, part), shapes.LabelClasses(), -1)
	}
	var bad *labelmap.InputError
	if errors.As(err, &bad) {
		return []data.Finding{{Severity: finding.Error, Kind: string(bad.Kind), Count: 1, Examples: []string{bad.Error()}, Fix: labelmap.Remedy(string(bad.Kind))}}, nil
	}
	if err != nil {
		return nil, err
	}
	return pardon(cfg, r.Findings), nil
}

// Check implements Task.
func (t classificationTask) Check(ctx context.Context, cfg *config.Config, val bool, o data.CheckOptions) ([]data.Finding, error) {
	set, err := t.scan(cfg, val)
	var bad *classes.InputError
	if errors.As(err, &bad) {
		set, err = &classes.Set{Source: bad.Path, Problems: []*classes.InputError{bad}}, nil
	}
	if err != nil {
		return nil, err
	}
	r, err := data.CheckClassification(ctx, set, o)
	if err != nil {
		return nil, err
	}
	return pardon(cfg, r.Findings), nil
}

// pardon makes warnings of errors that a run by the recipe passes over.
func pardon(cfg *config.Config, found []data.Finding) []data.Finding {
	for i := range found {
		f := &found[i]
		if cfg.Data.OnBadImage == "skip" && f.Severity == finding.Error && (f.Kind == "broken image" || f.Kind == "missing image") {
			f.Severity = finding.Warning
		}
	}
	finding.Sort(found)
	return found
}

// ModelCheck is what a recipe's model needs and how it fits its weights.
type ModelCheck struct {
	Input  [3]int       // images, height, width of the largest step
	Memory manpp.Memory // of it
	// Evaluation is what evaluations between steps add, as in PlanOf.
	Evaluation int64
	// AtOnce is the memory with as many blocks at once as manpp.concurrency auto may choose,
	// nil where that is one or the recipe has a number.
	AtOnce *manpp.Memory
	// Prefetch bounds the decoded images that wait, in bytes.
	Prefetch int64
	// Checkpoint is about the size of one on disk, in bytes.
	Checkpoint int64
	// Blocks is the number of blocks, Local whether they train by themselves.
	Blocks int
	Local  bool

	// Pretrained tells what would be loaded from model.pretrained, nil where the recipe
	// names none or PretrainedErr says why it cannot be used. Notes say in what the
	// recipe contradicts the weights.
	Pretrained    *weights.Report
	PretrainedErr error
	Notes         []string
}

// CheckModel builds the model of a recipe, plans its largest step and compares it with
// the pretrained weights. Nothing is allocated on the device. classes may be nil: the
// number that the recipe tells, else 80, stands for them.
func CheckModel(cfg *config.Config, dev device.Device, classes Classes) (*ModelCheck, error) {
	task, err := TaskOf(cfg)
	if err != nil {
		return nil, err
	}
	if classes == nil {
		n, err := task.CountClasses(cfg)
		if err != nil || n == 0 {
			n = 80
		}
		classes = task.Numbered(n)
	}
	m, err := task.Build(cfg, dev, classes)
	if err != nil {
		return nil, err
	}
	c := &ModelCheck{}
	c.Input[0], c.Input[1], c.Input[2] = PlanSize(cfg)
	if c.Memory, c.Evaluation, err = foresee(m, c.Input[0], c.Input[1], c.Input[2]); err != nil {
		return nil, fmt.Errorf("a step of %d images of %dx%d: %w", c.Input[0], c.Input[1], c.Input[2], err)
	}
	net := m.Net()
	if numbers, _ := atOnce(cfg, dev, net.Model.Blocks()); cfg.MANPP.Concurrency == config.Auto && len(numbers) > 1 {
		p, _, err := planOf(cfg.WithConcurrency(numbers[len(numbers)-1], ""), dev, classes.Len(), c.Input[0], c.Input[1], c.Input[2])
		if err != nil {
			return nil, err
		}
		c.AtOnce = &p.Memory
	}
	c.Blocks, c.Local = net.Model.Blocks(), net.Model.Strategy.Local
	c.Checkpoint = c.Memory.Parameters + c.Memory.State
	if cfg.Train.WeightEMA > 0 {
		c.Checkpoint += c.Memory.Parameters
	}
	l := task.Loader(cfg, true)
	l.Batch = cfg.Train.Batch
	c.Prefetch = prefetchBytes(l, &cfg.Data)
	if path := cfg.Model.Pretrained; path != "" {
		c.Pretrained, c.Notes, c.PretrainedErr = net.FitPretrained(path)
	}
	return c, nil
}
