package train

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"manvision/data"
	"manvision/weights"
)

// poison puts a NaN into the images of a step, from 0.
func poison(steps ...int64) func(int64, *data.Batch) {
	return func(step int64, b *data.Batch) {
		for _, s := range steps {
			if step == s {
				b.Images[5] = float32(math.NaN())
			}
		}
	}
}

// A step with a NaN ends the run and reaches no checkpoint. A NaN in an image becomes one
// in the gradients, since ReLU makes 0 of it on the way to the loss. With clipping the
// norm shows it before any update: the run names operation, parameters and images, keeps
// these, and no parameter has changed. Without, the weights are found bad before they are
// saved.
func TestNaNStops(t *testing.T) {
	root := t.TempDir()
	for _, clip := range []string{"optim.clip_norm=0", "optim.clip_norm=1"} {
		t.Run(clip, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "run")
			cfg := recipe(t, root, out, clip, "train.checkpoint_every=2")
			o := Options{Open: openCPU, Say: func(string) {}, tamper: poison(3)}
			r := &run{cfg: cfg, o: o, skip: map[string]bool{}, saved: -1}
			defer r.close()
			if err := r.open(context.Background()); err != nil {
				t.Fatal(err)
			}
			r.o.StopAfter = 3
			if err := r.loop(context.Background(), time.Now()); !errors.Is(err, ErrInterrupted) {
				t.Fatal(err)
			}
			before, err := weights.Load(r.path)
			if err != nil || before.Meta.Step != 3 {
				t.Fatal(err)
			}
			r.o.StopAfter = 0
			err = r.loop(context.Background(), time.Now())
			if m, err := weights.LoadMeta(filepath.Join(out, checkpointFolder, weights.LastName)); err != nil || m.Step != 3 {
				t.Errorf("last checkpoint: %+v, %v", m, err)
			}
			if clip == "optim.clip_norm=0" {
				if !errors.Is(err, errDiverged) || !strings.Contains(err.Error(), "this state is not saved") {
					t.Error(err)
				}
				return
			}
			for _, part := range []string{"the norm of the gradient is NaN", "first in block 1: 1 of 49152 values of block0.input, which conv reads", "gradient of backbone.body.conv1.weight", ".jpg"} {
				if !errors.Is(err, errDiverged) || !strings.Contains(err.Error(), part) {
					t.Fatalf("%v does not say %q", err, part)
				}
			}
			for _, p := range before.Params {
				if strings.Contains(p.Name, ".ema.") {
					continue // may move once more, towards parameters that are sound
				}
				x := make([]float32, len(p.Data))
				if err := r.model.Net().Store.Get(p.Name, x); err != nil || !equal(x, p.Data) {
					t.Errorf("%s changed in a bad step: %v", p.Name, err)
				}
			}
			dir := filepath.Join(out, nanFolder, "step-3")
			text, err := os.ReadFile(filepath.Join(dir, "report.json"))
			var report badStep
			if err == nil {
				err = json.Unmarshal(text, &report)
			}
			if err != nil || report.Block != 1 || report.Step != 3 || len(report.Images) != 4 || report.Images[0].File == "" {
				t.Errorf("%s: %v", text, err)
			}
			f, err := weights.Open(filepath.Join(dir, "images.safetensors"))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if x, err := f.Read("images"); err != nil || len(x.Data) != 4*64*64*3 || !math.IsNaN(float64(x.Data[5])) {
				t.Error(err)
			}
		})
	}
}

// A skipped step changes neither parameters nor optimizer state nor running statistics;
// the run goes on with the next batch, counts it, and a resumed run counts on.
func TestNaNSkips(t *testing.T) {
	root := t.TempDir()
	dir := t.TempDir()
	for _, sets := range [][]string{{"train.accumulate=1"}, {"train.accumulate=2"}, {"train.accumulate=1", "train.weight_ema=0.5"}} {
		sets = append(sets, "optim.clip_norm=1", "train.on_nan=skip", "train.nan_limit=2", "train.log_every=1")
		name := strings.Join(sets[:len(sets)-4], ",")
		state := func(out string, o Options) *weights.Checkpoint {
			t.Helper()
			res, err := Run(context.Background(), recipe(t, root, filepath.Join(dir, name, out), sets...), o)
			if err != nil && !errors.Is(err, ErrInterrupted) {
				t.Fatal(err)
			}
			c, err := weights.Load(res.Checkpoint)
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		before := state("run", Options{Open: openCPU, StopAfter: 3})
		after := state("run", Options{Open: openCPU, StopAfter: 4, Resume: true, tamper: poison(3)})
		for i, list := range [][]weights.Tensor{before.Params, before.Buffers, before.Optimizer} {
			now := [][]weights.Tensor{after.Params, after.Buffers, after.Optimizer}[i]
			for k, x := range list {
				if !strings.Contains(x.Name, ".ema.") && !equal(x.Data, now[k].Data) {
					t.Errorf("%s: %s changed in a skipped step", name, x.Name)
				}
			}
		}
		whole := state("whole", Options{Open: openCPU, tamper: poison(3, 5)})
		rest := state("run", Options{Open: openCPU, Resume: true, tamper: poison(3, 5)})
		for i, x := range whole.Params {
			if !equal(x.Data, rest.Params[i].Data) {
				t.Errorf("%s: %s differs after a resume between skipped steps", name, x.Name)
			}
		}
		log, err := os.ReadFile(filepath.Join(dir, name, "run", logJSON))
		if err != nil || !strings.Contains(string(log), `"skipped_steps":1`) || !strings.Contains(string(log), `"skipped_steps":2`) {
			t.Errorf("%v: %s", err, log)
		}
		// The third is one too many.
		if _, err := Run(context.Background(), recipe(t, root, filepath.Join(dir, name, "more"), sets...), Options{Open: openCPU, tamper: poison(1, 2, 4)}); !errors.Is(err, errDiverged) {
			t.Errorf("%s: three bad steps: %v", name, err)
		}
	}
	if _, err := Run(context.Background(), recipe(t, root, filepath.Join(dir, "block"), "optim.clip_norm=1"), Options{Open: openCPU, tamper: poison(0)}); !errors.Is(err, errDiverged) {
		t.Errorf("on_nan stop: %v", err)
	}
}

// Weights that went bad without a bad loss are not saved.
func TestUnsoundIsNotSaved(t *testing.T) {
	c := &weights.Checkpoint{Params: []weights.Tensor{{Name: "good", Data: []float32{1, math.MaxFloat32}}}}
	if err := sound(c); err != nil {
		t.Error(err)
	}
	for _, x := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		c.Optimizer = []weights.Tensor{{Name: "momentum_buffer/w", Data: []float32{0, float32(x)}}}
		if err := sound(c); !errors.Is(err, errDiverged) || !strings.Contains(err.Error(), "momentum_buffer/w[1]") {
			t.Error(err)
		}
	}
}
