package classification

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"manvision/backbone"
	"manvision/device/ref"
	"manvision/manpp"
	"manvision/nn"
	"manvision/optim"
)

// rig trains a narrow network of a setting.
type rig struct {
	net   *Net
	model *manpp.Model
	opt   *manpp.Optimizer
	tr    *manpp.Trainer
}

func newRig(t *testing.T, name string, s manpp.Strategy, net *Net, cuts func(*backbone.Backbone) manpp.Partition) *rig {
	t.Helper()
	dev := ref.NewThreads(2)
	b, err := backbone.New(name, 4)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{net: net, model: &manpp.Model{Store: nn.NewStore(dev, 3), Backbone: b, Strategy: s, EMAMomentum: 0.9, Prefix: BodyPrefix}}
	if s.Local {
		r.model.Partition = cuts(b)
	}
	if r.opt, err = manpp.NewOptimizer(r.model.Store, optim.Hyper{Rule: optim.SGD, ClipNorm: 1e30}, optim.Rules{}, optim.Schedule{Base: 0.01}); err != nil {
		t.Fatal(err)
	}
	if r.tr, err = manpp.NewTrainer(r.model, r.opt, func(n, h, w int) (manpp.Heads, error) { return net.NewHeads(r.model, n, h, w) }); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		r.tr.Close()
		r.opt.Free()
		r.model.Store.Free()
		dev.Close()
	})
	return r
}

// step trains one step and returns the loss terms by block.
func (r *rig) step(t *testing.T, h, w int) (*manpp.Steps, *manpp.StepReport) {
	t.Helper()
	const n = 4
	s, err := r.tr.Steps(n, h, w)
	if err != nil {
		t.Fatal(err)
	}
	x := make([]float32, n*h*w*3)
	for i := range x {
		x[i] = float32(math.Sin(float64(i)))
	}
	var rep manpp.StepReport
	for _, err := range []error{r.model.Store.Realize(), s.Input.Upload(x), TargetsOf(s.Heads).Set([]int32{0, 2, 0, 1}, x), r.tr.Run(s, 0, nil, true, &rep)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return s, &rep
}

func everyUnit(b *backbone.Backbone) manpp.Partition { return manpp.EveryUnit(b).WithStem() }

// TestLocalHeads trains a step with every strategy and every local head, with and
// without reconstruction and contrast: the terms are there, and every parameter that
// is not an EMA copy, or behind PredSim's weights that start at 0, gets a gradient.
func TestLocalHeads(t *testing.T) {
	for _, strategy := range manpp.Strategies() {
		for _, kind := range append(LocalHeads(), "") {
			for _, mode := range []string{"ce", "recon", "contrast"} {
				if kind == headToken || kind == headImageNet || kind == "" && mode != "ce" || strategy.Network != nil && strategy.Name != "manpp" && kind != "" || !strategy.Local && kind != "" {
					continue
				}
				t.Run(fmt.Sprintf("%s/%s/%s", strategy.Name, kind, mode), func(t *testing.T) {
					net := &Net{Classes: 3, Local: kind, Features: 8, Contrast: mode == "contrast", Temperature: 0.5, Smoothing: 0.1, Std: [3]float32{1, 1, 1}}
					if mode == "recon" {
						net.Task, net.Recon = Weights{0.5, 0.25}, Weights{5, 2}
					}
					r := newRig(t, "cifar_resnet20", strategy, net, manpp.Stages)
					s, rep := r.step(t, 32, 40)
					local := net.local(r.model)
					for j, b := range s.Blocks {
						var names []string
						for i, l := range b.Losses {
							names = append(names, l.Name)
							if v := rep.Blocks[j].Terms[i]; !(v > 0) {
								t.Errorf("block %d: %s is %v", j, l.Name, v)
							}
						}
						want := "ce"
						switch {
						case j == len(s.Blocks)-1:
						case strategy.Window > 1 && j == 0:
							want = "own ce"
						case strategy.Window > 1:
							want = "own ce window ce"
						case local == headPredSim:
							want = "ce sim"
						case local == headDGL:
						case mode == "contrast" && local != headImageNet:
							want = "contrast"
						case mode == "recon":
							want = "ce recon"
						}
						if got := strings.Join(names, " "); got != want {
							t.Errorf("block %d has losses %q, want %q", j, got, want)
						}
					}
					for _, v := range r.model.Store.Vars() {
						if !v.Trainable || v.Buffer {
							continue
						}
						g := r.opt.Grad(v.Name)
						if g == nil {
							t.Errorf("%s has no gradient", v.Name)
							continue
						}
						x := make([]float64, v.Elems())
						if err := g.Download(x); err != nil {
							t.Fatal(err)
						}
						sum := 0.0
						for _, d := range x {
							sum += math.Abs(d)
						}
						if math.IsNaN(sum) || sum == 0 && !strings.HasSuffix(v.Name, ".s") {
							t.Errorf("the gradient of %s sums to %v", v.Name, sum)
						}
					}
				})
			}
		}
	}
}

// TestWeights: λ runs from the first to the last local head; the release's ratio is
// the stage over K-2 and 0 for the stem (METHOD §1.4: K=16 5 → 4.64, 4.29, 3.93; K=8
// 1/6 to 3/6).
func TestWeights(t *testing.T) {
	for _, c := range []struct {
		name     string
		k        int
		stem     bool
		released bool
		at       map[int]float64 // reconstruction weight by block, from 5 to 0
	}{
		{"cifar_resnet32", 16, true, true, map[int]float64{0: 5, 1: 5 - 5./14, 4: 5 - 5./14, 5: 5 - 10./14, 14: 5 - 15./14}},
		{"cifar_resnet32", 8, true, true, map[int]float64{0: 5, 1: 5 - 5./6, 3: 5 - 10./6, 7: 5 - 15./6}},
		{"cifar_resnet32", 16, false, true, map[int]float64{0: 5 - 5./14, 13: 5 - 15./14}},
		{"cifar_resnet110", 55, true, true, map[int]float64{1: 5 - 5./53, 53: 5 - 15./53}},
		{"cifar_resnet110", 32, true, true, map[int]float64{1: 5 - 5./30, 31: 5 - 15./30}},
		{"cifar_resnet32", 16, true, false, map[int]float64{0: 5, 7: 2.5, 14: 0}},
		{"cifar_resnet32", 2, false, false, map[int]float64{0: 5}},
	} {
		b, err := backbone.New(c.name, 16)
		if err != nil {
			t.Fatal(err)
		}
		p, err := manpp.Published(b, "", c.k)
		if err != nil {
			t.Fatal(err)
		}
		if c.stem {
			p = p.WithStem()
		}
		h := &heads{net: &Net{Task: Weights{1, 1}, Recon: Weights{5, 0}, Quirks: Quirks{StageRatio: c.released}}, kind: "1c2f",
			model: &manpp.Model{Backbone: b, Partition: p, Strategy: manpp.MANPP}}
		for j, want := range c.at {
			if task, got := h.weights(j); math.Abs(got-want) > 1e-12 || task != 1 {
				t.Errorf("%s K=%d stem %v released %v: block %d weighs %v, want %v", c.name, c.k, c.stem, c.released, j, got, want)
			}
		}
	}
}

// TestReleasedStem: the stem's InfoPro head is 1c2f with the contrastive loss in the
// released quirk set, and like the others without.
func TestReleasedStem(t *testing.T) {
	for _, q := range []Quirks{{}, ReleasedQuirks} {
		net := &Net{Classes: 3, Local: "2c2f", Features: 8, Task: Weights{0.5, 0.5}, Recon: Weights{5, 5}, Std: [3]float32{1, 1, 1}, Quirks: q}
		r := newRig(t, "cifar_resnet20", manpp.MANPP, net, everyUnit)
		s, _ := r.step(t, 32, 32)
		stem, second := s.Blocks[0].Losses[0].Name, s.Blocks[1].Losses[0].Name
		_, two := r.model.Store.Lookup("manpp.0.head.classifier.3.weight")
		if (stem == "contrast") != q.StemContrast || second != "ce" || two == q.StemContrast {
			t.Errorf("%+v: losses %s and %s, second convolution %v", q, stem, second, two)
		}
		if len(s.Blocks) != 10 {
			t.Errorf("%d blocks", len(s.Blocks))
		}
	}
}

func TestImageNetHeads(t *testing.T) {
	net := &Net{Classes: 3, Local: headImageNet, Task: Weights{0.75, 0.75}, Recon: Weights{5, 5}, Std: [3]float32{1, 1, 1}}
	r := newRig(t, "resnet18", manpp.MANPP, net, manpp.Stages)
	s, rep := r.step(t, 64, 70)
	for j, b := range s.Blocks[:3] {
		if len(b.Losses) != 2 || !(rep.Blocks[j].Terms[1] > 0) {
			t.Errorf("block %d: %+v", j, rep.Blocks[j])
		}
	}
}

func TestTargets(t *testing.T) {
	dev := ref.New()
	defer dev.Close()
	net := &Net{Classes: 4, Smoothing: 0.2, Mean: [3]float32{0.5, 0.5, 0.5}, Std: [3]float32{0.25, 0.25, 0.25}}
	x, err := newTargets(net, dev, 2, 1, 1, true, false)
	if err != nil {
		t.Fatal(err)
	}
	defer x.Free()
	read := func() []float64 {
		got := make([]float64, 8)
		if err := x.soft.Download(got); err != nil {
			t.Fatal(err)
		}
		return got
	}
	image := []float32{-2, 0, 2, 8, -8, 1}
	if err := x.Set([]int32{3, 0}, image); err != nil {
		t.Fatal(err)
	}
	// 0.8 on the label and 0.2/4 everywhere.
	for i, want := range []float64{0.05, 0.05, 0.05, 0.85, 0.85, 0.05, 0.05, 0.05} {
		if got := read()[i]; math.Abs(got-want) > 1e-15 {
			t.Errorf("target %d: %v, want %v", i, got, want)
		}
	}
	restored := make([]float64, 6)
	if err := x.image.Download(restored); err != nil {
		t.Fatal(err)
	}
	for i, want := range []float64{0, 0.5, 1, 1, 0, 0.75} {
		if restored[i] != want {
			t.Errorf("image %d: %v, want %v", i, restored[i], want)
		}
	}
	if err := x.SetMixed([]int32{3, 0}, []int32{1, 0}, []float64{0.25, 0.5}, image); err != nil {
		t.Fatal(err)
	}
	for i, want := range []float64{0.05, 0.65, 0.05, 0.25, 0.85, 0.05, 0.05, 0.05} {
		if got := read()[i]; math.Abs(got-want) > 1e-15 {
			t.Errorf("mixed target %d: %v, want %v", i, got, want)
		}
	}
	nan := float32(math.NaN())
	for name, err := range map[string]error{
		"a class too many": x.Set([]int32{0, 4}, image),
		"a negative label": x.Set([]int32{-1, 0}, image),
		"labels":           x.Set([]int32{0}, image),
		"image":            x.Set([]int32{0, 0}, image[:3]),
		"no number":        x.Set([]int32{0, 0}, []float32{0, nan, 0, 0, 0, 0}),
		"share":            x.SetMixed([]int32{0, 0}, []int32{0, 0}, []float64{1.5, 0}, image),
		"other class":      x.SetMixed([]int32{0, 0}, []int32{0, 9}, []float64{1, 0}, image),
		"few shares":       x.SetMixed([]int32{0, 0}, []int32{0, 0}, []float64{1}, image),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	related, err := newTargets(net, dev, 2, 1, 1, false, true)
	if err != nil {
		t.Fatal(err)
	}
	defer related.Free()
	if err := related.SetMixed([]int32{0, 1}, []int32{0, 1}, []float64{1, 1}, nil); err == nil || !strings.Contains(err.Error(), "mixup") {
		t.Errorf("mixing with a contrastive loss: %v", err)
	}
}

func TestBadSettings(t *testing.T) {
	b, err := backbone.New("cifar_resnet20", 4)
	if err != nil {
		t.Fatal(err)
	}
	dev := ref.New()
	defer dev.Close()
	m := &manpp.Model{Store: nn.NewStore(dev, 1), Backbone: b, Strategy: manpp.InfoPro, Partition: manpp.Stages(b)}
	std := [3]float32{1, 1, 1}
	for want, net := range map[string]*Net{
		"1 classes":        {Classes: 1},
		"2c2f":             {Classes: 3, Local: "3c3f"},
		"smoothing":        {Classes: 3, Smoothing: 1},
		"features":         {Classes: 3, Features: -1},
		"similarity":       {Classes: 3, SimilarityShare: 2},
		"temperature":      {Classes: 3, Temperature: math.NaN()},
		"weights of local": {Classes: 3, Task: Weights{-1, 0}},
		"std":              {Classes: 3, Recon: Weights{1, 1}},
		"block 2 of 3":     {Classes: 3, Task: Weights{1, 0}, Recon: Weights{1, 0}, Std: std},
	} {
		if _, err := net.NewHeads(m, 2, 32, 32); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	// METHOD §1.4, quirk 1: K=3 and 4 give factors 1-2 and 1-1.5 at the third stage.
	for k, want := range map[int]string{3: "block 1 of 3 has a negative local loss: task_weights [0.5, 0.1] and recon_weights [5, 0] become -0.3 and -5", 4: "block 3 of 4 has a negative local loss"} {
		b, err := backbone.New("cifar_resnet32", 4)
		if err != nil {
			t.Fatal(err)
		}
		p, err := manpp.Published(b, "", k)
		if err != nil {
			t.Fatal(err)
		}
		n := &manpp.Model{Store: nn.NewStore(dev, 1), Backbone: b, Strategy: manpp.InfoPro, Partition: p}
		net := &Net{Classes: 3, Task: Weights{0.5, 0.1}, Recon: Weights{5, 0}, Std: std, Quirks: ReleasedQuirks}
		if _, err := net.NewHeads(n, 2, 32, 32); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "K to 5 or more") {
			t.Errorf("K=%d: %v", k, err)
		}
		net.Task, net.Recon = Weights{0.5, 0.5}, Weights{5, 5}
		if _, err := net.NewHeads(n, 2, 32, 32); err != nil {
			t.Errorf("K=%d with constant weights: %v", k, err)
		}
	}
	m.Strategy = manpp.DGL
	if _, err := (&Net{Classes: 3}).NewHeads(m, 1, 32, 32); err == nil || !strings.Contains(err.Error(), "batch of 1") {
		t.Errorf("a batch of one: %v", err)
	}
}
