package train

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"manvision/config"
	"manvision/data"
	"manvision/data/augment"
	"manvision/data/coco"
	"manvision/data/shapes"
	"manvision/device"
)

// detectionTask is the Task of RetinaNet on COCO's form of data.
type detectionTask struct{}

// Prepare implements Task.
func (detectionTask) Prepare(ctx context.Context, cfg *config.Config, say func(string)) error {
	d := cfg.Data
	if d.Format != "shapes" {
		return nil
	}
	if _, err := os.Stat(d.Path(d.Val.Annotations)); err == nil {
		return nil
	}
	return writeShapes(ctx, d, false, say)
}

// writeShapes draws the procedural data set of a recipe, with label maps or without.
func writeShapes(ctx context.Context, d config.Data, labels bool, say func(string)) error {
	say(fmt.Sprintf("writing %d + %d images of shapes to %s", d.Shapes.Train, d.Shapes.Val, d.Root))
	_, _, err := shapes.Write(ctx, d.Root, shapes.Options{
		Train: d.Shapes.Train, Val: d.Shapes.Val, Width: d.Shapes.Size, Height: d.Shapes.Size, Seed: d.Shapes.Seed, Labels: labels, Overwrite: true})
	return err
}

// Open implements Task: the split is a *BoxSplit.
func (detectionTask) Open(cfg *config.Config, val bool) (Split, error) {
	d, s := cfg.Data, cfg.Data.Train
	if val {
		s = d.Val
	}
	ds, err := coco.Read(d.Path(s.Annotations), coco.Options{SkipBadBoxes: d.SkipBadBoxes, AsIs: val})
	if err != nil {
		// The reader does not know how a recipe switches its options on.
		var bad *coco.InputError
		if errors.As(err, &bad) {
			bad.Fix = strings.ReplaceAll(bad.Fix, "--skip-bad-boxes", "--set data.skip_bad_boxes=true")
		}
		return nil, err
	}
	src, err := data.NewCocoDetection(ds, d.Path(s.Images), data.DetectionOptions{})
	if err != nil {
		return nil, err
	}
	return &BoxSplit{src}, nil
}

// Loader implements Task.
func (detectionTask) Loader(cfg *config.Config, augmented bool) data.LoaderConfig {
	d := cfg.Data
	l := data.LoaderConfig{Canvases: Canvases(d), GroupOrientation: true}
	if len(d.FixedSize) == 2 {
		l.Augment.Resize = augment.Resize{Width: d.FixedSize[0], Height: d.FixedSize[1]}
		l.GroupOrientation = false
	} else {
		l.Augment.Resize = augment.Resize{ShortSides: []int{d.ShortSide}, LongMax: d.LongSide}
	}
	if augmented {
		l.Augment.FlipProb = d.Flip
		l.Augment.Jitter = jitter(d)
	}
	return l
}

// ReadClasses implements Task.
func (detectionTask) ReadClasses(raw json.RawMessage) (Classes, error) {
	ids := new(coco.IDMap)
	if err := json.Unmarshal(raw, ids); err != nil {
		return nil, fmt.Errorf("id map: %w", err)
	}
	return categories{ids}, nil
}

// CountClasses implements Task.
func (detectionTask) CountClasses(cfg *config.Config) (int, error) {
	d := cfg.Data
	if d.Format == "shapes" {
		return len(shapes.Classes), nil
	}
	path := d.Path(d.Train.Annotations)
	if _, err := os.Stat(path); d.Root == "" || err != nil {
		return 0, nil
	}
	ds, err := coco.Read(path, coco.Options{SkipBadBoxes: true, SkipUnknown: true})
	if err != nil {
		return 0, err
	}
	return ds.IDs.Len(), nil
}

// Numbered implements Task.
func (detectionTask) Numbered(n int) Classes {
	cats := make([]coco.Category, n)
	for i := range cats {
		cats[i] = coco.Category{ID: i + 1, Name: fmt.Sprint("class ", i+1)}
	}
	return categories{coco.NewIDMap(cats)}
}

// Build implements Task: the model is a *Detector.
func (detectionTask) Build(cfg *config.Config, dev device.Device, classes Classes) (Model, error) {
	c, ok := classes.(categories)
	if !ok {
		return nil, fmt.Errorf("a detector needs categories, got %T", classes)
	}
	return NewDetector(cfg, dev, c.IDMap)
}

// BoxSplit is a Split of images with boxes.
type BoxSplit struct{ *data.CocoDetection }

// Classes implements Split.
func (s *BoxSplit) Classes() Classes { return categories{s.Dataset().IDs} }

// Objects implements Split.
func (s *BoxSplit) Objects() int { return s.Dataset().NumAnnotations() }

// Notes implements Split.
func (s *BoxSplit) Notes() string { return s.Dataset().Report.String() }

// categories are the Classes of a detector.
type categories struct{ *coco.IDMap }

// Diff implements Classes.
func (c categories) Diff(o Classes) string {
	other, ok := o.(categories)
	if !ok {
		return "they are of another task"
	}
	return c.IDMap.Diff(other.IDMap)
}
