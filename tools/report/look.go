package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"manvision/config"
	"manvision/data"
	"manvision/report"
	"manvision/report/page"
	"manvision/train"
)

// sight is a run's best checkpoint in front of its validation data.
type sight struct {
	*options
	run   *page.Run
	cfg   *config.Config
	split train.Split
	src   data.Source // the split, or a part of it
	whole bool        // all of it
	from  string      // what the pictures are of, in words
	step  func()
}

// look adds pictures to a run.
func (o *options) look(ctx context.Context, r *page.Run) error {
	path, err := checkpoint(r.Dir)
	if err != nil {
		return err
	}
	var change []string
	if o.data != "" {
		abs, err := filepath.Abs(o.data)
		if err != nil {
			return err
		}
		change = append(change, "data.root="+abs)
	}
	if o.threads > 0 {
		change = append(change, fmt.Sprintf("threads=%d", o.threads))
	}
	cfg, _, err := train.RecipeOf(path, change...)
	if err != nil {
		return err
	}
	if _, err := os.Stat(cfg.Data.Root); err != nil {
		return fmt.Errorf("the data is not there: data.root %s: no such folder or file; name it with --data", cfg.Data.Root)
	}
	split, err := train.OpenVal(ctx, cfg, func(text string) { fmt.Fprintln(o.streams.Err, text) })
	if err != nil {
		return err
	}
	dev, err := o.open(train.Threads(cfg))
	if err != nil {
		return err
	}
	defer dev.Close()
	m, err := train.LoadModel(cfg, dev, split.Classes(), path)
	if err != nil {
		return err
	}
	defer m.Close()
	s := &sight{options: o, run: r, cfg: cfg, split: split, src: split, whole: true}
	if n := split.Len(); o.samples > 0 && o.samples < n {
		s.src, s.whole = part{split, o.samples}, false
	}
	s.from = fmt.Sprintf("%s, seen by %s", counted(s.src.Len(), split.Len()), filepath.Base(path))
	s.step = o.progress(s.src.Len())
	switch p := m.Predictor.(type) {
	case *train.DetectionPredictor:
		return s.boxes(ctx, p)
	case *train.SegmentationPredictor:
		return s.labels(ctx, p)
	case *train.ClassificationPredictor:
		return s.classes(ctx, p)
	}
	return fmt.Errorf("%s: no pictures of a %T", path, m.Predictor)
}

func counted(n, of int) string {
	if n == of {
		return fmt.Sprintf("%d validation images", n)
	}
	return fmt.Sprintf("%d of %d validation images", n, of)
}

// checkpoint finds a run's best checkpoint, or its last where none is the best.
func checkpoint(dir string) (string, error) {
	for _, name := range []string{"best.safetensors", "last.safetensors"} {
		path := filepath.Join(dir, "checkpoints", name)
		if _, err := os.Stat(path); err == nil {
			if real, err := filepath.EvalSymlinks(path); err == nil {
				path = real
			}
			return path, nil
		}
	}
	return "", errors.New("there is neither checkpoints/best.safetensors nor checkpoints/last.safetensors")
}

// part is n images spread over a source.
type part struct {
	data.Source
	n int
}

func (p part) at(i int) int { return i * p.Source.Len() / p.n }

// Len implements data.Source.
func (p part) Len() int { return p.n }

// Size implements data.Source.
func (p part) Size(i int) (w, h int) { return p.Source.Size(p.at(i)) }

// Item implements data.Source.
func (p part) Item(i int) data.Item { return p.Source.Item(p.at(i)) }

// index is an image's place in the split.
func (s *sight) index(i int) int {
	if p, ok := s.src.(part); ok {
		return p.at(i)
	}
	return i
}

// progress shows the images done on a terminal.
func (o *options) progress(total int) func() {
	if !o.streams.ErrTerminal {
		return func() {}
	}
	done := 0
	return func() {
		done++
		fmt.Fprintf(o.streams.Err, "\r%d/%d images  ", done, total)
		if done >= total {
			fmt.Fprint(o.streams.Err, "\r\x1b[K")
		}
	}
}

// add shows the worst and the best of candidates, of which there may be none.
func (s *sight) add(measure string, worst, best []page.Picture, legend ...report.Swatch) {
	for _, g := range []page.Gallery{{Title: "Worst images", Pictures: worst}, {Title: "Best images", Pictures: best}} {
		if len(g.Pictures) > 0 {
			g.Legend = legend
			g.About = s.from + "; " + measure
			s.run.Galleries = append(s.run.Galleries, g)
		}
	}
}
