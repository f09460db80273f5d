package train

import (
	"context"
	"errors"
	"fmt"

	"manvision/config"
	"manvision/data"
	"manvision/data/augment"
	"manvision/data/labelmap"
	"manvision/exec"
	"manvision/segmentation"
	"manvision/segmentation/iou"
)

// SegmentationPredictor labels whole pictures as a recipe's eval.segmentation says.
type SegmentationPredictor struct {
	// Skipped are the bad images that the last Segment left out.
	Skipped []data.Skip

	s      *Segmenter
	view   *segmentation.Viewer
	render *augment.Renderer
	own    []*exec.Arena // freed by Close
	labels []uint8
	truth  []uint8
}

// NewSegmentationPredictor returns a predictor that works in the given arenas (nil:
// own ones).
func NewSegmentationPredictor(s *Segmenter, input, arena *exec.Arena) (*SegmentationPredictor, error) {
	o, err := viewOptions(s.Config.Eval.Segmentation)
	if err != nil {
		return nil, err
	}
	p := &SegmentationPredictor{s: s}
	dev := s.Store.Device()
	if input == nil {
		input = exec.NewArena(dev)
		p.own = append(p.own, input)
	}
	if arena == nil {
		arena = exec.NewArena(dev)
		p.own = append(p.own, arena)
	}
	if p.view, err = segmentation.NewViewer(s.Segmentation, s.Model, o, input, arena); err != nil {
		return nil, fmt.Errorf("eval.segmentation: %w", err)
	}
	if p.render, err = augment.NewRenderer(augment.Config{}); err != nil {
		p.view.Close()
		return nil, err
	}
	return p, nil
}

// viewOptions reads a recipe's eval.segmentation.
func viewOptions(v config.View) (segmentation.ViewOptions, error) {
	o := segmentation.ViewOptions{Scales: v.Scales, Flip: v.Flip, Resize: fit(v.Size)}
	var err error
	if o.Mode, err = segmentation.ParseMode(v.Mode); err != nil {
		return o, err
	}
	copy(o.Window[:], v.Window)
	copy(o.Stride[:], v.Stride)
	return o, nil
}

// Warm implements Predictor.
func (p *SegmentationPredictor) Warm(val Split) error {
	_, h, w := PlanSize(p.s.Config)
	if val != nil {
		h, w = 0, 0
		for i := range val.Len() {
			if iw, ih := val.Size(i); iw*ih > w*h {
				w, h = iw, ih
			}
		}
	}
	return p.Foresee(1, h, w)
}

// Foresee implements Predictor; eval.segmentation says how many parts of a picture are
// looked at together.
func (p *SegmentationPredictor) Foresee(_, h, w int) error {
	if _, err := p.view.Plan(w, h); err != nil {
		return fmt.Errorf("evaluation of an image of %dx%d: %w", w, h, err)
	}
	return nil
}

// Segment labels every image of src once and hands out the training id of every
// pixel, [h*w] in the image's own size, which are valid until each returns. Where
// the recipe skips bad images they end in p.Skipped, otherwise the first ends the
// work with an *augment.ImageError.
func (p *SegmentationPredictor) Segment(ctx context.Context, src data.Source, each func(i int, labels []uint8) error) error {
	p.Skipped = nil
	for i := range src.Len() {
		if err := ctx.Err(); err != nil {
			return err
		}
		err := p.segment(ctx, src, i, each)
		var image *augment.ImageError
		var label *labelmap.InputError
		if bad := errors.As(err, &image) || errors.As(err, &label); bad && p.s.Config.Data.OnBadImage == "skip" {
			p.Skipped = append(p.Skipped, data.Skip{Index: i, Err: err})
			continue
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (p *SegmentationPredictor) segment(ctx context.Context, src data.Source, i int, each func(i int, labels []uint8) error) error {
	item := src.Item(i)
	w, h, err := item.Open(p.render)
	if err != nil {
		return err
	}
	if p.labels, err = p.view.Labels(ctx, segmentation.Opened(p.render, w, h), p.labels); err != nil {
		return fmt.Errorf("%s: %w", item.Path, err)
	}
	return each(i, p.labels)
}

// Score implements Predictor; val is a *LabelSplit.
func (p *SegmentationPredictor) Score(ctx context.Context, val Split, progress func(done, total int)) (*Summary, error) {
	src, ok := val.(*LabelSplit)
	if !ok {
		return nil, fmt.Errorf("label maps are scored against label maps, got %T", val)
	}
	eval := iou.New(p.s.Labels.List)
	done := 0
	err := p.Segment(ctx, src, func(i int, labels []uint8) error {
		var err error
		if p.truth, err = src.Labels(i, p.truth); err != nil {
			return err
		}
		if err := eval.Process(p.truth, labels); err != nil {
			return fmt.Errorf("%s: %w", src.Item(i).LabelPath, err)
		}
		if done++; progress != nil {
			progress(done, src.Len())
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	s := eval.Evaluate()
	out := &Summary{Images: done, Rank: "mIoU", Headline: []string{"mIoU", "pixel_accuracy", "mean_accuracy"}, Detail: s}
	for _, m := range s.Metrics() {
		out.Metrics = append(out.Metrics, Metric{m.Key, m.Value})
	}
	if n := len(p.Skipped); n > 0 {
		out.Warnings = append(out.Warnings, fmt.Sprintf("%d images could not be read and do not count, the first: %v", n, p.Skipped[0].Err))
	}
	return out, nil
}

// Close implements Predictor.
func (p *SegmentationPredictor) Close() {
	p.view.Close()
	p.render.Close()
	for _, a := range p.own {
		a.Free()
	}
}
