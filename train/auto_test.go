package train

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"manvision/config"
	"manvision/device"
	"manvision/weights"
)

const auto = "manpp.concurrency=auto"

// paced is a measurement in which a step takes as long as the table says by the number of
// blocks at once.
func paced(seconds map[int]float64) pacer {
	return func(fewer, more int) (a, b pace, err error) {
		return pace{seconds[fewer], 9}, pace{seconds[more], 9}, nil
	}
}

// unpaced is for runs that must not measure.
func unpaced(int, int) (a, b pace, err error) { return a, b, errors.New("measured") }

// A run with auto has the bits of one with the number that the measurement says, whichever
// that is; the number stands in its recipe, and a run that goes on takes it from there.
func TestConcurrencyAuto(t *testing.T) {
	root := t.TempDir()
	for _, c := range []struct {
		n       int
		seconds map[int]float64
		line    string
	}{
		{1, map[int]float64{1: 0.02, 2: 0.0191}, "manpp.concurrency auto: one block at a time: a step takes 0.02 s with 1, 0.0191 s with 2 (medians of 9)"},
		{2, map[int]float64{1: 0.02, 2: 0.0189}, "manpp.concurrency auto: 2 blocks at once: a step takes 0.02 s with 1, 0.0189 s with 2 (medians of 9)"},
	} {
		var said []string
		run := func(name string, o Options, sets ...string) (*Result, error) {
			said = nil
			o.Open, o.Say = openCPU, func(text string) { said = append(said, text) }
			return Run(context.Background(), recipe(t, root, filepath.Join(root, fmt.Sprint(c.n, name)), append(sets, "optim.clip_norm=1")...), o)
		}
		number := fmt.Sprintf("manpp.concurrency=%d", c.n)
		written, err := run("written", Options{}, number)
		if err != nil {
			t.Fatal(err)
		}
		whole, err := run("auto", Options{pacer: paced(c.seconds)}, auto)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(strings.Join(said, "\n"), c.line) {
			t.Errorf("%d: said %q", c.n, said)
		}
		same(t, written.Checkpoint, whole.Checkpoint)
		if written.Memory.Planned != whole.Memory.Planned || written.Memory.Allocated != whole.Memory.Allocated {
			t.Errorf("%d: memory %+v, with the number written %+v", c.n, whole.Memory, written.Memory)
		}
		text, err := os.ReadFile(filepath.Join(root, fmt.Sprint(c.n, "auto"), "config.yaml"))
		if want := fmt.Sprintf("concurrency: %d # --set manpp.concurrency=auto, chosen: a step takes ", c.n); err != nil || !strings.Contains(string(text), want) {
			t.Errorf("%v: no %q in\n%s", err, want, text)
		}
		meta, err := weights.LoadMeta(whole.Checkpoint)
		if err != nil || !strings.Contains(meta.Config, fmt.Sprintf("concurrency: %d\n", c.n)) {
			t.Errorf("%v: recipe in the checkpoint:\n%s", err, meta.Config)
		}
		if _, err := run("halves", Options{pacer: paced(c.seconds), StopAfter: 3}, auto); !errors.Is(err, ErrInterrupted) {
			t.Fatal(err)
		}
		_, err = run("halves", Options{Resume: true}, fmt.Sprintf("manpp.concurrency=%d", 3-c.n))
		var refused *PolicyError
		if !errors.As(err, &refused) || refused.Needs != ResumeLR {
			t.Errorf("%d: resumed with another number: %v", c.n, err)
		}
		halves, err := run("halves", Options{Resume: true, pacer: unpaced}, auto)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(strings.Join(said, "\n"), "as in the checkpoint") {
			t.Errorf("%d: resumed, said %q", c.n, said)
		}
		same(t, whole.Checkpoint, halves.Checkpoint)
		if _, err := run("auto", Options{pacer: unpaced}, auto); err == nil || !strings.Contains(err.Error(), "holds checkpoints of an earlier run") {
			t.Errorf("begun again: %v", err)
		}
	}
}

// A run that measures by itself takes one of the numbers that there are, leaves nothing
// allocated of it, and has the bits of one with that number.
func TestConcurrencyMeasured(t *testing.T) {
	root := t.TempDir()
	measured, err := Run(context.Background(), recipe(t, root, filepath.Join(root, "a"), auto), Options{Open: openCPU})
	if err != nil {
		t.Fatal(err)
	}
	meta, err := weights.LoadMeta(measured.Checkpoint)
	if err != nil {
		t.Fatal(err)
	}
	before, err := config.Parse("checkpoint", []byte(meta.Config), nil)
	if err != nil {
		t.Fatal(err)
	}
	n := before.MANPP.Concurrency
	if n != 1 && n != 2 {
		t.Fatalf("%d blocks at once", n)
	}
	written, err := Run(context.Background(), recipe(t, root, filepath.Join(root, "b"), fmt.Sprintf("manpp.concurrency=%d", n)), Options{Open: openCPU})
	if err != nil {
		t.Fatal(err)
	}
	same(t, measured.Checkpoint, written.Checkpoint)
	if measured.Memory.Allocated != written.Memory.Allocated {
		t.Errorf("%d bytes allocated, %d without measuring", measured.Memory.Allocated, written.Memory.Allocated)
	}
	ctx, cancel := context.WithCancel(context.Background())
	o := Options{Open: openCPU, Say: func(text string) {
		if strings.Contains(text, "measuring") {
			cancel()
		}
	}}
	if _, err := Run(ctx, recipe(t, root, filepath.Join(root, "c"), auto), o); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// Made-up batches train networks of every task, in parts too.
func TestStage(t *testing.T) {
	root := t.TempDir()
	for _, cfg := range []*config.Config{
		recipe(t, root, "/out", auto, "train.accumulate=2"),
		recipe(t, root, "/out", auto, "optim.clip_norm=1", "precision=bf16"),
		labelRecipe(t, root, "/out", auto),
		classRecipe(t, root, "/out", auto, "train.mixup=0.2"),
	} {
		task, err := TaskOf(cfg)
		if err != nil {
			t.Fatal(err)
		}
		dev, err := openCPU(2)
		if err != nil {
			t.Fatal(err)
		}
		s := &stage{task: task, cfg: cfg, dev: dev, classes: task.Numbered(10)}
		for lanes := 1; lanes <= 2; lanes++ {
			trial, err := s.try(lanes)
			if err != nil {
				t.Fatalf("%s: %v", cfg.Task, err)
			}
			if err := trial.train(context.Background(), 2); err != nil || len(trial.took) != 2 || trial.pace().seconds <= 0 {
				t.Errorf("%s, %d at once: %v %v", cfg.Task, lanes, trial.took, err)
			}
			trial.close()
		}
		if now, _ := dev.Allocated(); now != 0 {
			t.Errorf("%s: %d bytes are left", cfg.Task, now)
		}
		s.close()
	}
}

// Twice as many blocks at once are taken for as long as each is faster beyond noise.
func TestChoose(t *testing.T) {
	for _, c := range []struct {
		seconds map[int]float64
		n       int
	}{
		{map[int]float64{1: 1, 2: 0.96, 4: 0.1}, 1},
		{map[int]float64{1: 1, 2: 0.94, 4: 0.9}, 2},
		{map[int]float64{1: 1, 2: 0.8, 4: 0.7}, 4},
	} {
		n, how, err := choose([]int{1, 2, 4}, paced(c.seconds))
		if n != c.n || err != nil {
			t.Errorf("%v: %d (%s) %v", c.seconds, n, how, err)
		}
	}
	if n, how, err := choose([]int{1, 2}, unpaced); n != 1 || how != "2 at once: measured" || err != nil {
		t.Errorf("a measurement that fails: %d %q %v", n, how, err)
	}
}

// Where blocks cannot run at once auto is one, and says why.
func TestConcurrencyAutoAlone(t *testing.T) {
	root := t.TempDir()
	dev := onCPU(t, 4)
	for _, c := range []struct {
		sets string
		dev  device.Device
		want string
	}{
		{"manpp.strategy=e2e", dev, "strategy e2e has one block"},
		{"optim.clip_norm=1 optim.clip=block", dev, "with optim.clip block"},
		{"manpp.partition=balanced manpp.blocks=0 manpp.memory_limit=1GiB", dev, "manpp.memory_limit"},
		{"", struct{ device.Device }{dev}, "device cpu/onednn runs one block at a time"},
	} {
		numbers, why := atOnce(recipe(t, root, "/out", append(strings.Fields(c.sets), auto)...), c.dev, 4)
		if len(numbers) != 1 || numbers[0] != 1 || !strings.Contains(why, c.want) {
			t.Errorf("%s: %v %q", c.sets, numbers, why)
		}
	}
	if numbers, why := atOnce(recipe(t, root, "/out", auto), dev, 3); fmt.Sprint(numbers) != "[1 2]" || why != "" {
		t.Errorf("3 blocks on 4 threads: %v %q", numbers, why)
	}
	for sets, want := range map[string]string{
		"manpp.strategy=e2e": "manpp.concurrency auto: one block at a time: strategy e2e has one block, which runs alone",
		"threads=1":          "manpp.concurrency auto: one block at a time: there is one thread",
	} {
		var said []string
		out := filepath.Join(root, sets)
		if _, err := Run(context.Background(), recipe(t, root, out, sets, auto, "train.steps=4"), Options{Open: openCPU, pacer: unpaced, Say: func(text string) { said = append(said, text) }}); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(filepath.Join(out, "config.yaml"))
		if err != nil || !strings.Contains(string(text), "concurrency: 1 # ") || !strings.Contains(strings.Join(said, "\n"), want) {
			t.Errorf("%v: %s: said %q, recipe\n%s", err, sets, said, text)
		}
	}
}

// The plan of a recipe with auto shows every number that a run may choose.
func TestPlanOfAuto(t *testing.T) {
	root := t.TempDir()
	dev := onCPU(t, 4)
	plan := func(sets ...string) *MemoryPlan {
		p, err := Plan(recipe(t, root, "/out", append(sets, "threads=4")...), dev, 3, 4, 64, 64)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	p, one, two := plan(auto), plan(), plan("manpp.concurrency=2")
	if p.Recipe.Total != one.Recipe.Total || len(p.AtOnce) != 2 || p.AtOnce[0].Total != two.Recipe.Total || p.AtOnce[1].Memory.Lanes != 4 || one.AtOnce != nil ||
		!strings.Contains(p.Note, "manpp.concurrency auto: the run measures") {
		t.Errorf("%+v", p)
	}
	if p := plan(auto, "manpp.strategy=e2e"); p.AtOnce != nil || !strings.Contains(p.Note, "one block at a time: strategy e2e") {
		t.Errorf("%+v", p)
	}
	c, err := CheckModel(recipe(t, root, "/out", auto, "threads=4"), dev, nil)
	if err != nil || c.AtOnce == nil || c.AtOnce.Lanes != 4 || c.AtOnce.Total() <= c.Memory.Total() {
		t.Errorf("%+v %v", c, err)
	}
}
