package train

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"manvision/config"
	"manvision/data"
	"manvision/data/augment"
	"manvision/data/cityscapes"
	"manvision/data/labelmap"
	"manvision/data/shapes"
	"manvision/device"
)

// segmentationTask is the Task of DeepLab and FCN on label maps.
type segmentationTask struct{}

// Prepare implements Task. A data set that was drawn without label maps gets them.
func (segmentationTask) Prepare(ctx context.Context, cfg *config.Config, say func(string)) error {
	d := cfg.Data
	if d.Format != "shapes" || shapes.HasLabels(d.Root, shapes.TrainPart) && shapes.HasLabels(d.Root, shapes.ValPart) {
		return nil
	}
	if _, err := os.Stat(shapes.InstancesFile(d.Root, shapes.ValPart)); err != nil {
		return writeShapes(ctx, d, true, say)
	}
	say(fmt.Sprintf("adding label maps to the shapes in %s", d.Root))
	return shapes.AddLabels(ctx, d.Root, nil)
}

// Open implements Task: the split is a *LabelSplit.
func (segmentationTask) Open(cfg *config.Config, val bool) (Split, error) {
	d, s := cfg.Data, cfg.Data.Train
	if val {
		s = d.Val
	}
	var set *labelmap.Set
	var err error
	switch d.Format {
	case "cityscapes":
		set, err = cityscapes.Open(d.Root, s.Split, cityscapes.Options{Labels: d.Segmentation.Labels})
	case "folders":
		set, err = labelmap.Folders(d.Path(s.Images), d.Path(s.Annotations), palette(d.Segmentation.Classes), d.Segmentation.Ignore)
	case "shapes":
		part := shapes.TrainPart
		if val {
			part = shapes.ValPart
		}
		set, err = shapes.Segmentation(d.Root, part)
	default:
		err = fmt.Errorf("data.format %q has no label maps", d.Format)
	}
	if err != nil {
		return nil, err
	}
	return &LabelSplit{data.NewSegmentation(set)}, nil
}

// fit brings images to what fits into [width, height], aspect kept; an empty size
// leaves them alone.
func fit(size []int) augment.Resize {
	if len(size) == 0 {
		return augment.Resize{}
	}
	return augment.Resize{ShortSides: []int{min(size[0], size[1])}, LongMax: max(size[0], size[1])}
}

// Loader implements Task.
func (segmentationTask) Loader(cfg *config.Config, augmented bool) data.LoaderConfig {
	d := cfg.Data
	if !augmented { // whole pictures at their own size, see SegmentationPredictor
		return data.LoaderConfig{}
	}
	l := data.LoaderConfig{Labels: true, Canvases: []data.Canvas{{H: d.Crop[1], W: d.Crop[0]}}}
	l.Augment = augment.Config{
		Resize: fit(d.BaseSize), Scale: [2]float64{d.Scale[0], d.Scale[1]},
		Crop:     augment.Crop{W: d.Crop[0], H: d.Crop[1], MaxShare: d.CatMaxRatio},
		FlipProb: d.Flip, Photometric: d.Photometric, Jitter: jitter(d),
	}
	return l
}

// ReadClasses implements Task.
func (segmentationTask) ReadClasses(raw json.RawMessage) (Classes, error) {
	c := new(LabelClasses)
	if err := json.Unmarshal(raw, c); err != nil {
		return nil, fmt.Errorf("classes: %w", err)
	}
	return c, nil
}

// CountClasses implements Task.
func (segmentationTask) CountClasses(cfg *config.Config) (int, error) {
	switch cfg.Data.Format {
	case "cityscapes":
		return len(cityscapes.ClassList()), nil
	case "shapes":
		return len(shapes.LabelClasses()), nil
	}
	return len(cfg.Data.Segmentation.Classes), nil
}

// Numbered implements Task.
func (segmentationTask) Numbered(n int) Classes {
	c := &LabelClasses{}
	for i := range n {
		c.List = append(c.List, labelmap.Class{Name: fmt.Sprint("class ", i)})
		c.Outputs = append(c.Outputs, uint8(i))
	}
	return c
}

// Build implements Task: the model is a *Segmenter.
func (segmentationTask) Build(cfg *config.Config, dev device.Device, classes Classes) (Model, error) {
	c, ok := classes.(*LabelClasses)
	if !ok {
		return nil, fmt.Errorf("a segmentation network needs label classes, got %T", classes)
	}
	return NewSegmenter(cfg, dev, c)
}
