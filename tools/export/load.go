package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"manvision/arch"
	"manvision/config"
	"manvision/data/augment"
	"manvision/detection"
	"manvision/device"
	"manvision/internal/cli"
	"manvision/onnx"
	"manvision/train"
	"manvision/weights"
)

// loadArch is load of a network of torchvision's.
func loadArch(a arch.Arch, o *options, dev device.Device) (f *onnx.File, free func(), err error) {
	if o.scoreGiven && a.Task != arch.Detection {
		return nil, nil, cli.Usage("--score is for detectors; %s is for %s", a.Name, a.Task)
	}
	info := onnx.Info{Source: fmt.Sprintf("%s, %s", a.Name, filepath.Base(o.checkpoint)), Classes: a.Classes()}
	size := func(short int) {
		h, w, how := a.InputSize(short)
		info.Resize = how
		if !o.sized {
			o.file.H, o.file.W = h, w
		}
	}
	var r *weights.Report
	switch a.Task {
	case arch.Detection:
		score := 0.05
		if o.scoreGiven {
			score = o.score
		}
		d, report, err := a.LoadDetector(dev, o.checkpoint, score)
		if err != nil {
			return nil, nil, err
		}
		size(0)
		free, r = d.Close, report
		info.Mean, info.Std = d.Normalisation()
		m, net, post := d.Parts()
		f, err = onnx.Detector(m, net, post, info, o.file)
		return done(f, free, r, o, err)
	case arch.Segmentation:
		s, report, err := a.LoadSegmenter(dev, o.checkpoint)
		if err != nil {
			return nil, nil, err
		}
		size(0)
		free, r = s.Close, report
		info.Mean, info.Std = s.Normalisation()
		m, net := s.Parts()
		f, err = onnx.Segmenter(m, net, info, o.file)
		return done(f, free, r, o, err)
	}
	c, r, err := a.LoadClassifier(dev, o.checkpoint)
	if err != nil {
		return nil, nil, err
	}
	size(c.Short)
	info.Mean, info.Std = c.Normalisation()
	m, net := c.Parts()
	f, err = onnx.Classifier(m, net, info, o.file)
	return done(f, c.Close, r, o, err)
}

// done says what was loaded, or frees it where the export failed.
func done(f *onnx.File, free func(), r *weights.Report, o *options, err error) (*onnx.File, func(), error) {
	if err != nil {
		free()
		return nil, nil, err
	}
	fmt.Fprintf(o.streams.Err, "%s:\n%s", o.checkpoint, r)
	return f, free, nil
}

// recipe is the recipe and the classes of a network that was trained here.
func recipe(ctx context.Context, o *options) (*config.Config, train.Classes, error) {
	if o.config == "" {
		return train.RecipeOf(o.checkpoint)
	}
	cfg, err := config.Load(o.config, o.sets)
	if err != nil {
		return nil, nil, err
	}
	val, err := train.OpenVal(ctx, cfg, func(text string) { fmt.Fprintln(o.streams.Err, text) })
	if err != nil {
		return nil, nil, err
	}
	return cfg, val.Classes(), nil
}

// loadTrained is load of a network that was trained here.
func loadTrained(ctx context.Context, o *options, dev device.Device) (*onnx.File, func(), error) {
	cfg, classes, err := recipe(ctx, o)
	if err != nil {
		return nil, nil, err
	}
	if o.scoreGiven && cfg.Task != "detection" {
		return nil, nil, cli.Usage("--score is for detectors; %s is for %s", o.checkpoint, cfg.Task)
	}
	task, err := train.TaskOf(cfg)
	if err != nil {
		return nil, nil, err
	}
	if !o.sized {
		_, o.file.H, o.file.W = train.PlanSize(cfg)
	}
	how := task.Loader(cfg, false).Augment
	info := onnx.Info{Source: fmt.Sprintf("%s, %s", cfg.Name, filepath.Base(o.checkpoint)), Mean: how.Mean, Std: how.Std, Resize: inWords(how, cfg)}
	if how.Std == [3]float32{} {
		info.Mean, info.Std = augment.ImageNetMean, augment.ImageNetStd
	}
	for i := range classes.Len() {
		info.Classes = append(info.Classes, classes.Name(i))
	}
	m, err := train.LoadModel(cfg, dev, classes, o.checkpoint)
	if err != nil {
		return nil, nil, err
	}
	for _, n := range m.Notes {
		fmt.Fprintln(o.streams.Err, "warning: "+n)
	}
	var f *onnx.File
	switch t := m.Model.(type) {
	case *train.Classifier:
		f, err = onnx.Classifier(t.Model, t.Classification, info, o.file)
	case *train.Segmenter:
		for _, v := range t.Labels.Outputs {
			info.Labels = append(info.Labels, int(v))
		}
		f, err = onnx.Segmenter(t.Model, t.Segmentation, info, o.file)
	case *train.Detector:
		for i := range t.IDs.Len() {
			info.Labels = append(info.Labels, t.IDs.CategoryID(i))
		}
		var post detection.PostConfig = t.PostConfig()
		if o.scoreGiven {
			post.ScoreThreshold = o.score
		}
		f, err = onnx.Detector(t.Model, t.RetinaNet, post, info, o.file)
	default:
		err = fmt.Errorf("%s: networks for %s cannot be exported", o.checkpoint, cfg.Task)
	}
	return done(f, m.Close, m.Report, o, err)
}

// inWords tells how a recipe brings images to a network's size.
func inWords(a augment.Config, cfg *config.Config) string {
	var parts []string
	how := "bilinear"
	if a.Interpolation == augment.Antialias {
		how += " with antialiasing"
	}
	r := a.Resize
	switch {
	case r.Width > 0:
		parts = append(parts, fmt.Sprintf("to %dx%d pixels (width x height), %s", r.Width, r.Height, how))
	case len(r.ShortSides) > 0 && r.LongMax > 0:
		parts = append(parts, fmt.Sprintf("shorter side to %d pixels, the longer at most %d, %s; upper left, zeros up to the input's size", r.ShortSides[0], r.LongMax, how))
	case len(r.ShortSides) > 0:
		parts = append(parts, fmt.Sprintf("shorter side to %d pixels, %s", r.ShortSides[0], how))
	}
	if a.Crop.Center {
		parts = append(parts, fmt.Sprintf("the middle %dx%d (width x height)", a.Crop.W, a.Crop.H))
	}
	if len(parts) == 0 {
		if cfg.Task == "segmentation" {
			return "the recipe's eval.segmentation, view " + cfg.Eval.Segmentation.Mode
		}
		return "none"
	}
	return strings.Join(parts, "; ")
}
