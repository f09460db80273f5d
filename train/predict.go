package train

import (
	"context"
	"errors"
	"fmt"
	"image"
	"runtime"

	"manvision/config"
	"manvision/data"
	"manvision/data/augment"
	"manvision/device"
	"manvision/weights"
)

// Threads is the number of threads that a recipe's device gets.
func Threads(cfg *config.Config) int {
	if cfg.Threads == 0 {
		return runtime.NumCPU()
	}
	return cfg.Threads
}

// OpenVal opens the validation data of a recipe with its targets as written. A
// missing procedural data set is drawn first, which say is told of.
func OpenVal(ctx context.Context, cfg *config.Config, say func(string)) (Split, error) {
	task, err := TaskOf(cfg)
	if err != nil {
		return nil, err
	}
	if err := task.Prepare(ctx, cfg, say); err != nil {
		return nil, err
	}
	if cfg.Data.Root == "" {
		if err := cfg.CheckPaths(); err != nil {
			return nil, err
		}
	}
	return task.Open(cfg, true)
}

// Trained is a trained model ready to look at images.
type Trained struct {
	Model     Model
	Predictor Predictor
	Report    *weights.Report // of what was loaded
	Notes     []string        // in what the recipe contradicts the weights
}

// LoadModel builds the inference network of a recipe for the classes and fills it
// from a checkpoint, which must be of that model and those classes, or from plain
// weights of that model (see Network.LoadCheckpoint). The device stays the caller's.
func LoadModel(cfg *config.Config, dev device.Device, classes Classes, path string) (*Trained, error) {
	return loadModel(cfg, dev, classes, path, false)
}

// LoadPredictor is LoadModel for many images: filters are prepared for the device
// (nn.Store.Prepare), which is faster, takes memory, and differs by rounding from the
// evaluations of a training run.
func LoadPredictor(cfg *config.Config, dev device.Device, classes Classes, path string) (*Trained, error) {
	return loadModel(cfg, dev, classes, path, true)
}

func loadModel(cfg *config.Config, dev device.Device, classes Classes, path string, prepare bool) (*Trained, error) {
	whole := *cfg
	whole.MANPP.Strategy, whole.MANPP.Blocks = "e2e", 0 // cuts matter to training alone
	task, err := TaskOf(&whole)
	if err != nil {
		return nil, err
	}
	m := &Trained{}
	if m.Model, err = task.Build(&whole, dev, classes); err != nil {
		return nil, err
	}
	m.Model.Net().Store.Prepare = prepare
	if m.Predictor, err = m.Model.NewPredictor(nil, nil); err != nil {
		return nil, err
	}
	if err = m.Predictor.Warm(nil); err == nil {
		m.Report, m.Notes, err = m.Model.Net().LoadCheckpoint(path)
	}
	if err != nil {
		m.Close()
		return nil, err
	}
	return m, nil
}

// Close frees the programs and the variables.
func (m *Trained) Close() {
	m.Predictor.Close()
	m.Model.Net().Store.Free()
}

// RecipeOf returns the recipe and the classes that a checkpoint was trained with.
// change are further settings, as those of config.Parse.
func RecipeOf(path string, change ...string) (*config.Config, Classes, error) {
	meta, err := weights.LoadMeta(path)
	if err != nil {
		return nil, nil, err
	}
	task, err := taskNamed(meta.Identity.Task)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: a checkpoint of an %w", path, err)
	}
	cfg, err := config.Parse(path, []byte(meta.Config), change)
	if err != nil {
		return nil, nil, err
	}
	classes, err := task.ReadClasses(meta.IDMap)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	return cfg, classes, nil
}

// Files is a data.Source of image files without targets.
type Files struct{ items []data.Item }

// Len implements data.Source.
func (f *Files) Len() int { return len(f.items) }

// Size implements data.Source.
func (f *Files) Size(i int) (w, h int) { return f.items[i].Width, f.items[i].Height }

// Item implements data.Source.
func (f *Files) Item(i int) data.Item { return f.items[i] }

// OpenFiles looks at the headers of image files and gives image i the id ids[i].
// Files that cannot be images are left out and returned as errors, the i-th file's
// one an *augment.ImageError.
func OpenFiles(ctx context.Context, paths []string, ids []int64) (*Files, []error) {
	var bad []error
	f := &Files{}
	r, err := augment.NewRenderer(augment.Config{})
	if err != nil {
		return f, []error{err}
	}
	defer r.Close()
	var buf []byte
	for i, path := range paths {
		if ctx.Err() != nil {
			return f, append(bad, ctx.Err())
		}
		var w, h int
		if buf, err = augment.ReadFile(path, buf); err == nil {
			var head augment.Header
			if head, err = augment.ReadHeader(buf); err != nil {
				err = &augment.ImageError{File: path, Bytes: int64(len(buf)), Err: err}
			} else if w, h = head.Width, head.Height; w == 0 {
				w, h, err = r.Open(path, 0, 0)
			}
		}
		if err != nil {
			bad = append(bad, err)
			continue
		}
		f.items = append(f.items, data.Item{ImageID: ids[i], Path: path, Width: w, Height: h})
	}
	return f, bad
}

// Picture decodes an image file to look at, in the pixels that detections are in.
func Picture(path string) (image.Image, error) {
	cfg := augment.Config{}
	r, err := augment.NewRenderer(cfg)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	w, h, err := r.Open(path, 0, 0)
	if err != nil {
		return nil, err
	}
	if w < 1 || h < 1 {
		return nil, &augment.ImageError{File: path, Bytes: -1, Err: errors.New("no pixels")}
	}
	var random augment.Random
	canvas := make([]float32, w*h*3)
	if err := r.Draw(cfg.Plan(&random, w, h), canvas, h, w); err != nil {
		return nil, err
	}
	return cfg.Picture(canvas, w, w, h)
}
