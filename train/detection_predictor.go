package train

import (
	"context"
	"fmt"

	"manvision/data"
	"manvision/data/coco"
	"manvision/detection"
	"manvision/detection/cocoeval"
	"manvision/exec"
)

// DetectionPredictor runs a detector over batches. Programs are compiled once an
// input size; the least recently used is dropped beyond a bound.
type DetectionPredictor struct {
	// Skipped are the bad images that the last Detect left out.
	Skipped []data.Skip

	d      *Detector
	post   *detection.PostProcessor
	input  *exec.Arena
	arena  *exec.Arena
	own    []*exec.Arena // freed by Close
	sizes  map[[3]int]*detection.Inference
	recent [][3]int
	logits []float32
	deltas []float32
}

// maxPrograms bounds the input sizes that a DetectionPredictor keeps compiled.
const maxPrograms = 8

// NewDetectionPredictor returns a predictor with the recipe's thresholds that works in the
// given arenas (nil: own ones).
func NewDetectionPredictor(d *Detector, input, arena *exec.Arena) (*DetectionPredictor, error) {
	post, err := detection.NewPostProcessor(d.PostConfig())
	if err != nil {
		return nil, err
	}
	dev := d.Store.Device()
	p := &DetectionPredictor{d: d, post: post, input: input, arena: arena, sizes: map[[3]int]*detection.Inference{}}
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

// PostConfig is how the recipe's eval makes detections of raw outputs.
func (d *Detector) PostConfig() detection.PostConfig {
	e := d.Config.Eval
	return detection.PostConfig{ScoreThreshold: e.ScoreThreshold, TopK: e.PreNMS, NMSIoU: e.NMSIoU, MaxDetections: e.MaxDetections}
}

// Program returns the program for images [n,h,w,3].
func (p *DetectionPredictor) Program(n, h, w int) (*detection.Inference, error) {
	key := [3]int{n, h, w}
	for i, k := range p.recent {
		if k == key {
			p.recent = append(append(p.recent[:i:i], p.recent[i+1:]...), key)
			return p.sizes[key], nil
		}
	}
	if len(p.recent) >= maxPrograms {
		p.sizes[p.recent[0]].Close()
		delete(p.sizes, p.recent[0])
		p.recent = p.recent[1:]
	}
	inf, err := p.d.RetinaNet.NewInference(p.d.Model, n, h, w, p.input, p.arena)
	if err != nil {
		return nil, err
	}
	p.sizes[key] = inf
	p.recent = append(p.recent, key)
	return inf, nil
}

// Batch detects objects in a batch: one list per sample, in original pixels.
func (p *DetectionPredictor) Batch(b *data.Batch) ([][]detection.Detection, error) {
	inf, err := p.Program(b.N, b.H, b.W)
	if err != nil {
		return nil, err
	}
	if err := inf.Input.Upload(b.Images); err != nil {
		return nil, err
	}
	a := inf.Grid.Len()
	p.logits = grow(p.logits, b.N*a*inf.Classes)
	p.deltas = grow(p.deltas, b.N*a*4)
	if err := inf.Run(p.logits, p.deltas); err != nil {
		return nil, err
	}
	sizes := make([]detection.ImageSize, len(b.Samples))
	for i, s := range b.Samples {
		sizes[i] = detection.ImageSize{Width: s.InW, Height: s.InH, OrigWidth: s.Width, OrigHeight: s.Height}
	}
	n := len(sizes)
	out, err := p.post.Batch(inf.Grid, inf.Classes, p.logits[:n*a*inf.Classes], p.deltas[:n*a*4], sizes)
	if err != nil {
		return nil, fmt.Errorf("images from %s: %w", b.Samples[0].File, err)
	}
	return out, nil
}

func grow(s []float32, n int) []float32 {
	if cap(s) < n {
		return make([]float32, n)
	}
	return s[:n]
}

// Close implements Predictor.
func (p *DetectionPredictor) Close() {
	for _, s := range p.sizes {
		s.Close()
	}
	p.sizes, p.recent = map[[3]int]*detection.Inference{}, nil
	for _, a := range p.own {
		a.Free()
	}
}

// Results turns a sample's detections into COCO results.
func Results(ids *coco.IDMap, s *data.Sample, found []detection.Detection) []coco.Result {
	out := make([]coco.Result, len(found))
	for i, f := range found {
		b := f.Box
		out[i] = coco.Result{ImageID: s.ImageID, CategoryID: ids.CategoryID(f.Label), Score: float64(f.Score),
			BBox: [4]float64{float64(b[0]), float64(b[1]), float64(b[2] - b[0]), float64(b[3] - b[1])}}
	}
	return out
}

// Warm implements Predictor.
func (p *DetectionPredictor) Warm(val Split) error {
	_, h, w := PlanSize(p.d.Config)
	n := 1
	if val != nil {
		n = p.d.Config.Eval.Batch
	}
	return p.Foresee(n, h, w)
}

// Foresee implements Predictor.
func (p *DetectionPredictor) Foresee(n, h, w int) error {
	_, err := p.Program(n, h, w)
	return err
}

// Score implements Predictor; val is a *BoxSplit.
func (p *DetectionPredictor) Score(ctx context.Context, val Split, done func(done, total int)) (*Summary, error) {
	s, _, err := p.Evaluate(ctx, val, done)
	return s, err
}

// Evaluate is Score that also returns all detections as COCO results.
func (p *DetectionPredictor) Evaluate(ctx context.Context, val Split, progress func(done, total int)) (*Summary, []coco.Result, error) {
	src, ok := val.(*BoxSplit)
	if !ok {
		return nil, nil, fmt.Errorf("detections are scored against boxes, got %T", val)
	}
	eval, err := cocoeval.New(src.Dataset(), cocoeval.Options{})
	if err != nil {
		return nil, nil, err
	}
	var all []coco.Result
	done := 0
	err = p.Detect(ctx, src, func(s *data.Sample, found []detection.Detection) error {
		from := len(all)
		all = append(all, Results(p.d.IDs, s, found)...)
		done++
		if progress != nil {
			progress(done, src.Len())
		}
		return eval.Process(all[from:])
	})
	if err != nil {
		return nil, nil, err
	}
	s, err := eval.Evaluate()
	if err != nil {
		return nil, all, err
	}
	if len(p.Skipped) > 0 {
		s.Warnings = append(s.Warnings, fmt.Sprintf("%d images could not be read and count as images without detections, the first: %v", len(p.Skipped), p.Skipped[0].Err))
	}
	return detectionSummary(s), all, nil
}

func detectionSummary(s *cocoeval.Summary) *Summary {
	out := &Summary{Images: s.Images, Rank: "AP", Headline: []string{"AP", "AP50", "AP75"}, Warnings: s.Warnings, Detail: s}
	for _, m := range s.Metrics() {
		out.Metrics = append(out.Metrics, Metric{m.Key, m.Value})
	}
	return out
}

// Detect detects objects on every image of src once and hands each image over with
// what was found, in original pixels. The preparation of the images is the
// recipe's, without augmentation. Where the recipe skips bad images they end in
// p.Skipped, otherwise the first ends the work with an *augment.ImageError.
func (p *DetectionPredictor) Detect(ctx context.Context, src data.Source, each func(s *data.Sample, found []detection.Detection) error) error {
	var err error
	p.Skipped, err = eachBatch(ctx, p.d.Config, src, func(b *data.Batch) error {
		found, err := p.Batch(b)
		if err != nil {
			return err
		}
		for i := range b.Samples {
			if b.Samples[i].Replaces >= 0 { // stands in for a bad image
				continue
			}
			if err := each(&b.Samples[i], found[i]); err != nil {
				return err
			}
		}
		return nil
	})
	return err
}
