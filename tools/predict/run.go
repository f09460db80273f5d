package main

import (
	"context"
	"errors"
	"fmt"
	"image"
	"io"
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

// tileSide is how large pictures are at least on the sheet, in pixels.
const tileSide = 256

// work is what differs between the tasks that checkpoints are of.
type work interface {
	// imageIDs gives every file its id and looks whether the ground truth knows it.
	imageIDs(paths []string) ([]int64, error)
	// columns are those of --csv behind the source.
	columns() []string
	// form makes what --json writes.
	form() func(out io.Writer) form
	// predict draws and writes what m finds on src and returns those it left out.
	predict(ctx context.Context, m *loaded, src subjects) ([]data.Skip, error)
	// sheet lays the drawing's tiles out.
	sheet() (image.Image, error)
	// summary is the task's part of the last table.
	summary() (header []string, cells []any)
}

// session is what all works have in common.
type session struct {
	o       *options
	cfg     *config.Config
	drawing *drawing
	outputs *outputs
	images  int    // done
	step    func() // after each image
	bad     []error
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

// model is what is known of a model before it is loaded.
type model struct {
	cfg     *config.Config
	classes train.Classes
	network *arch.Arch // nil: the checkpoint's own
}

func (o *options) model() (*model, error) {
	m := &model{}
	var err error
	if o.arch != "" {
		a, wrong := arch.Find(o.arch)
		if wrong != nil {
			return nil, cli.Usage("--arch: %w", wrong)
		}
		m.network = &a
		m.cfg, err = archConfig(a)
	} else {
		m.cfg, m.classes, err = train.RecipeOf(o.checkpoint)
	}
	if err != nil {
		return nil, cli.Input(err)
	}
	m.cfg.Data.OnBadImage = "error"
	if o.leaveOut() {
		m.cfg.Data.OnBadImage = "skip"
	}
	if o.threads > 0 {
		m.cfg.Threads = o.threads
	}
	if o.batch > 0 {
		m.cfg.Eval.Batch = o.batch
	}
	return m, nil
}

func run(ctx context.Context, o *options) error {
	md, err := o.model()
	if err != nil {
		return err
	}
	s := &session{o: o, cfg: md.cfg, drawing: &drawing{dir: o.out}}
	var w work
	if md.network != nil {
		w, err = archWork(s, *md.network)
	} else {
		w, err = newWork(s, md.classes)
	}
	if err != nil {
		return err
	}
	paths, err := findInputs(o)
	if err != nil {
		return err
	}
	clip, err := o.clip(paths)
	if err != nil {
		return err
	}
	s.drawing.kind = o.draw
	var all subjects
	var look func(ctx context.Context, m *loaded) error
	if clip != nil {
		defer clip.Close()
		look = func(ctx context.Context, m *loaded) error { return s.frames(ctx, m, w, clip) }
	} else {
		if all, err = s.files(ctx, w, paths); err != nil {
			return err
		}
		look = func(ctx context.Context, m *loaded) error {
			skipped, err := w.predict(ctx, m, all)
			for _, k := range skipped {
				s.bad = append(s.bad, k.Err)
			}
			return err
		}
	}
	if err := s.drawing.makeDir(); err != nil {
		return err
	}
	dev, err := o.open(train.Threads(s.cfg))
	if err != nil {
		return err
	}
	defer dev.Close()
	var m *loaded
	if md.network != nil {
		m, err = loadArch(*md.network, o, dev)
	} else {
		m, err = loadCheckpoint(s.cfg, o, dev, md.classes)
	}
	if err != nil {
		return cli.Input(err)
	}
	defer m.close()
	if s.outputs, err = openOutputs(o, w.form(), w.columns()); err != nil {
		return err
	}
	total := len(all)
	if clip != nil {
		total = (clip.Frames + o.every - 1) / o.every
	}
	start := time.Now()
	count := progress.Count(o.streams.Err, o.streams.ErrTerminal, "images")
	s.step = func() {
		s.images++
		if total > 0 {
			count(s.images, max(total, s.images))
		}
		if o.seen != nil {
			o.seen(s.images)
		}
	}
	return s.finish(ctx, w, start, look(ctx, m), total)
}

// files opens the image files and leaves those out that cannot be read, where that is
// wanted.
func (s *session) files(ctx context.Context, w work, paths []string) (subjects, error) {
	ids, err := w.imageIDs(paths)
	if err != nil {
		return nil, err
	}
	names := map[string]string{}
	for i, name := range pictureNames(paths) {
		names[paths[i]] = name
	}
	files, bad := train.OpenFiles(ctx, paths, ids)
	switch {
	case ctx.Err() != nil:
		return nil, errors.New("stopped before the first image")
	case len(bad) > 0 && !s.o.leaveOut():
		return nil, cli.Input(fmt.Errorf("%w; %d of %d files cannot be read: repair them, or leave them out with --skip-bad or --keep-going", bad[0], len(bad), len(paths)))
	case files.Len() == 0:
		return nil, cli.Input(fmt.Errorf("no image can be read, the first: %w", bad[0]))
	}
	s.bad = bad
	return subjectsOf(files, names), nil
}

// finish ends the outputs and says how it went; err is what ended the work early. What
// was found before is kept.
func (s *session) finish(ctx context.Context, w work, start time.Time, err error, total int) error {
	took := time.Since(start).Seconds()
	for _, b := range s.bad {
		fmt.Fprintf(s.o.streams.Err, "skipped: %v\n", b)
	}
	skipped := s.bad
	var unreadable *augment.ImageError
	var cut *videoError
	switch {
	case err == nil:
	case ctx.Err() != nil:
		err = fmt.Errorf("stopped after %d of %d images", s.images, total)
	case errors.As(err, &unreadable) || errors.As(err, &cut):
		skipped = append(skipped, err)
		err = cli.Input(fmt.Errorf("%w; repair it, or go on with --skip-bad or --keep-going; the results of the %d images before are kept", err, s.images))
	}
	if err != nil && s.images == 0 { // older files stay
		s.outputs.discard()
		return err
	}
	sheet, bad := s.drawing.finish(w.sheet)
	if bad = errors.Join(bad, s.outputs.close(skipped)); err == nil {
		err = bad
	} else if bad != nil {
		err = fmt.Errorf("%w\n%w", err, bad)
	}
	if err != nil {
		return err
	}
	out := s.o.streams.Out
	if s.o.toStdout() {
		out = s.o.streams.Err
	}
	header, cells := w.summary()
	t := report.NewTable(append(append([]string{"images", "skipped"}, header...), "seconds", "images a second", "sheet")...)
	t.Row(append(append([]any{s.images, len(s.bad)}, cells...), took, fmt.Sprintf("%.1f", float64(s.images)/took), sheet)...)
	if err := t.Write(out, s.o.streams.Terminal); err != nil {
		return err
	}
	if s.o.keepGoing && len(s.bad) > 0 {
		return fmt.Errorf("%d of %d files could not be read; the results of the others are whole", len(s.bad), len(s.bad)+s.images)
	}
	return nil
}
