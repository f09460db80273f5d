package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"manvision/config"
	"manvision/data/augment"
	"manvision/data/coco"
	"manvision/data/labelmap"
	"manvision/internal/cli"
	"manvision/report/progress"
	"manvision/train"
)

func runModel(ctx context.Context, o *modelOptions) error {
	cfg, err := config.Load(o.config, o.sets)
	if err != nil {
		return cli.Input(err)
	}
	news := func(text string) { fmt.Fprintln(o.streams.Err, text) }
	src, err := train.OpenVal(ctx, cfg, news)
	if err != nil {
		return cli.Input(err)
	}
	dev, err := o.open(train.Threads(cfg))
	if err != nil {
		return err
	}
	defer dev.Close()
	m, err := train.LoadModel(cfg, dev, src.Classes(), o.checkpoint)
	if err != nil {
		return cli.Input(err)
	}
	defer m.Close()
	fmt.Fprintf(o.streams.Err, "%s:\n%s", o.checkpoint, m.Report)
	for _, n := range m.Notes {
		news("warning: " + n)
	}
	boxes, isDetector := m.Predictor.(*train.DetectionPredictor)
	if o.results != "" && !isDetector {
		return cli.Usage("--results: a COCO results file is for detections; the recipe's task is %s", cfg.Task)
	}
	start := time.Now()
	var s *train.Summary
	var found []coco.Result
	if isDetector {
		s, found, err = boxes.Evaluate(ctx, src, o.progress())
	} else {
		s, err = m.Predictor.Score(ctx, src, o.progress())
	}
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
	return o.finish(s, found, start)
}

// finish prints and writes the result of an evaluation.
func (o *modelOptions) finish(s *train.Summary, found []coco.Result, start time.Time) error {
	news := func(text string) { fmt.Fprintln(o.streams.Err, text) }
	for _, w := range s.Warnings {
		news("warning: " + w)
	}
	if o.results != "" {
		if err := coco.WriteResults(o.results, found); err != nil {
			return err
		}
	}
	if o.json != "" {
		if err := cli.WriteJSON(o.json, o.streams.Out, s); err != nil {
			return err
		}
	}
	if o.json != "-" {
		if err := writeSummary(o.streams, s.Detail, o.perClass); err != nil {
			return err
		}
	}
	if took := time.Since(start).Seconds(); o.streams.ErrTerminal {
		news(fmt.Sprintf("%d images in %.1f s, %.1f a second", s.Images, took, float64(s.Images)/took))
	}
	return nil
}

// progress shows the images done on a terminal.
func (o *modelOptions) progress() func(done, total int) {
	if !o.streams.ErrTerminal {
		return nil
	}
	start := time.Now()
	return func(done, total int) {
		left := time.Duration(float64(time.Since(start)) / float64(done) * float64(total-done))
		fmt.Fprintf(o.streams.Err, "\r%d/%d images  eta %s  ", done, total, progress.Duration(left))
		if done >= total {
			fmt.Fprint(o.streams.Err, "\r\x1b[K")
		}
	}
}
