package train

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"runtime"
	"strings"

	"manvision/config"
	"manvision/data"
	"manvision/data/augment"
	"manvision/data/coco"
	"manvision/data/shapes"
)

// Canvases are the input sizes that a recipe's images are padded to. Where the
// recipe lists none they follow from its sides: the short side against common
// aspects up to the long side, upright and lying, in multiples of 32, so that few
// programs are compiled and little is padding.
func Canvases(d config.Data) []data.Canvas {
	var out []data.Canvas
	add := func(h, w float64) {
		c := data.Canvas{H: int(math.Ceil(h/32)) * 32, W: int(math.Ceil(w/32)) * 32}
		for _, o := range out {
			if o == c {
				return
			}
		}
		out = append(out, c)
	}
	switch {
	case len(d.Canvases) > 0:
		for _, c := range d.Canvases {
			add(float64(c[1]), float64(c[0]))
		}
	case len(d.FixedSize) == 2:
		add(float64(d.FixedSize[1]), float64(d.FixedSize[0]))
	default:
		short, long := float64(d.ShortSide), float64(d.LongSide)
		for _, aspect := range []float64{1, 4.0 / 3, 1.5} {
			if short*aspect < long {
				add(short, short*aspect)
				add(short*aspect, short)
			}
		}
		add(short, long)
		add(long, short)
	}
	return out
}

// EnsureShapes writes the procedural data set of a recipe where it is missing.
// Other formats are left alone.
func EnsureShapes(ctx context.Context, d config.Data, say func(string)) error {
	if d.Format != "shapes" {
		return nil
	}
	if _, err := os.Stat(d.Path(d.Val.Annotations)); err == nil {
		return nil
	}
	say(fmt.Sprintf("writing %d + %d images of shapes to %s", d.Shapes.Train, d.Shapes.Val, d.Root))
	_, _, err := shapes.Write(ctx, d.Root, shapes.Options{
		Train: d.Shapes.Train, Val: d.Shapes.Val, Width: d.Shapes.Size, Height: d.Shapes.Size, Seed: d.Shapes.Seed, Overwrite: true})
	return err
}

// openSplit reads the annotations of a split and joins them with its images: to
// train on, or as written to evaluate against.
func openSplit(d config.Data, s config.Split, evaluate bool) (*data.CocoDetection, error) {
	ds, err := coco.Read(d.Path(s.Annotations), coco.Options{SkipBadBoxes: d.SkipBadBoxes, AsIs: evaluate})
	if err != nil {
		// The reader does not know how a recipe switches its options on.
		var bad *coco.InputError
		if errors.As(err, &bad) {
			bad.Fix = strings.ReplaceAll(bad.Fix, "--skip-bad-boxes", "--set data.skip_bad_boxes=true")
		}
		return nil, err
	}
	return data.NewCocoDetection(ds, d.Path(s.Images), data.DetectionOptions{})
}

// loaderConfig is what training and evaluation have in common.
func loaderConfig(cfg *config.Config) data.LoaderConfig {
	d := cfg.Data
	l := data.LoaderConfig{Seed: cfg.Seed, Canvases: Canvases(d), GroupOrientation: true, Workers: d.Workers}
	if l.Workers == 0 {
		l.Workers = max(1, runtime.NumCPU()/2)
	}
	if len(d.FixedSize) == 2 {
		l.Augment.Resize = augment.Resize{Width: d.FixedSize[0], Height: d.FixedSize[1]}
		l.GroupOrientation = false
	} else {
		l.Augment.Resize = augment.Resize{ShortSides: []int{d.ShortSide}, LongMax: d.LongSide}
	}
	if d.OnBadImage == "skip" {
		l.OnBad = data.SkipBad
	}
	return l
}

// trainLoader shuffles and augments.
func trainLoader(cfg *config.Config, src data.Source) (*data.Loader, error) {
	l := loaderConfig(cfg)
	d := cfg.Data
	l.Batch, l.Shuffle, l.Last = cfg.Train.Batch, true, data.LastFill
	l.Augment.FlipProb = d.Flip
	l.Augment.Jitter = augment.Jitter{Brightness: d.Jitter.Brightness, Contrast: d.Jitter.Contrast, Saturation: d.Jitter.Saturation, Hue: d.Jitter.Hue}
	l.PrefetchBytes = prefetchBytes(l, d.Prefetch)
	return data.NewLoader(src, l)
}

// evalLoader goes through a split once, in order.
func evalLoader(cfg *config.Config, src data.Source) (*data.Loader, error) {
	l := loaderConfig(cfg)
	l.Batch, l.Last, l.Epochs = min(cfg.Eval.Batch, max(src.Len(), 1)), data.LastPad, 1
	l.PrefetchBytes = prefetchBytes(l, cfg.Data.Prefetch)
	return data.NewLoader(src, l)
}

// prefetchBytes is the memory of so many batches of the largest canvas.
func prefetchBytes(l data.LoaderConfig, batches int) int64 {
	var pixels int
	for _, c := range l.Canvases {
		pixels = max(pixels, c.H*c.W)
	}
	return int64(batches) * int64(l.Batch) * int64(pixels) * 3 * 4
}
