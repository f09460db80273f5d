package train

import (
	"context"
	"errors"
	"fmt"
	"io"

	"manvision/data"
	"manvision/data/coco"
	"manvision/detection"
	"manvision/detection/cocoeval"
	"manvision/exec"
)

// Predictor runs a detector over batches. Programs are compiled once an input
// size; the least recently used is dropped beyond a bound.
type Predictor struct {
	// Skipped are the bad images that the last Detect left out.
	Skipped []data.Skip

	d      *Detector
	post   *detection.PostProcessor
	input  *exec.Arena
	arena  *exec.Arena
	sizes  map[[3]int]*detection.Inference
	recent [][3]int
	logits []float32
	deltas []float32
}

// maxPrograms bounds the input sizes that a Predictor keeps compiled.
const maxPrograms = 8

// NewPredictor returns a predictor with the recipe's thresholds that works in the
// given arenas (nil: own ones).
func NewPredictor(d *Detector, input, arena *exec.Arena) (*Predictor, error) {
	e := d.Config.Eval
	post, err := detection.NewPostProcessor(detection.PostConfig{ScoreThreshold: e.ScoreThreshold, TopK: e.PreNMS, NMSIoU: e.NMSIoU, MaxDetections: e.MaxDetections})
	if err != nil {
		return nil, err
	}
	dev := d.Store.Device()
	if input == nil {
		input = exec.NewArena(dev)
	}
	if arena == nil {
		arena = exec.NewArena(dev)
	}
	return &Predictor{d: d, post: post, input: input, arena: arena, sizes: map[[3]int]*detection.Inference{}}, nil
}

// Program returns the program for images [n,h,w,3].
func (p *Predictor) Program(n, h, w int) (*detection.Inference, error) {
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
	inf, err := p.d.Net.NewInference(p.d.Model, n, h, w, p.input, p.arena)
	if err != nil {
		return nil, err
	}
	p.sizes[key] = inf
	p.recent = append(p.recent, key)
	return inf, nil
}

// Batch detects objects in a batch: one list per sample, in original pixels.
func (p *Predictor) Batch(b *data.Batch) ([][]detection.Detection, error) {
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

// Close frees the programs.
func (p *Predictor) Close() {
	for _, s := range p.sizes {
		s.Close()
	}
	p.sizes, p.recent = map[[3]int]*detection.Inference{}, nil
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

// Evaluate detects on every image of the source, whose annotations have been read
// as written (coco.Options.AsIs), and scores the result as pycocotools does.
// progress, if not nil, is told the images done.
func Evaluate(ctx context.Context, p *Predictor, src *data.CocoDetection, progress func(done, total int)) (*cocoeval.Summary, []coco.Result, error) {
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
	if err == nil && len(p.Skipped) > 0 {
		s.Warnings = append(s.Warnings, fmt.Sprintf("%d images could not be read and count as images without detections, the first: %v", len(p.Skipped), p.Skipped[0].Err))
	}
	return s, all, err
}

// Detect detects objects on every image of src once and hands each image over with
// what was found, in original pixels. The preparation of the images is the
// recipe's, without augmentation. Where the recipe skips bad images they end in
// p.Skipped, otherwise the first ends the work with an *augment.ImageError.
func (p *Predictor) Detect(ctx context.Context, src data.Source, each func(s *data.Sample, found []detection.Detection) error) error {
	p.Skipped = nil
	loader, err := evalLoader(p.d.Config, src)
	if err != nil {
		return err
	}
	defer loader.Close()
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		b, err := loader.Next()
		if errors.Is(err, io.EOF) {
			p.Skipped = loader.Stats().Skipped
			return nil
		}
		if err != nil {
			return err
		}
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
		loader.Recycle(b)
	}
}
