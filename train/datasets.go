package train

import (
	"context"
	"errors"
	"io"
	"math"
	"runtime"

	"manvision/config"
	"manvision/data"
	"manvision/data/augment"
)

// Canvases are the input sizes that a detection recipe's images are padded to. Where the
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

// TrainLoader shuffles and augments a split.
func TrainLoader(cfg *config.Config, src data.Source) (*data.Loader, error) {
	l, err := loaderConfig(cfg, true)
	if err != nil {
		return nil, err
	}
	l.Batch, l.Shuffle, l.Last = cfg.Train.Batch, true, data.LastFill
	l.PrefetchBytes = prefetchBytes(l, &cfg.Data)
	return data.NewLoader(src, l)
}

// evalLoader goes through a split once, in order.
func evalLoader(cfg *config.Config, src data.Source) (*data.Loader, error) {
	l, err := loaderConfig(cfg, false)
	if err != nil {
		return nil, err
	}
	l.Batch, l.Last, l.Epochs = min(cfg.Eval.Batch, max(src.Len(), 1)), data.LastPad, 1
	l.PrefetchBytes = prefetchBytes(l, &cfg.Data)
	return data.NewLoader(src, l)
}

// eachBatch goes through src once, in order and as prepared for evaluation, and returns
// the bad images that were left out; without the recipe's leave the first ends the work
// with an *augment.ImageError. A batch is reused once each returns.
func eachBatch(ctx context.Context, cfg *config.Config, src data.Source, each func(b *data.Batch) error) ([]data.Skip, error) {
	l, err := evalLoader(cfg, src)
	if err != nil {
		return nil, err
	}
	defer l.Close()
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		b, err := l.Next()
		if errors.Is(err, io.EOF) {
			return l.Stats().Skipped, nil
		}
		if err != nil {
			return nil, err
		}
		if err := each(b); err != nil {
			return nil, err
		}
		l.Recycle(b)
	}
}

// loaderConfig is what all loaders of a recipe have in common.
func loaderConfig(cfg *config.Config, augmented bool) (data.LoaderConfig, error) {
	task, err := TaskOf(cfg)
	if err != nil {
		return data.LoaderConfig{}, err
	}
	l := task.Loader(cfg, augmented)
	l.Seed, l.Workers = cfg.Seed, cfg.Data.Workers
	if l.Workers == 0 {
		l.Workers = max(1, runtime.NumCPU()/2)
	}
	if cfg.Data.OnBadImage == "skip" {
		l.OnBad = data.SkipBad
	}
	l.Augment.ReducedDecode = augmented && cfg.Data.ReducedJPEG == "auto"
	return l, nil
}

func jitter(d config.Data) augment.Jitter {
	return augment.Jitter{Brightness: d.Jitter.Brightness, Contrast: d.Jitter.Contrast, Saturation: d.Jitter.Saturation, Hue: d.Jitter.Hue}
}

// PlanSize returns the largest input of a recipe's training step: images, height
// and width in pixels.
func PlanSize(cfg *config.Config) (n, h, w int) {
	task, err := TaskOf(cfg)
	if err != nil {
		return 0, 0, 0
	}
	var best data.Canvas
	for _, k := range task.Loader(cfg, true).Canvases {
		if k.H*k.W > best.H*best.W {
			best = k
		}
	}
	return cfg.Train.Batch, best.H, best.W
}

// prefetchBytes is the memory of data.prefetch batches of the largest canvas, but at
// most data.prefetch_mib.
func prefetchBytes(l data.LoaderConfig, d *config.Data) int64 {
	var pixels int
	for _, c := range l.Canvases {
		pixels = max(pixels, c.H*c.W)
	}
	return min(int64(d.Prefetch)*int64(l.Batch)*int64(pixels)*3*4, int64(d.PrefetchMiB)<<20)
}
