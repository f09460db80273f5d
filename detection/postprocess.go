package detection

import (
	"cmp"
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync"
)

// Detection is one found object.
type Detection struct {
	Box   [4]float32 // x1 y1 x2 y2 in pixels of the original image
	Label int        // class, 0 … C-1
	Score float32    // probability, 0 … 1
}

// PostConfig says how raw predictions become detections. DefaultPost gives
// RetinaNet's values.
type PostConfig struct {
	ScoreThreshold float64 // only scores above it count, 0 … 1
	TopK           int     // candidates per pyramid level before suppression, 0: all
	NMSIoU         float64 // suppression above this IoU, 0 … 1
	MaxDetections  int     // per image, 0: all
	Workers        int     // images at a time in Batch, 0: one per CPU
	Coder          BoxCoder
}

// DefaultPost is RetinaNet's post-processing as torchvision and detectron2 do
// it: score threshold 0.05, 1000 candidates a level, IoU 0.5, 100 detections.
func DefaultPost() PostConfig {
	return PostConfig{ScoreThreshold: 0.05, TopK: 1000, NMSIoU: 0.5, MaxDetections: 100}
}

// Validate reports the first value out of range.
func (c PostConfig) Validate() error {
	switch {
	case !(c.ScoreThreshold >= 0 && c.ScoreThreshold < 1):
		return fmt.Errorf("detection: post-processing: score threshold %v; need 0 <= threshold < 1", c.ScoreThreshold)
	case !(c.NMSIoU >= 0 && c.NMSIoU <= 1):
		return fmt.Errorf("detection: post-processing: suppression IoU %v; need 0 <= IoU <= 1", c.NMSIoU)
	case c.TopK < 0 || c.MaxDetections < 0 || c.Workers < 0:
		return fmt.Errorf("detection: post-processing: top-k %d, detections %d, workers %d; none may be negative", c.TopK, c.MaxDetections, c.Workers)
	}
	return nil
}

// ImageSize is where an image lies on the canvas that the network saw (its upper
// left corner) and how large it was on disk.
type ImageSize struct {
	Width, Height         int // on the canvas, without padding
	OrigWidth, OrigHeight int
}

// PostProcessor turns raw predictions into detections. It keeps scratch memory
// between calls and may be used by several goroutines at a time.
type PostProcessor struct {
	config  PostConfig
	scratch sync.Pool // *postScratch
}

// NewPostProcessor returns a PostProcessor, or an error if a value is out of
// range.
func NewPostProcessor(c PostConfig) (*PostProcessor, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	p := &PostProcessor{config: c}
	p.scratch.New = func() any { return new(postScratch) }
	return p, nil
}

type postScratch struct {
	found []candidate // of all levels
	nms   suppressor
}

// candidate is one anchor and class above the threshold; the logit orders it.
type candidate struct {
	logit float32
	index int // anchor·C + class
}

// better orders candidates: falling logit, equal ones by anchor, then class.
func better(a, b candidate) int {
	if c := cmp.Compare(b.logit, a.logit); c != 0 {
		return c
	}
	return cmp.Compare(a.index, b.index)
}

// Image processes one image: logits [A·C] (raw, before the sigmoid) and deltas
// [A·4] in the anchor order of g, A = g.Len(), C = classes.
//
// Of every pyramid level the TopK best pairs of anchor and class with a
// probability above the threshold are decoded and clipped to the image; boxes
// without area go; class-wise suppression over all levels keeps at most
// MaxDetections, best first; boxes are scaled to the original image. Ties go to
// the earlier anchor, then the lower class.
//
// Errors: slices of another length, sizes that are not positive, a logit or
// delta that is NaN or infinite (the network diverged: the error names the first
// one's level, anchor and class or coordinate).
func (p *PostProcessor) Image(g *Grid, classes int, logits, deltas []float32, size ImageSize) ([]Detection, error) {
	n := g.Len()
	if classes < 1 || len(logits) != n*classes || len(deltas) != 4*n {
		return nil, fmt.Errorf("detection: post-processing: %d logits and %d deltas for %d anchors and %d classes; need %d and %d", len(logits), len(deltas), n, classes, n*classes, 4*n)
	}
	if size.Width < 1 || size.Height < 1 || size.OrigWidth < 1 || size.OrigHeight < 1 {
		return nil, fmt.Errorf("detection: post-processing: image of %dx%d pixels, originally %dx%d; sizes must be positive", size.Width, size.Height, size.OrigWidth, size.OrigHeight)
	}
	if i := firstNotFinite(deltas); i >= 0 {
		return nil, fmt.Errorf("detection: post-processing: delta %d of anchor %d (level %d) is %v; the network has diverged or its weights are damaged", i%4, i/4, g.levelOf(i/4), deltas[i])
	}
	s := p.scratch.Get().(*postScratch)
	defer p.scratch.Put(s)
	s.found = s.found[:0]
	for l, lev := range g.Levels {
		from, to := lev.First*classes, g.end(l)*classes
		bad := s.collect(logits[from:to], from, p.config.ScoreThreshold, p.config.TopK)
		if bad >= 0 {
			return nil, fmt.Errorf("detection: post-processing: logit of class %d of anchor %d (level %d) is %v; the network has diverged or its weights are damaged", bad%classes, bad/classes, l, logits[bad])
		}
	}
	slices.SortFunc(s.found, better)

	w, h := float64(size.Width), float64(size.Height)
	sx, sy := float64(size.OrigWidth)/w, float64(size.OrigHeight)/h
	s.nms.reset(p.config.NMSIoU)
	var out []Detection
	for _, c := range s.found {
		anchor, class := c.index/classes, c.index%classes
		var d [4]float64
		for k := range d {
			d[k] = float64(deltas[4*anchor+k])
		}
		box := ClipBox(p.config.Coder.Decode(g.Boxes[anchor], d), w, h)
		// Not the other way round: NoClamp can overflow to NaN, which must go too.
		if !(box[2] > box[0] && box[3] > box[1]) || !s.nms.keep(box, int32(class)) {
			continue
		}
		out = append(out, Detection{
			Box:   [4]float32{float32(box[0] * sx), float32(box[1] * sy), float32(box[2] * sx), float32(box[3] * sy)},
			Label: class,
			Score: float32(sigmoid(c.logit)),
		})
		if len(out) == p.config.MaxDetections {
			break
		}
	}
	return out, nil
}

// Batch processes len(sizes) images in parallel: logits [B·A·C] and deltas
// [B·A·4] lie one image behind the other. The result has one list per image and
// does not depend on Workers. The error is that of the first image that failed
// and names its place in the batch.
func (p *PostProcessor) Batch(g *Grid, classes int, logits, deltas []float32, sizes []ImageSize) ([][]Detection, error) {
	b, n := len(sizes), g.Len()
	if classes < 1 || len(logits) != b*n*classes || len(deltas) != b*4*n {
		return nil, fmt.Errorf("detection: post-processing: %d logits and %d deltas for %d images, %d anchors and %d classes; need %d and %d", len(logits), len(deltas), b, n, classes, b*n*classes, b*4*n)
	}
	out, errs := make([][]Detection, b), make([]error, b)
	workers := p.config.Workers
	if workers == 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	var wg sync.WaitGroup
	free := make(chan struct{}, workers)
	for i := range sizes {
		free <- struct{}{}
		wg.Go(func() {
			defer func() { <-free }()
			out[i], errs[i] = p.Image(g, classes, logits[i*n*classes:(i+1)*n*classes], deltas[i*4*n:(i+1)*4*n], sizes[i])
		})
	}
	wg.Wait()
	for i, err := range errs {
		if err != nil {
			return nil, fmt.Errorf("image %d of the batch: %w", i, err)
		}
	}
	return out, nil
}

// collect appends the topK best of one level's logits whose probability is above
// threshold; index offset is that of logits[0]. It returns the index of the
// first logit that is not finite, or -1.
//
// Level candidates form a heap with the worst on top once there are topK: one
// pass, no memory beyond topK.
func (s *postScratch) collect(logits []float32, offset int, threshold float64, topK int) int {
	// Logits below the cut cannot pass, whatever the sigmoid's rounding.
	cut := float32(math.Inf(-1))
	if threshold > 0 {
		cut = float32(math.Log(threshold/(1-threshold)) - 1e-3)
	}
	start := len(s.found)
	for i, v := range logits {
		if v-v != 0 { // NaN and both infinities
			return offset + i
		}
		if v < cut || !(float32(sigmoid(v)) > float32(threshold)) {
			continue
		}
		c := candidate{v, offset + i}
		level := s.found[start:]
		switch {
		case topK == 0 || len(level) < topK:
			s.found = append(s.found, c)
			if len(level)+1 == topK {
				heapify(s.found[start:])
			}
		case better(c, level[0]) < 0:
			level[0] = c
			sift(level, 0)
			// What is no better than the worst of a full level cannot enter.
			cut = max(cut, level[0].logit)
		}
	}
	return -1
}

func heapify(h []candidate) {
	for i := len(h)/2 - 1; i >= 0; i-- {
		sift(h, i)
	}
}

// sift restores the heap below i, in which every candidate is worse than those
// below it: the worst stands at the top.
func sift(h []candidate, i int) {
	for {
		worst := i
		for c := 2*i + 1; c <= 2*i+2 && c < len(h); c++ {
			if better(h[c], h[worst]) > 0 {
				worst = c
			}
		}
		if worst == i {
			return
		}
		h[i], h[worst] = h[worst], h[i]
		i = worst
	}
}

func sigmoid(v float32) float64 { return 1 / (1 + math.Exp(-float64(v))) }

func firstNotFinite(values []float32) int {
	for i, v := range values {
		if v-v != 0 {
			return i
		}
	}
	return -1
}
