package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"manvision/arch"
	"manvision/classification/topk"
	"manvision/config"
	"manvision/data"
	"manvision/data/augment"
	"manvision/data/coco"
	"manvision/data/labelmap"
	"manvision/detection"
	"manvision/detection/cocoeval"
	"manvision/device"
	"manvision/internal/cli"
	"manvision/segmentation/iou"
	"manvision/train"
)

// archConfig is the recipe that a network of torchvision's stands for, of which only
// the validation data and the threads matter.
func archConfig(a arch.Arch, sets []string) (*config.Config, error) {
	text := map[arch.Task]string{
		arch.Classification: "task: classification\ndata: {format: imagenet}\n",
		arch.Detection:      "task: detection\n",
		arch.Segmentation:   "task: segmentation\ndata: {format: folders, segmentation: {classes: [" + strings.Join(a.Classes(), ", ") + "]}}\n",
	}[a.Task]
	return config.Parse(a.Name, []byte(text), sets)
}

// archKeys are the keys of a recipe, or their beginnings, that count with --arch. How
// images are prepared comes with the weights.
var archKeys = []string{"data.root", "data.format", "data.val", "data.on_bad_image", "data.skip_bad_boxes", "data.segmentation", "task", "threads"}

// checkArchSets refuses settings that would have no effect.
func checkArchSets(a arch.Arch, sets []string) error {
	for _, set := range sets {
		key, _, _ := strings.Cut(set, "=")
		counts := func(k string) bool { return key == k || strings.HasPrefix(key, k+".") }
		if !slices.ContainsFunc(archKeys, counts) {
			return cli.Usage("--set %s: %s prepares images and looks at them as its weights want it; with --arch these keys count: %s", key, a.Name, strings.Join(archKeys, ", "))
		}
	}
	return nil
}

// runArch evaluates a network of torchvision's.
func runArch(ctx context.Context, o *modelOptions) error {
	a, err := arch.Find(o.arch)
	if err != nil {
		return cli.Usage("--arch: %w", err)
	}
	if o.results != "" && a.Task != arch.Detection {
		return cli.Usage("--results: a COCO results file is for detections; %s is for %s", a.Name, a.Task)
	}
	if err := checkArchSets(a, o.sets); err != nil {
		return err
	}
	cfg, err := archConfig(a, o.sets)
	if err != nil {
		return cli.Input(err)
	}
	if cfg.Task != string(a.Task) {
		return cli.Usage("--set task=%s: %s is for %s", cfg.Task, a.Name, a.Task)
	}
	if cfg.Data.Root == "" {
		return cli.Usage("name the validation data's folder: --set data.root=DIR")
	}
	src, err := train.OpenVal(ctx, cfg, func(text string) { fmt.Fprintln(o.streams.Err, text) })
	if err != nil {
		return cli.Input(err)
	}
	dev, err := o.open(train.Threads(cfg))
	if err != nil {
		return err
	}
	defer dev.Close()
	e := &archEval{modelOptions: o, arch: a, dev: dev, skip: cfg.Data.OnBadImage == "skip", step: func() {}}
	if show := o.progress(); show != nil {
		done := 0
		e.step = func() { done++; show(done, src.Len()) }
	}
	start := time.Now()
	s, err := e.evaluate(ctx, src)
	var image *augment.ImageError
	var label *labelmap.InputError
	switch {
	case ctx.Err() != nil:
		return errors.New("stopped before the end: nothing was written")
	case errors.As(err, &image) || errors.As(err, &label):
		return cli.Input(fmt.Errorf("%w; repair it or leave bad images out with --set data.on_bad_image=skip", err))
	case err != nil:
		return err
	}
	return o.finish(s, e.found, start)
}

// archEval evaluates a network of torchvision's on one data set.
type archEval struct {
	*modelOptions
	arch  arch.Arch
	dev   device.Device
	skip  bool
	step  func()
	found []coco.Result
}

func (e *archEval) evaluate(ctx context.Context, src train.Split) (*train.Summary, error) {
	switch s := src.(type) {
	case *train.BoxSplit:
		return e.boxes(ctx, s)
	case *train.LabelSplit:
		return e.labels(ctx, s)
	case *train.ClassSplit:
		return e.classes(ctx, s)
	}
	return nil, fmt.Errorf("%s cannot be scored on %T", e.arch.Name, src)
}

// score makes the summary of an evaluation, without its metrics.
func score(images int, rank string, headline []string, d train.Detail, skipped []data.Skip) *train.Summary {
	s := &train.Summary{Images: images, Rank: rank, Headline: headline, Detail: d}
	if n := len(skipped); n > 0 {
		s.Warnings = append(s.Warnings, fmt.Sprintf("%d images could not be read, the first: %v", n, skipped[0].Err))
	}
	return s
}

func (e *archEval) boxes(ctx context.Context, src *train.BoxSplit) (*train.Summary, error) {
	names := e.arch.Classes()
	for _, c := range src.Dataset().IDs.Categories() {
		if c.ID < 0 || c.ID >= len(names) || names[c.ID] != c.Name {
			return nil, cli.Usage("the data's category %d is %q: %s knows COCO's categories by their ids", c.ID, c.Name, e.arch.Name)
		}
	}
	eval, err := cocoeval.New(src.Dataset(), cocoeval.Options{SkipUnknown: true})
	if err != nil {
		return nil, err
	}
	d, report, err := e.arch.LoadDetector(e.dev, e.checkpoint, 0.05)
	if err != nil {
		return nil, cli.Input(err)
	}
	defer d.Close()
	fmt.Fprintf(e.streams.Err, "%s:\n%s", e.checkpoint, report)
	d.SkipBad = e.skip
	err = d.Detect(ctx, src, func(s *data.Sample, found []detection.Detection) error {
		from := len(e.found)
		e.found = append(e.found, train.Results(d.IDs, s, found)...)
		e.step()
		return eval.Process(e.found[from:])
	})
	if err != nil {
		return nil, err
	}
	s, err := eval.Evaluate()
	if err != nil {
		return nil, err
	}
	out := score(s.Images, "AP", []string{"AP", "AP50", "AP75"}, s, d.Skipped)
	out.Warnings = append(out.Warnings, s.Warnings...)
	for _, m := range s.Metrics() {
		out.Metrics = append(out.Metrics, train.Metric{Key: m.Key, Value: m.Value})
	}
	return out, nil
}

func (e *archEval) labels(ctx context.Context, src *train.LabelSplit) (*train.Summary, error) {
	classes := src.Set().Classes
	if want := len(e.arch.Classes()); len(classes) != want {
		return nil, cli.Usage("the data has %d classes; %s knows VOC's %d", len(classes), e.arch.Name, want)
	}
	net, report, err := e.arch.LoadSegmenter(e.dev, e.checkpoint)
	if err != nil {
		return nil, cli.Input(err)
	}
	defer net.Close()
	fmt.Fprintf(e.streams.Err, "%s:\n%s", e.checkpoint, report)
	net.SkipBad = e.skip
	eval, images := iou.New(classes), 0
	var truth []uint8
	err = net.Segment(ctx, src, func(i int, labels []uint8) error {
		var err error
		if truth, err = src.Labels(i, truth); err != nil {
			return err
		}
		images++
		e.step()
		return eval.Process(truth, labels)
	})
	if err != nil {
		return nil, err
	}
	s := eval.Evaluate()
	out := score(images, "mIoU", []string{"mIoU", "pixel_accuracy", "mean_accuracy"}, s, net.Skipped)
	for _, m := range s.Metrics() {
		out.Metrics = append(out.Metrics, train.Metric{Key: m.Key, Value: m.Value})
	}
	return out, nil
}

func (e *archEval) classes(ctx context.Context, src *train.ClassSplit) (*train.Summary, error) {
	names := e.arch.Classes()
	if have := len(src.ClassNames()); have != len(names) {
		return nil, cli.Usage("the data has %d classes; %s knows ImageNet's %d, by the order of their folders' names", have, e.arch.Name, len(names))
	}
	net, report, err := e.arch.LoadClassifier(e.dev, e.checkpoint)
	if err != nil {
		return nil, cli.Input(err)
	}
	defer net.Close()
	fmt.Fprintf(e.streams.Err, "%s:\n%s", e.checkpoint, report)
	net.SkipBad = e.skip
	eval, images := topk.New(names), 0
	err = net.Classify(ctx, src, func(i int, logits []float32) error {
		images++
		e.step()
		return eval.Process(logits, []int32{src.Item(i).Class})
	})
	if err != nil {
		return nil, err
	}
	s := eval.Evaluate()
	out := score(images, "top1", []string{"top1", "top5", "cross_entropy"}, s, net.Skipped)
	for _, m := range s.Metrics() {
		out.Metrics = append(out.Metrics, train.Metric{Key: m.Key, Value: m.Value})
	}
	return out, nil
}
