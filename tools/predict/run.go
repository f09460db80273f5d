package main

import (
	"context"
	"errors"
	"fmt"
	"image"
	"os"
	"path/filepath"
	"time"

	"manvision/arch"
	"manvision/config"
	"manvision/data"
	"manvision/data/augment"
	"manvision/internal/cli"
	"manvision/report"
	"manvision/report/progress"
	"manvision/train"
)

// sheetPictures is how many pictures the contact sheet shows.
const sheetPictures = 12

// tileSide is how large pictures are at least on the sheet, in pixels.
const tileSide = 256

// work is what differs between the tasks that checkpoints are of.
type work interface {
	// imageIDs gives every file its id and looks whether the ground truth knows it.
	imageIDs(paths []string) ([]int64, error)
	// predict draws what m finds on the files and returns those it left out.
	predict(ctx context.Context, m *loaded, files *train.Files) ([]data.Skip, error)
	// sheet lays the first pictures out.
	sheet() (image.Image, error)
	// writeJSON writes what --json asks for; skipped are the files left out.
	writeJSON(skipped []error) error
	// summary is the task's part of the last table.
	summary() (header []string, cells []any)
}

// session is what all works have in common.
type session struct {
	o      *options
	cfg    *config.Config
	names  map[string]string // file to picture name
	tiles  []report.Tile     // of the sheet
	images int               // done
	step   func()            // after each image
}

func newWork(s *session, classes train.Classes) (work, error) {
	if labels, ok := classes.(*train.LabelClasses); ok {
		return newSegmentationWork(s, labels)
	}
	if _, ok := classes.(*train.ClassNames); ok {
		if name := s.o.viewFlag(); name != "" {
			return nil, cli.Usage("--%s is for segmentation networks; %s is a classifier", name, s.o.checkpoint)
		}
		return newClassificationWork(s)
	}
	return newDetectionWork(s)
}

func run(ctx context.Context, o *options) error {
	var cfg *config.Config
	var classes train.Classes
	var network *arch.Arch // nil: the checkpoint's own
	var err error
	if o.arch != "" {
		a, wrong := arch.Find(o.arch)
		if wrong != nil {
			return cli.Usage("--arch: %w", wrong)
		}
		network = &a
		cfg, err = archConfig(a)
	} else {
		cfg, classes, err = train.RecipeOf(o.checkpoint)
	}
	if err != nil {
		return cli.Input(err)
	}
	cfg.Data.OnBadImage = "error"
	if o.skipBad {
		cfg.Data.OnBadImage = "skip"
	}
	if o.threads > 0 {
		cfg.Threads = o.threads
	}
	s := &session{o: o, cfg: cfg, names: map[string]string{}}
	var w work
	if network != nil {
		w, err = archWork(s, *network)
	} else {
		w, err = newWork(s, classes)
	}
	if err != nil {
		return err
	}
	paths, err := findImages(o.input)
	if err != nil {
		return err
	}
	ids, err := w.imageIDs(paths)
	if err != nil {
		return err
	}
	for i, name := range pictureNames(paths) {
		s.names[paths[i]] = name
	}
	files, bad := train.OpenFiles(ctx, paths, ids)
	switch {
	case ctx.Err() != nil:
		return errors.New("stopped before the first image")
	case len(bad) > 0 && !o.skipBad:
		return cli.Input(fmt.Errorf("%w; %d of %d files cannot be read: repair them or leave them out with --skip-bad", bad[0], len(bad), len(paths)))
	case files.Len() == 0:
		return cli.Input(fmt.Errorf("no image can be read, the first: %w", bad[0]))
	}
	if err := os.MkdirAll(o.out, 0o777); err != nil {
		return cli.Input(err)
	}
	dev, err := o.open(train.Threads(cfg))
	if err != nil {
		return err
	}
	defer dev.Close()
	var m *loaded
	if network != nil {
		m, err = loadArch(*network, o, dev)
	} else {
		m, err = loadCheckpoint(cfg, o, dev, classes)
	}
	if err != nil {
		return cli.Input(err)
	}
	defer m.close()
	start := time.Now()
	count := progress.Count(o.streams.Err, o.streams.ErrTerminal, "images")
	s.step = func() {
		s.images++
		count(s.images, files.Len())
	}
	skipped, err := w.predict(ctx, m, files)
	var unreadable *augment.ImageError
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("stopped after %d of %d images", s.images, files.Len())
	case errors.As(err, &unreadable):
		return cli.Input(fmt.Errorf("%w; repair it or leave it out with --skip-bad", err))
	case err != nil:
		return err
	}
	for _, k := range skipped {
		bad = append(bad, k.Err)
	}
	for _, b := range bad {
		fmt.Fprintf(o.streams.Err, "skipped: %v\n", b)
	}
	return s.finish(w, start, bad)
}

// finish writes the sheet, the JSON file and the table.
func (s *session) finish(w work, start time.Time, bad []error) error {
	path := filepath.Join(s.o.out, sheetName)
	sheet, err := w.sheet()
	if err == nil {
		err = report.SavePNG(path, sheet)
	}
	if err != nil {
		return err
	}
	out := s.o.streams.Out
	if s.o.json != "" {
		if s.o.json == "-" {
			out = s.o.streams.Err
		}
		if err := w.writeJSON(bad); err != nil {
			return err
		}
	}
	took := time.Since(start).Seconds()
	header, cells := w.summary()
	t := report.NewTable(append(append([]string{"images", "skipped"}, header...), "seconds", "images a second", "sheet")...)
	t.Row(append(append([]any{s.images, len(bad)}, cells...), took, fmt.Sprintf("%.1f", float64(s.images)/took), path)...)
	return t.Write(out, s.o.streams.Terminal)
}
