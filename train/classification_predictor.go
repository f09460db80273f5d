package train

import (
	"context"
	"fmt"

	"manvision/classification"
	"manvision/classification/topk"
	"manvision/data"
	"manvision/exec"
)

// ClassificationPredictor runs a classifier over batches as a recipe's evaluation
// prepares them, all of one input size.
type ClassificationPredictor struct {
	// Skipped are the bad images that the last Classify left out.
	Skipped []data.Skip

	c       *Classifier
	input   *exec.Arena
	arena   *exec.Arena
	own     []*exec.Arena // freed by Close
	program *classification.Inference
	n, h, w int // of program
	logits  []float32
}

// NewClassificationPredictor returns a predictor that works in the given arenas (nil:
// own ones).
func NewClassificationPredictor(c *Classifier, input, arena *exec.Arena) (*ClassificationPredictor, error) {
	p := &ClassificationPredictor{c: c, input: input, arena: arena}
	dev := c.Store.Device()
	if input == nil {
		p.input = exec.NewArena(dev)
		p.own = append(p.own, p.input)
	}
	if arena == nil {
		p.arena = exec.NewArena(dev)
		p.own = append(p.own, p.arena)
	}
	return p, nil
}

// compile makes the program for images [n,h,w,3] if it is not there.
func (p *ClassificationPredictor) compile(n, h, w int) error {
	if p.program != nil && p.n == n && p.h == h && p.w == w {
		return nil
	}
	if p.program != nil {
		p.program.Close()
		p.program = nil
	}
	var err error
	if p.program, err = p.c.Classification.NewInference(p.c.Model, n, h, w, p.input, p.arena); err != nil {
		return err
	}
	p.n, p.h, p.w = n, h, w
	return nil
}

// Warm implements Predictor.
func (p *ClassificationPredictor) Warm(val Split) error {
	_, h, w := PlanSize(p.c.Config)
	n := 1
	if val != nil {
		n = min(p.c.Config.Eval.Batch, max(val.Len(), 1))
	}
	return p.compile(n, h, w)
}

// Foresee implements Predictor.
func (p *ClassificationPredictor) Foresee(n, h, w int) error { return p.compile(n, h, w) }

// Batch returns the logits of a batch's samples, [samples,classes], valid until the
// next call.
func (p *ClassificationPredictor) Batch(b *data.Batch) ([]float32, error) {
	if err := p.compile(b.N, b.H, b.W); err != nil {
		return nil, err
	}
	if err := p.program.Input.Upload(b.Images); err != nil {
		return nil, err
	}
	p.logits = grow(p.logits, b.N*p.program.Classes)
	if err := p.program.Run(p.logits); err != nil {
		return nil, err
	}
	return p.logits[:len(b.Samples)*p.program.Classes], nil
}

// Classify runs every image of src once and hands out batches with their logits
// [samples,classes], which are valid until each returns. Where the recipe skips bad
// images, those left out end in p.Skipped and never reach each; otherwise the first
// ends the work with an *augment.ImageError.
func (p *ClassificationPredictor) Classify(ctx context.Context, src data.Source, each func(b *data.Batch, logits []float32) error) error {
	var err error
	p.Skipped, err = eachBatch(ctx, p.c.Config, src, func(b *data.Batch) error {
		logits, err := p.Batch(b)
		if err != nil {
			return err
		}
		return each(b, logits)
	})
	return err
}

// Score implements Predictor; val is a *ClassSplit.
func (p *ClassificationPredictor) Score(ctx context.Context, val Split, done func(done, total int)) (*Summary, error) {
	src, ok := val.(*ClassSplit)
	if !ok {
		return nil, fmt.Errorf("classes are scored against classes, got %T", val)
	}
	names := p.c.Labels.Names
	eval := topk.New(names)
	images := 0
	var rows []float32
	var labels []int32
	err := p.Classify(ctx, src, func(b *data.Batch, logits []float32) error {
		rows, labels = rows[:0], labels[:0]
		for i, s := range b.Samples {
			if s.Replaces >= 0 { // stands in for an image that cannot be read, and has its own turn
				continue
			}
			rows = append(rows, logits[i*len(names):][:len(names)]...)
			labels = append(labels, s.Class)
		}
		if err := eval.Process(rows, labels); err != nil {
			return fmt.Errorf("images from %s: %w", b.Samples[0].File, err)
		}
		images += len(labels)
		if done != nil {
			done(images, src.Len())
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	s := eval.Evaluate()
	out := &Summary{Images: images, Rank: "top1", Headline: []string{"top1", "top5", "cross_entropy"}, Detail: s}
	for _, m := range s.Metrics() {
		out.Metrics = append(out.Metrics, Metric{m.Key, m.Value})
	}
	if n := len(p.Skipped); n > 0 {
		out.Warnings = append(out.Warnings, fmt.Sprintf("%d images could not be read and do not count, the first: %v", n, p.Skipped[0].Err))
	}
	return out, nil
}

// Close implements Predictor.
func (p *ClassificationPredictor) Close() {
	if p.program != nil {
		p.program.Close()
	}
	for _, a := range p.own {
		a.Free()
	}
}
