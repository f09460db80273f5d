package main

import (
	"context"
	"fmt"
	"strings"

	"manvision/arch"
	"manvision/config"
	"manvision/data"
	"manvision/data/coco"
	"manvision/data/labelmap"
	"manvision/detection"
	"manvision/device"
	"manvision/internal/cli"
	"manvision/report"
	"manvision/train"
)

// loaded is a model in memory, a checkpoint's or one of package arch.
type loaded struct {
	detect   func(ctx context.Context, src data.Source, each func(s *data.Sample, found []detection.Detection) error) ([]data.Skip, error)
	segment  func(ctx context.Context, src data.Source, each func(i int, labels []uint8) error) ([]data.Skip, error)
	classify func(ctx context.Context, src data.Source, each func(i int, logits []float32) error) ([]data.Skip, error)
	ids      *coco.IDMap // of a detector
	names    []string    // of a classifier's classes
	close    func()
}

// loadCheckpoint loads a model that was trained here and says what was loaded.
func loadCheckpoint(cfg *config.Config, o *options, dev device.Device, classes train.Classes) (*loaded, error) {
	path := o.checkpoint
	load := train.LoadPredictor
	if cfg.Task == "segmentation" {
		load = train.LoadModel // label maps, scored, give the training's own numbers
	}
	m, err := load(cfg, dev, classes, path)
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(o.streams.Err, "%s:\n%s", path, m.Report)
	l := &loaded{close: m.Close}
	switch p := m.Predictor.(type) {
	case *train.DetectionPredictor:
		l.ids = m.Model.(*train.Detector).IDs
		l.detect = func(ctx context.Context, src data.Source, each func(s *data.Sample, found []detection.Detection) error) ([]data.Skip, error) {
			err := p.Detect(ctx, src, each)
			return p.Skipped, err
		}
	case *train.SegmentationPredictor:
		l.segment = func(ctx context.Context, src data.Source, each func(i int, labels []uint8) error) ([]data.Skip, error) {
			err := p.Segment(ctx, src, each)
			return p.Skipped, err
		}
	case *train.ClassificationPredictor:
		for i := range classes.Len() {
			l.names = append(l.names, classes.Name(i))
		}
		l.classify = func(ctx context.Context, src data.Source, each func(i int, logits []float32) error) ([]data.Skip, error) {
			err := p.Classify(ctx, src, func(b *data.Batch, logits []float32) error {
				for i, s := range b.Samples {
					if s.Replaces >= 0 { // stands in for a bad image
						continue
					}
					if err := each(s.Index, logits[i*len(l.names):][:len(l.names)]); err != nil {
						return err
					}
				}
				return nil
			})
			return p.Skipped, err
		}
	default:
		m.Close()
		return nil, fmt.Errorf("%s: pictures of a %s model cannot be drawn", path, cfg.Task)
	}
	return l, nil
}

// loadArch loads a network of torchvision's and says what was loaded.
func loadArch(a arch.Arch, o *options, dev device.Device) (*loaded, error) {
	l := &loaded{}
	switch a.Task {
	case arch.Detection:
		d, r, err := a.LoadDetector(dev, o.checkpoint, 0.05)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(o.streams.Err, "%s:\n%s", o.checkpoint, r)
		if err := d.SetPost(o.post(d.Post())); err != nil {
			d.Close()
			return nil, err
		}
		d.SkipBad, l.ids, l.close = o.leaveOut(), d.IDs, d.Close
		l.detect = func(ctx context.Context, src data.Source, each func(s *data.Sample, found []detection.Detection) error) ([]data.Skip, error) {
			err := d.Detect(ctx, src, each)
			return d.Skipped, err
		}
	case arch.Segmentation:
		s, r, err := a.LoadSegmenter(dev, o.checkpoint)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(o.streams.Err, "%s:\n%s", o.checkpoint, r)
		s.SkipBad, l.close = o.leaveOut(), s.Close
		l.segment = func(ctx context.Context, src data.Source, each func(i int, labels []uint8) error) ([]data.Skip, error) {
			err := s.Segment(ctx, src, each)
			return s.Skipped, err
		}
	default:
		c, r, err := a.LoadClassifier(dev, o.checkpoint)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(o.streams.Err, "%s:\n%s", o.checkpoint, r)
		c.SkipBad, l.names, l.close = o.leaveOut(), c.Names, c.Close
		l.classify = func(ctx context.Context, src data.Source, each func(i int, logits []float32) error) ([]data.Skip, error) {
			err := c.Classify(ctx, src, each)
			return c.Skipped, err
		}
	}
	return l, nil
}

// archWork is the work of a network of torchvision's.
func archWork(s *session, a arch.Arch) (work, error) {
	if s.o.batch > 0 {
		return nil, cli.Usage("--batch is for networks trained here; %s looks at one image at a time, as torchvision does", a.Name)
	}
	if name := s.o.viewFlag(); name != "" {
		return nil, cli.Usage("--%s is for segmentation networks trained here; %s looks at images as torchvision does", name, a.Name)
	}
	switch a.Task {
	case arch.Detection:
		return newDetectionWork(s)
	case arch.Segmentation:
		classes := &train.LabelClasses{}
		for i, name := range a.Classes() {
			c := report.Colour(i)
			classes.List = append(classes.List, labelmap.Class{Name: strings.Trim(name, "_"), Color: [3]uint8{c.R, c.G, c.B}})
			classes.Outputs = append(classes.Outputs, uint8(i))
		}
		return newSegmentationWork(s, classes)
	}
	return newClassificationWork(s)
}

// archConfig is the recipe that a network of torchvision's stands for, as far as
// predictions need one.
func archConfig(a arch.Arch) (*config.Config, error) {
	text := "task: detection\n" // of which a classifier reads no key
	if a.Task == arch.Segmentation {
		text = "task: segmentation\ndata: {format: folders, segmentation: {classes: [" + strings.Join(a.Classes(), ", ") + "]}}\n"
	}
	return config.Parse(a.Name, []byte(text), nil)
}
