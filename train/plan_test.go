package train

import (
	"context"
	"path/filepath"
	"strconv"
	"testing"

	"manvision/config"
	"manvision/report/progress"
)

func byteCount(n int64) string { return strconv.FormatInt(n, 10) }

// A plan allocates nothing, its parts add up, and K blocks work in the largest of
// them.
func TestPlanAllocatesNothing(t *testing.T) {
	dev := onCPU(t, 2)
	cfg := recipe(t, t.TempDir(), "run")
	p, err := Plan(cfg, dev, 6, 2, 64, 96)
	if err != nil {
		t.Fatal(err)
	}
	if _, peak := dev.Allocated(); peak != 0 {
		t.Errorf("planning allocated %d bytes", peak)
	}
	if len(p.Recipe.Memory.Blocks) != 4 || len(p.EndToEnd.Memory.Blocks) != 1 {
		t.Fatalf("blocks %v and %v", p.Recipe.Memory.Blocks, p.EndToEnd.Memory.Blocks)
	}
	for _, o := range []PlanOf{p.Recipe, p.EndToEnd} {
		m := o.Memory
		var largest int64
		for _, b := range m.Blocks {
			largest = max(largest, b)
		}
		if m.Arena != largest || o.Total != m.Arena+m.Boundary+m.Parameters+m.State+m.Gradients {
			t.Errorf("%s: parts do not add up: %+v", o.Strategy, o)
		}
		// Momentum is one copy of the parameters, and so are the gradients that clipping keeps,
		// but for the last block's.
		if m.State == 0 || m.Gradients >= m.State || (m.Gradients == 0) != (o.Strategy == "e2e") {
			t.Errorf("%s: state %d, gradients %d", o.Strategy, m.State, m.Gradients)
		}
	}
	if p.Recipe.InferenceParameters != p.EndToEnd.TrainingParameters {
		t.Errorf("inference holds %d parameters, end to end %d", p.Recipe.InferenceParameters, p.EndToEnd.TrainingParameters)
	}
	for _, bad := range [][4]int{{0, 2, 64, 64}, {6, 0, 64, 64}, {6, 2, 65, 64}, {6, 2, 64, 0}} {
		if _, err := Plan(cfg, dev, bad[0], bad[1], bad[2], bad[3]); err == nil {
			t.Errorf("planned %v", bad)
		}
	}
}

// What a run allocates on the device is what was planned, within 2 %: the rest are
// labels and box targets.
func TestRunKeepsToThePlan(t *testing.T) {
	root := t.TempDir()
	for _, sets := range [][]string{nil, {"manpp.strategy=e2e"}, {"manpp.partition=every-unit", "optim.clip_norm=0"}} {
		var l *Outline
		res, err := Run(context.Background(), recipe(t, root, filepath.Join(t.TempDir(), "run"), sets...), Options{Open: openCPU,
			Begin: func(o *Outline) *progress.Progress { l = o; return nil }})
		if err != nil {
			t.Fatal(err)
		}
		if m := res.Memory; m.Allocated < m.Planned || float64(m.Allocated) > 1.02*float64(m.Planned) || l.Memory.Total() != m.Planned {
			t.Errorf("%v: planned %d, then %d, allocated %d", sets, l.Memory.Total(), m.Planned, m.Allocated)
		}
		if l.TrainImages != 12 || l.ValImages != 4 || l.Steps != 7 || l.StepsPerEpoch != 3 {
			t.Errorf("outline %+v", l)
		}
	}
}

func TestPlanSizeIsTheLargestCanvas(t *testing.T) {
	cfg := &config.Config{Task: "detection", Data: config.Data{ShortSide: 600, LongSide: 1000}, Train: config.Train{Batch: 2}}
	// 600 and 1000 rounded up to multiples of 32.
	if n, h, w := PlanSize(cfg); n != 2 || h*w != 608*1024 {
		t.Errorf("%dx%dx%d", n, h, w)
	}
}

// Balanced cuts need no more memory than cuts by stage, heads included.
func TestBalancedPartition(t *testing.T) {
	dev := onCPU(t, 2)
	for _, recipe := range []func(*testing.T, string, string, ...string) *config.Config{recipe, labelRecipe} {
		root := t.TempDir()
		stages, err := Plan(recipe(t, root, "run"), dev, 6, 4, 64, 64)
		if err != nil {
			t.Fatal(err)
		}
		balanced, err := Plan(recipe(t, root, "run", "manpp.partition=balanced", "manpp.blocks=4"), dev, 6, 4, 64, 64)
		if err != nil {
			t.Fatal(err)
		}
		if len(balanced.Recipe.Cuts) != 3 || balanced.Recipe.Total > stages.Recipe.Total {
			t.Errorf("cuts %v plan %d bytes, stages %d", balanced.Recipe.Cuts, balanced.Recipe.Total, stages.Recipe.Total)
		}
	}
	if _, peak := dev.Allocated(); peak != 0 {
		t.Errorf("planning allocated %d bytes", peak)
	}
}

// The plan without data, evaluation included, is that of the run, which allocates at most
// 5 % more.
func TestPlanIsTheRuns(t *testing.T) {
	root := t.TempDir()
	for _, sets := range [][]string{nil, {"eval.batch=32"}, {"manpp.strategy=e2e", "precision=bf16"}} {
		cfg := recipe(t, root, filepath.Join(root, strconv.Itoa(len(sets))), append(sets, "train.steps=2", "schedule.warmup_steps=0")...)
		dev := onCPU(t, 2)
		n, h, w := PlanSize(cfg)
		p, err := Plan(cfg, dev, 6, n, h, w)
		if err != nil {
			t.Fatal(err)
		}
		r, err := Run(context.Background(), cfg, Options{Open: openCPU})
		if err != nil {
			t.Fatal(err)
		}
		if plan := p.Recipe.Total + p.Recipe.Evaluation; r.Memory.Planned != plan {
			t.Errorf("%v: the run plans %d bytes, the plan has %d", sets, r.Memory.Planned, plan)
		}
		if p.Recipe.Evaluation <= 0 || float64(r.Memory.Allocated) > 1.05*float64(r.Memory.Planned) {
			t.Errorf("%v: evaluation adds %d bytes; %d of %d allocated", sets, p.Recipe.Evaluation, r.Memory.Allocated, r.Memory.Planned)
		}
	}
}
