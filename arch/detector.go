package arch

import (
	"context"
	"fmt"
	"math"

	"manvision/data"
	"manvision/data/augment"
	"manvision/data/coco"
	"manvision/detection"
	"manvision/device"
	"manvision/internal/lru"
	"manvision/weights"
)

// Sizes of detectors' images in pixels: the shorter side is brought to minSide, or
// less where the longer would pass maxSide; images are padded to multiples of
// divisible. Input sizes kept compiled at a time: programs.
const (
	minSide, maxSide = 800, 1333
	divisible        = 32
	programs         = 8
)

// Detector is torchvision's RetinaNet. It is not for use by several goroutines at
// once.
type Detector struct {
	*network
	// IDs are the classes: the label of a detection is its COCO category id.
	IDs *coco.IDMap
	// Skipped are the bad images that the last Detect left out, if SkipBad is set.
	SkipBad bool
	Skipped []data.Skip

	net            *detection.RetinaNet
	how            detection.PostConfig
	post           *detection.PostProcessor
	sizes          *lru.Cache[[2]int, *detection.Inference]
	canvas         []float32
	logits, deltas []float32
	named          []bool // by label
}

// LoadDetector builds the network and fills it from a file. Detections under score are
// dropped; torchvision's threshold is 0.05. Weights that torchvision published are
// told by their contents: their batch norms had no ε. The device stays the caller's.
func (a Arch) LoadDetector(dev device.Device, path string, score float64) (*Detector, *weights.Report, error) {
	file, err := identify(path)
	if err != nil {
		return nil, nil, err
	}
	return a.detector(dev, path, score, file != nil && file.noEps)
}

func (a Arch) detector(dev device.Device, path string, score float64, noEps bool) (*Detector, *weights.Report, error) {
	n, err := a.newNetwork(dev, detection.BodyPrefix, imageNet(augment.Config{}))
	if err != nil {
		return nil, nil, err
	}
	d := &Detector{network: n, sizes: lru.New[[2]int, *detection.Inference](programs)}
	var categories []coco.Category
	for id, name := range a.Classes() {
		categories = append(categories, coco.Category{ID: id, Name: name})
		d.named = append(d.named, named(name))
	}
	d.IDs = coco.NewIDMap(categories)
	d.net = &detection.RetinaNet{Classes: len(categories), Channels: 256, Convs: 4, Anchors: detection.TorchvisionAnchors(), Prior: 0.01, P6FromP5: true}
	if err = n.check(Detection); err == nil {
		d.how = detection.PostConfig{ScoreThreshold: score, TopK: 1000, NMSIoU: 0.5, MaxDetections: 300}
		d.post, err = detection.NewPostProcessor(d.how)
	}
	if err == nil { // declares the parameters
		_, err = d.program(divisible, divisible)
	}
	var r *weights.Report
	if err == nil {
		r, err = n.fill(path, noEps)
	}
	if err != nil {
		d.Close()
		return nil, r, err
	}
	return d, r, nil
}

// Post is how detections are made of raw outputs; SetPost changes it.
func (d *Detector) Post() detection.PostConfig { return d.how }

// SetPost makes detections in another way from now on.
func (d *Detector) SetPost(how detection.PostConfig) error {
	post, err := detection.NewPostProcessor(how)
	if err == nil {
		d.how, d.post = how, post
	}
	return err
}

func (d *Detector) program(h, w int) (*detection.Inference, error) {
	return d.sizes.Get([2]int{h, w}, func() (*detection.Inference, error) {
		return d.net.NewInference(d.model, 1, h, w, d.input, d.arena)
	})
}

// Predict detects objects on a normalised image, which lies in the upper left of
// canvas [h,w,3], h and w multiples of 32. The boxes are in pixels of the original
// image; unlike torchvision's none is without area.
func (d *Detector) Predict(canvas []float32, h, w int, size detection.ImageSize) ([]detection.Detection, error) {
	inf, err := d.program(h, w)
	if err != nil {
		return nil, err
	}
	if err := inf.Input.Upload(canvas); err != nil {
		return nil, err
	}
	a := inf.Grid.Len()
	d.logits, d.deltas = grow(d.logits, a*inf.Classes), grow(d.deltas, a*4)
	if err := inf.Run(d.logits, d.deltas); err != nil {
		return nil, err
	}
	return d.post.Image(inf.Grid, inf.Classes, d.logits, d.deltas, size)
}

// Detect detects objects on every image of src and hands each over with what was
// found, in original pixels; what the network calls by an unused category id is left
// out.
func (d *Detector) Detect(ctx context.Context, src data.Source, each func(s *data.Sample, found []detection.Detection) error) error {
	d.Skipped = nil
	for i := range src.Len() {
		if err := ctx.Err(); err != nil {
			return err
		}
		item := src.Item(i)
		w, h, err := item.Open(d.render)
		if skip, err := leaveOut(err, i, d.SkipBad, &d.Skipped); err != nil {
			return err
		} else if skip {
			continue
		}
		s := &data.Sample{Index: i, ImageID: item.ImageID, File: item.Path, Width: w, Height: h, Replaces: -1}
		s.InW, s.InH = resized(w, h)
		s.ScaleX, s.ScaleY = float64(s.InW)/float64(w), float64(s.InH)/float64(h)
		cw, ch := padded(s.InW), padded(s.InH)
		d.canvas = grow(d.canvas, cw*ch*3)
		err = d.render.Draw(augment.Params{SrcW: w, SrcH: h, ScaledW: s.InW, ScaledH: s.InH, InW: s.InW, InH: s.InH}, d.canvas, ch, cw)
		if err != nil {
			return fmt.Errorf("%s: %w", item.Path, err)
		}
		found, err := d.Predict(d.canvas, ch, cw, detection.ImageSize{Width: s.InW, Height: s.InH, OrigWidth: w, OrigHeight: h})
		if err != nil {
			return fmt.Errorf("%s: %w", item.Path, err)
		}
		kept := found[:0]
		for _, f := range found {
			if d.named[f.Label] {
				kept = append(kept, f)
			}
		}
		if err := each(s, kept); err != nil {
			return err
		}
	}
	return nil
}

// resized is the size that torchvision brings a detector's image to: the scale is a
// float32, made with the reciprocal of a side, and the result is rounded down. 427x640
// pixels become 799x1199.
func resized(w, h int) (int, int) {
	scale := min(minSide*(1/float32(min(w, h))), maxSide*(1/float32(max(w, h))))
	to := func(n int) int { return max(1, int(math.Floor(float64(n)*float64(scale)))) }
	return to(w), to(h)
}

func padded(n int) int { return (n + divisible - 1) / divisible * divisible }

func grow(s []float32, n int) []float32 {
	if cap(s) < n {
		return make([]float32, n)
	}
	return s[:n]
}

// Close frees the network.
func (d *Detector) Close() {
	d.sizes.Close()
	d.free()
}
