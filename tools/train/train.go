package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"manvision/config"
	"manvision/data/augment"
	"manvision/data/labelmap"
	"manvision/device"
	"manvision/internal/cli"
	"manvision/report"
	"manvision/report/progress"
	"manvision/train"
)

// mostClasses bounds the classes whose numbers are printed at the end of a run.
const mostClasses = 100

// result is what --json and result.json hold.
type result struct {
	Name       string          `json:"name"`
	Status     string          `json:"status"` // "done", "stopped", "failed", "expected results missed"
	Error      string          `json:"error,omitempty"`
	Step       int64           `json:"step"`
	Checkpoint string          `json:"checkpoint"`
	Metrics    *train.Summary  `json:"metrics,omitempty"`
	Seconds    float64         `json:"seconds"` // of this process, all in all
	Train      float64         `json:"training_seconds"`
	Eval       float64         `json:"evaluation_seconds"`
	Save       float64         `json:"checkpoint_seconds"`
	Images     float64         `json:"images_per_second"` // of training
	DataWait   float64         `json:"data_wait"`         // share of training, 0 to 1
	Skipped    int             `json:"skipped_images"`
	Memory     train.MemoryUse `json:"memory"`
	Origin     origin          `json:"origin"`
	Outline    *train.Outline  `json:"outline"`
}

func runTrain(ctx context.Context, o *options, cfg *config.Config) error {
	out, terminal := o.streams.Out, o.streams.Terminal
	if o.json == "-" {
		out, terminal = o.streams.Err, o.streams.ErrTerminal
	}
	var outline *train.Outline
	var broken error // the device's own failure
	opts := train.Options{
		Resume: o.resume, ResumeAuto: o.auto, Policy: train.ResumePolicy(o.policy),
		Open: func(threads int) (device.Device, error) {
			dev, err := o.open(threads)
			broken = err
			return dev, err
		},
		Say: func(text string) { fmt.Fprintln(out, text) },
		Begin: func(l *train.Outline) *progress.Progress {
			outline = l
			writeOutline(out, terminal, cfg, l)
			p := progress.New(out, terminal, l.Steps)
			p.Every = int64(cfg.Train.LogEvery)
			return p
		},
	}
	from := originOf(o.config)
	prof, err := o.startProfile(cfg, func(text string) { fmt.Fprintln(out, text) })
	if err != nil {
		return err
	}
	opts.Profile = prof.recorder
	res, err := train.Run(ctx, cfg, opts)
	profErr := prof.finish()
	if outline == nil { // nothing was trained
		if broken != nil {
			return err
		}
		return cli.Input(err)
	}
	r := &result{Name: cfg.Name, Status: "done", Step: res.Step, Checkpoint: res.Checkpoint, Metrics: res.Summary, Seconds: res.Seconds,
		Eval: res.EvalSeconds, Save: res.SaveSeconds, Skipped: len(res.Stats.Skipped), Memory: res.Memory, Origin: from, Outline: outline}
	r.Train = res.Seconds - res.EvalSeconds - res.SaveSeconds
	if r.Train > 0 {
		r.Images = float64(res.Stats.Images) / r.Train
		r.DataWait = res.Stats.Wait.Seconds() / r.Train
	}
	var image *augment.ImageError
	var label *labelmap.InputError
	switch {
	case errors.Is(err, train.ErrInterrupted):
		r.Status = "stopped"
		err = fmt.Errorf("stopped after step %d of %d; everything is in %s; go on with:\n  %s", res.Step, outline.Steps, res.Checkpoint, o.resumeLine())
	case errors.As(err, &image) || errors.As(err, &label):
		r.Status, err = "failed", cli.Input(fmt.Errorf("%w; repair it or leave bad images out with --set data.on_bad_image=skip", err))
	case err != nil:
		r.Status = "failed"
	default:
		writeResult(out, terminal, cfg.Task != "detection" && outline.Classes <= mostClasses, r)
		metrics := map[string]float64{}
		if res.Summary != nil {
			metrics = res.Summary.Values()
		}
		if err = cfg.Check(metrics); err != nil {
			r.Status = "expected results missed"
		}
	}
	if err != nil {
		r.Error = err.Error()
	}
	return errors.Join(err, profErr, o.leave(cfg, r, out))
}

// leave writes the curves and the result beside the checkpoints.
func (o *options) leave(cfg *config.Config, r *result, out io.Writer) error {
	errs := []error{curves(cfg, filepath.Join(cfg.Output, "loss.png"))}
	errs = append(errs, cli.WriteJSON(filepath.Join(cfg.Output, "result.json"), nil, r))
	if o.json != "" {
		errs = append(errs, cli.WriteJSON(o.json, o.streams.Out, r))
	}
	if r.Status == "done" {
		fmt.Fprintf(out, "curves      %s\nresult      %s\ncheckpoint  %s\n", filepath.Join(cfg.Output, "loss.png"), filepath.Join(cfg.Output, "result.json"), r.Checkpoint)
	}
	return errors.Join(errs...)
}

// curves draws the losses of the run's log. A run too short to have logged leaves
// no picture.
func curves(cfg *config.Config, path string) error {
	f, err := os.Open(filepath.Join(cfg.Output, "log.csv"))
	if err != nil {
		return err
	}
	defer f.Close()
	head := make([]byte, 4096)
	n, _ := f.Read(head)
	line, rest, _ := strings.Cut(string(head[:n]), "\n")
	if strings.TrimSpace(rest) == "" {
		return nil
	}
	var columns []string
	for _, c := range strings.Split(line, ",") {
		if strings.HasPrefix(c, "block") {
			columns = append(columns, c)
		}
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	series, err := report.ReadCSV(f, "step", columns...)
	if err != nil {
		return err
	}
	return report.SaveCurves(path, report.Chart{Title: cfg.Name + ": loss by block", XLabel: "step", YLabel: "loss", Smooth: 0.6}, series...)
}
