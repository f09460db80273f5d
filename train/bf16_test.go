package train

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"manvision/config"
	"manvision/data"
	"manvision/internal/golden"
	"manvision/manpp"
)

const bf16Recipe = `
name: bf16
output: out
task: classification
model: {backbone: resnet18}
manpp: {strategy: e2e}
data: {format: imagenet, root: images, train: {split: train}, val: {split: val}, classification: {size: [64, 64], resize: 64}}
optim: {name: sgd, lr: 0.1, clip_norm: 1000000} # clipping keeps gradients, this much changes none
train: {batch: 16, steps: 1}
threads: 2
`

// Gradients in bf16 are as near to those in float32 as under PyTorch's autocast, for each
// part of ResNet-18. Rounding of activations to 8 bits moves those of a network with
// random weights by a third of their length, whoever does it; testdata/gen_bf16.py says
// how PyTorch's numbers were made.
func TestBF16LikeAutocast(t *testing.T) {
	text, err := os.ReadFile("testdata/bf16.json")
	if err != nil {
		t.Fatal(err)
	}
	var want struct {
		Losses []float64
		Parts  map[string]struct{ Length, Off float64 }
	}
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	float := autocastGradients(t, "f32", want.Losses)
	half := autocastGradients(t, "bf16", nil)
	length, off := map[string]float64{}, map[string]float64{}
	for name, g := range float {
		part, _, _ := strings.Cut(name, ".")
		for i, v := range g {
			d := half[name][i] - v
			for _, p := range []string{part, "all"} {
				length[p] += v * v
				off[p] += d * d
			}
		}
	}
	for _, p := range slices.Sorted(maps.Keys(want.Parts)) {
		w, l, o := want.Parts[p], math.Sqrt(length[p]), math.Sqrt(off[p]/length[p])
		t.Logf("%s: off by %.4f of its length, under autocast by %.4f", p, o, w.Off)
		if math.Abs(l-w.Length) > 1e-3*w.Length { // the order of sums decides on which side of a ReLU some fall
			t.Errorf("%s: length %.6g in float32, want %.6g", p, l, w.Length)
		}
		if o > 1.1*w.Off || o == 0 {
			t.Errorf("%s: off by %.4f of its length, under autocast by %.4f", p, o, w.Off)
		}
	}
}

// autocastGradients returns the gradients of the script's network, each with those of all
// batches, and compares their losses.
func autocastGradients(t *testing.T, precision string, losses []float64) map[string][]float64 {
	t.Helper()
	cfg, err := config.Parse("bf16.yaml", []byte(bf16Recipe), []string{"precision=" + precision})
	if err != nil {
		t.Fatal(err)
	}
	dev := onCPU(t, 2)
	const classes, seed = 10, 1
	m, err := classificationTask{}.Build(cfg, dev, classificationTask{}.Numbered(classes))
	if err != nil {
		t.Fatal(err)
	}
	store := m.Net().Store
	defer store.Free()
	tr, err := NewTrainer(m, 10)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { tr.Close(); tr.Opt.Free() }()
	tr.Opt.Schedule.Base = 0 // all batches with the same parameters
	s, err := tr.Steps(16, 64, 64)
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Realize(); err != nil {
		t.Fatal(err)
	}
	for _, v := range store.Vars() {
		if !v.Buffer {
			if err := store.Set(v.Name, golden.Param(v.Name, v.Shape, seed)); err != nil {
				t.Fatal(err)
			}
		}
	}
	grads := map[string][]float64{}
	for i := range 4 {
		labels := golden.Ints(fmt.Sprint("labels", i), seed, 16, classes)
		b := &data.Batch{N: 16, H: 64, W: 64, C: 3, Images: nhwc(fmt.Sprint("input", i), seed, 16, 64, 64), Samples: make([]data.Sample, 16)}
		for _, c := range labels {
			b.Classes = append(b.Classes, int32(c))
		}
		if err := m.SetTargets(s.Heads, b, map[string]bool{}); err != nil {
			t.Fatal(err)
		}
		if err := s.Input.Upload(b.Images); err != nil {
			t.Fatal(err)
		}
		var rep manpp.StepReport
		if err := tr.Run(s, int64(i), nil, true, &rep); err != nil {
			t.Fatal(err)
		}
		if losses != nil && math.Abs(rep.Loss()-losses[i]) > 1e-4 {
			t.Errorf("loss of batch %d: %.6f, want %.6f", i, rep.Loss(), losses[i])
		}
		for _, v := range store.Vars() {
			if v.Buffer {
				continue
			}
			g := make([]float64, v.Elems())
			if err := tr.Opt.Grad(v.Name).Download(g); err != nil {
				t.Fatal(err)
			}
			grads[v.Name] = append(grads[v.Name], g...)
		}
	}
	return grads
}
