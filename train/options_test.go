package train

import (
	"context"
	"errors"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"manvision/data"
	"manvision/data/augment"
	"manvision/weights"
)

// The average follows its definition from one step to the next, the parts of local
// training are not averaged, and the weights in training are those of a run without
// it. A run with an average and one without do not go on from each other's
// checkpoints.
func TestWeightAverage(t *testing.T) {
	root := t.TempDir()
	cifarFiles(t, root)
	dir := t.TempDir()
	train := func(name string, o Options, sets ...string) (*weights.Checkpoint, error) {
		t.Helper()
		o.Open = openCPU
		res, err := Run(context.Background(), classRecipe(t, root, filepath.Join(dir, name), append([]string{"schedule.name=constant", "train.steps=6"}, sets...)...), o)
		if err != nil && !errors.Is(err, ErrInterrupted) {
			return nil, err
		}
		c, err := weights.Load(res.Checkpoint)
		if err != nil {
			t.Fatal(err)
		}
		return c, nil
	}
	const decay = "train.weight_ema=0.15"
	var at [2]*weights.Checkpoint
	for i := range at {
		var err error
		if at[i], err = train([]string{"three", "four"}[i], Options{StopAfter: int64(3 + i)}, decay); err != nil {
			t.Fatal(err)
		}
	}
	plain, err := train("plain", Options{StopAfter: 4})
	if err != nil {
		t.Fatal(err)
	}
	tensors := func(c *weights.Checkpoint) map[string][]float32 {
		out := map[string][]float32{}
		for _, list := range [][]weights.Tensor{c.Params, c.Buffers, c.Optimizer} {
			for _, x := range list {
				out[x.Name] = x.Data
			}
		}
		return out
	}
	before, after, without := tensors(at[0]), tensors(at[1]), tensors(plain)
	seen := 0
	for name, now := range after {
		raw, ok := after[averaged+name]
		if !ok {
			if !strings.HasPrefix(name, averaged) && !equal(now, without[name]) {
				t.Errorf("%s is not what a run without average has", name)
			}
			continue
		}
		seen++
		if !equal(raw, without[name]) {
			t.Errorf("%s in training is not what a run without average has", name)
		}
		for k, w := range raw {
			was := float64(before[name][k])
			want := was + 0.85*(float64(w)-was) // step 3: min(0.15, 4/13) is the decay
			if math.Abs(want-float64(now[k])) > 1e-6 {
				t.Fatalf("%s[%d] is %v, want %v", name, k, now[k], want)
			}
		}
	}
	if seen < 50 {
		t.Errorf("%d variables averaged", seen)
	}
	if _, err := train("four", Options{Resume: true}); err == nil || !strings.Contains(err.Error(), "train.weight_ema: 0.15 -> 0 (") {
		t.Error(err)
	}
	if _, err := train("plain", Options{Resume: true}, decay); err == nil || !strings.Contains(err.Error(), "train.weight_ema: 0 -> 0.15 (") {
		t.Error(err)
	}
}

// The average is a model like others: what scores best is loaded and scores the same.
func TestAverageScoresAsEvaluated(t *testing.T) {
	root := t.TempDir()
	cifarFiles(t, root)
	res, err := Run(context.Background(), classRecipe(t, root, filepath.Join(root, "run"), "train.weight_ema=0.9"), Options{Open: openCPU})
	if err != nil {
		t.Fatal(err)
	}
	cfg, names, err := RecipeOf(res.Checkpoint)
	if err != nil {
		t.Fatal(err)
	}
	dev := onCPU(t, 2)
	m, err := LoadModel(cfg, dev, names, res.Checkpoint)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	src, err := OpenVal(context.Background(), cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	s, err := m.Predictor.Score(context.Background(), src, nil)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(res.Summary.Values(), s.Values()); d != "" {
		t.Error(d)
	}
}

// Images are mixed with those from the other end, one in the middle with itself; the
// step decides by how much.
func TestMixup(t *testing.T) {
	fresh := func(step int64) *data.Batch {
		return &data.Batch{N: 3, Images: []float32{1, 2, 10, 20, 100, 200}, Classes: []int32{4, 5, 6}, Step: step}
	}
	b := fresh(7)
	others, shares := mixup(b, 1, 1)
	s := float32(shares[0])
	want := []float32{s*1 + (1-s)*100, s*2 + (1-s)*200, 10, 20, s*100 + (1-s)*1, s*200 + (1-s)*2}
	if d := cmp.Diff(want, b.Images); d != "" || !cmp.Equal(others, []int32{6, 5, 4}) || shares[1] != shares[0] || !(s > 0 && s < 1) {
		t.Error(d, others, shares)
	}
	if _, again := mixup(fresh(7), 1, 1); again[0] != shares[0] {
		t.Error("the same step draws another share")
	}
	if _, next := mixup(fresh(8), 1, 1); next[0] == shares[0] {
		t.Error("the next step draws the same share")
	}
}

// Beta(a, a) has mean 1/2 and variance 1/(4(2a+1)).
func TestBeta(t *testing.T) {
	r := augment.NewRandom(3)
	for _, a := range []float64{0.001, 0.2, 1, 4} {
		const n = 20000
		var sum, squares float64
		for range n {
			v := beta(&r, a)
			if !(v >= 0 && v <= 1) {
				t.Fatalf("%v", v)
			}
			sum += v
			squares += (v - 0.5) * (v - 0.5)
		}
		if variance := 1 / (4 * (2*a + 1)); math.Abs(sum/n-0.5) > 0.015 || math.Abs(squares/n-variance) > 0.01 {
			t.Errorf("a=%v: mean %v, variance %v, want %v", a, sum/n, squares/n, variance)
		}
	}
}
