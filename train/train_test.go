package train

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"manvision/config"
	"manvision/device"
	"manvision/device/cpu"
	"manvision/weights"
)

func openCPU(threads int) (device.Device, error) { return cpu.New(cpu.Options{Threads: threads}) }

// onCPU opens the CPU device for a test.
func onCPU(t *testing.T, threads int) device.Device {
	t.Helper()
	dev, err := openCPU(threads)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dev.Close() })
	return dev
}

const tiny = `
name: tiny
model: {backbone: resnet18, width: 16, fpn_channels: 16, head_convs: 1, anchors: {sizes: [16, 32, 64, 96, 128]}}
manpp: {strategy: manpp, partition: stages, local_head_convs: 1}
data:
  format: shapes
  train: {images: train, annotations: annotations/instances_train.json}
  val: {images: val, annotations: annotations/instances_val.json}
  shapes: {train: 12, val: 4, size: 64, seed: 3}
  fixed_size: [64, 64]
  workers: 2
optim: {lr: 0.01}
schedule: {name: cosine, warmup_steps: 3}
train: {batch: 4, steps: 7, eval_every: 0, checkpoint_every: 0, log_every: 2}
eval: {batch: 4}
threads: 2
`

// recipe returns the tiny recipe with its data in a folder shared by one test.
func recipe(t *testing.T, root, out string, sets ...string) *config.Config {
	t.Helper()
	cfg, err := config.Parse(filepath.Join(root, "tiny.yaml"), []byte(tiny), append([]string{"data.root=" + filepath.Join(root, "shapes"), "output=" + out}, sets...))
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// same reports whether two checkpoints hold equal tensors, bit for bit.
func same(t *testing.T, a, b string) {
	t.Helper()
	x, err := weights.Load(a)
	if err != nil {
		t.Fatal(err)
	}
	y, err := weights.Load(b)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []struct {
		name string
		x, y []weights.Tensor
	}{{"parameters", x.Params, y.Params}, {"buffers", x.Buffers, y.Buffers}, {"optimizer", x.Optimizer, y.Optimizer}} {
		if len(part.x) != len(part.y) || len(part.x) == 0 {
			t.Fatalf("%d and %d %s", len(part.x), len(part.y), part.name)
		}
		for i := range part.x {
			if part.x[i].Name != part.y[i].Name || !equal(part.x[i].Data, part.y[i].Data) {
				t.Errorf("%s: %s differs", part.name, part.x[i].Name)
			}
		}
	}
}

func equal(a, b []float32) bool {
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return len(a) == len(b)
}

// A run stopped in the middle of an epoch (5 of 3 steps an epoch) and resumed,
// with another number of loader workers, ends with the same bits as one that was
// not stopped.
func TestResumeIsExact(t *testing.T) {
	root := t.TempDir()
	for _, sets := range [][]string{{"optim.clip_norm=1"}, {"optim.clip_norm=0"}, {"train.accumulate=2"}, {"optim.name=adamw", "optim.lr=0.001"}} {
		t.Run(sets[0], func(t *testing.T) {
			dir := t.TempDir()
			whole, err := Run(context.Background(), recipe(t, root, filepath.Join(dir, "a"), sets...), Options{Open: openCPU})
			if err != nil {
				t.Fatal(err)
			}
			out := filepath.Join(dir, "b")
			part, err := Run(context.Background(), recipe(t, root, out, sets...), Options{Open: openCPU, StopAfter: 5})
			if !errors.Is(err, ErrInterrupted) {
				t.Fatalf("stopped run: %v", err)
			}
			if part.Step != 5 {
				t.Fatalf("stopped after step %d", part.Step)
			}
			rest, err := Run(context.Background(), recipe(t, root, out, append(sets, "data.workers=1")...), Options{Open: openCPU, Resume: true})
			if err != nil {
				t.Fatal(err)
			}
			same(t, whole.Checkpoint, rest.Checkpoint)
			a, _ := os.ReadFile(filepath.Join(dir, "a", "log.csv"))
			b, _ := os.ReadFile(filepath.Join(out, "log.csv"))
			if bytes.Count(a, []byte("\n")) != bytes.Count(b, []byte("\n")) {
				t.Errorf("logs differ in length:\n%s\n%s", a, b)
			}
		})
	}
}

// Resuming a finished run trains nothing and evaluates what there is.
func TestResumeAfterTheEnd(t *testing.T) {
	root := t.TempDir()
	out := filepath.Join(root, "run")
	first, err := Run(context.Background(), recipe(t, root, out), Options{Open: openCPU})
	if err != nil {
		t.Fatal(err)
	}
	again, err := Run(context.Background(), recipe(t, root, out), Options{Open: openCPU, Resume: true})
	if err != nil {
		t.Fatal(err)
	}
	if again.Step != first.Step || again.Summary == nil || !cmp.Equal(again.Summary.Values(), first.Summary.Values()) {
		t.Errorf("step %d, %+v; the first run ended at step %d with %v", again.Step, again.Summary, first.Step, first.Summary)
	}
	m, err := weights.LoadMeta(first.Checkpoint)
	if err != nil || m.Epoch != 2 { // 7 steps of 3 an epoch
		t.Errorf("epochs completed: %d, %v", m.Epoch, err)
	}
}

func TestRunRefuses(t *testing.T) {
	root := t.TempDir()
	out := filepath.Join(root, "run")
	if _, err := Run(context.Background(), recipe(t, root, out), Options{Open: openCPU, Resume: true}); err == nil {
		t.Error("resumed without a checkpoint")
	}
	if _, err := Run(context.Background(), recipe(t, root, out, "train.steps=4"), Options{Open: openCPU}); err != nil {
		t.Fatal(err)
	}
	if _, err := Run(context.Background(), recipe(t, root, out), Options{Open: openCPU}); err == nil {
		t.Error("overwrote an earlier run")
	}
	var other *weights.IdentityError
	_, err := Run(context.Background(), recipe(t, root, out, "model.fpn_channels=32"), Options{Open: openCPU, Resume: true})
	if !errors.As(err, &other) {
		t.Errorf("checkpoint of another model: %v", err)
	}
	if _, err := Run(context.Background(), recipe(t, root, out, "seed=9"), Options{Open: openCPU, Resume: true}); err == nil {
		t.Error("resumed with another seed")
	}
}

func TestCancelSaves(t *testing.T) {
	root := t.TempDir()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	cfg := recipe(t, root, filepath.Join(root, "run"), "train.steps=100000", "train.log_every=1")
	go func() {
		for {
			if b, _ := os.ReadFile(filepath.Join(cfg.Output, "log.csv")); bytes.Count(b, []byte("\n")) > 3 {
				cancel()
				return
			}
		}
	}()
	r, err := Run(ctx, cfg, Options{Open: openCPU})
	if !errors.Is(err, ErrInterrupted) {
		t.Fatal(err)
	}
	if m, err := weights.LoadMeta(r.Checkpoint); err != nil || m.Step != r.Step {
		t.Fatalf("checkpoint of step %d: %v", r.Step, err)
	}
}
