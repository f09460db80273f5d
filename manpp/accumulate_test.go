package manpp

import (
	"math"
	"strings"
	"testing"

	"gorgonia.org/gorgonia"

	"manvision/backbone"
	"manvision/device"
	"manvision/nn"
	"manvision/optim"
)

// tokens are toy's labels behind a vision transformer's heads, which have no batch
// norm.
type tokens struct {
	*toy
	vit  *backbone.ViT
	drop float64
}

func (h tokens) loss(g *nn.Graph, logits *gorgonia.Node) []Loss {
	return []Loss{{"ce", g.CrossEntropy(logits, g.Leaf("labels", h.labels), -1)}}
}

func (h tokens) Stages() []int { return []int{4} }

func (h tokens) Local(g *nn.Graph, _ int, y Feature, prefix string) []Loss {
	return h.loss(g, h.vit.ClassifyLocal(g, g.Dropout(y.Node, prefix+"drop", h.drop), prefix, classes))
}

func (h tokens) Final(g *nn.Graph, f map[int]Feature) []Loss {
	return h.loss(g, h.vit.Classify(g, f[4].Node, "", classes))
}

// newViTRig is a rig of a small transformer.
func newViTRig(t *testing.T, s settings, drop float64) *rig {
	t.Helper()
	r := newRig(t, s)
	b, err := backbone.NewViT(backbone.ViT{Name: "small", Patch: 16, Width: 8, Heads: 2, Depth: 4})
	if err != nil {
		t.Fatal(err)
	}
	r.model.Backbone, r.model.Prefix = b, ""
	if r.model.Strategy.Local {
		r.model.Partition = Stages(b)
	}
	r.tr.NewHeads = func(n, h, w int) (Heads, error) {
		toy, err := newToy(r.dev, n)
		return tokens{toy, b.ViT, drop}, err
	}
	return r
}

// part runs one part of a step on images.
func (r *rig) part(step int64, part int, x []float64, n int, skip map[string]bool) {
	r.t.Helper()
	s := r.steps(n, 32, 32)
	if err := s.Input.Upload(x); err != nil {
		r.t.Fatal(err)
	}
	if err := r.tr.RunPart(s, step, part, skip, true, &r.rep); err != nil {
		r.t.Fatal(err)
	}
}

// TestAccumulate: two batches of three make the steps of one batch of six where no norm
// looks at the batch: the same losses, norms, weights, EMA copies and optimizer state
// up to rounding, with every strategy that transformers have, clipping or not.
func TestAccumulate(t *testing.T) {
	const n, size = 3, 32 * 32 * 3
	for _, strategy := range []Strategy{E2E, Greedy, MAN, MANPP} {
		for name, h := range map[string]optim.Hyper{
			"sgd":            {Rule: optim.SGD, Momentum: 0.9},
			"sgd clipped":    {Rule: optim.SGD, Momentum: 0.9, ClipNorm: 0.5},
			"adamw":          {Rule: optim.AdamW, Beta1: 0.9, Beta2: 0.99, Eps: 1e-3},
			"before updates": {Rule: optim.SGD},
		} {
			t.Run(strategy.Name+" "+name, func(t *testing.T) {
				parts := h
				parts.Accumulate = 2
				set := settings{strategy: strategy, hyper: h, still: true, schedule: optim.Schedule{Base: 0.1}, rules: optim.Rules{WeightDecay: 0.01}}
				set.quirks.EMABeforeBackward = name == "before updates"
				whole := newViTRig(t, set, 0)
				set.hyper = parts
				halves := newViTRig(t, set, 0)
				for step := range int64(3) {
					x := images(step, 2*n, 32, 32)
					whole.part(step, 0, x, 2*n, nil)
					halves.part(step, 0, x[:n*size], n, nil)
					before := halves.all()
					halves.part(step, 1, x[n*size:], n, nil)
					if d := differing(before, halves.all()); len(d) == 0 {
						t.Fatal("the last part changed nothing")
					}
					near := func(what string, a, b float64) {
						t.Helper()
						if math.Abs(a-b) > 1e-12*math.Max(1, math.Abs(b)) {
							t.Errorf("step %d: %s is %v, in one batch %v", step, what, a, b)
						}
					}
					near("gradient norm", halves.rep.GradNorm, whole.rep.GradNorm)
					for j, b := range whole.rep.Blocks {
						a := halves.rep.Blocks[j]
						near("loss", a.Loss, b.Loss)
						near("s", a.Scale, b.Scale)
						near("distance", a.Distance, b.Distance)
					}
				}
				want := whole.all()
				for name, x := range halves.all() {
					for i, v := range x {
						if math.Abs(v-want[name][i]) > 1e-11 {
							t.Fatalf("%s[%d] = %v, in one batch %v", name, i, v, want[name][i])
						}
					}
				}
				var bytes int64
				for _, v := range halves.store.Vars() {
					if halves.opt.Grad(v.Name) != nil {
						bytes += halves.opt.Grad(v.Name).Bytes()
					}
				}
				s := halves.steps(n, 32, 32)
				if m := halves.tr.Memory(s); bytes == 0 || m.Gradients != bytes {
					t.Errorf("the plan has %d bytes of gradients, %d are kept", m.Gradients, bytes)
				}
			})
		}
	}
}

// TestAccumulateTwice: the same batch twice gives the bits that once gives, batch norms
// included, with every form of auxiliary network and on both devices; only running statistics, which
// see it twice, differ.
func TestAccumulateTwice(t *testing.T) {
	devices(t, func(t *testing.T, dev device.Device) {
		for _, strategy := range []Strategy{E2E, DGL, AugLocal, MLAAN, MANPP} {
			for _, clip := range []float64{0, 0.5} {
				h := optim.Hyper{Rule: optim.SGD, Momentum: 0.9, ClipNorm: clip}
				once := newRig(t, settings{dev: dev, strategy: strategy, hyper: h})
				h.Accumulate = 2
				twice := newRig(t, settings{dev: dev, strategy: strategy, hyper: h})
				for step := range int64(2) {
					x := images(step, 3, 32, 32)
					once.part(step, 0, x, 3, nil)
					twice.part(step, 0, x, 3, nil)
					twice.part(step, 1, x, 3, nil)
				}
				want, got := once.all(), twice.all()
				for _, name := range changed(want, got) {
					if v, ok := once.store.Lookup(name); ok && v.Buffer || strategy.Window > 1 && within(got[name], want[name], 1e-3) {
						continue // with windows, blocks' gradients add up in another order
					}
					t.Errorf("%s, clip %v: %s differs", strategy.Name, clip, name)
				}
			}
		}
	})
}

// within compares to a share of the largest number.
func within(a, b []float64, share float64) bool {
	if len(a) != len(b) {
		return false
	}
	var most float64
	for _, x := range b {
		most = math.Max(most, math.Abs(x))
	}
	for i := range b {
		if math.Abs(a[i]-b[i]) > share*most {
			return false
		}
	}
	return true
}

// TestAccumulateParts: a group of parameters stays where it is only if every part of
// the step skips it, masks of dropout are the part's own, and parts that there are not
// are errors.
func TestAccumulateParts(t *testing.T) {
	h := optim.Hyper{Rule: optim.SGD, Momentum: 0.9, Accumulate: 2}
	r := newRig(t, settings{hyper: h})
	r.tr.NewHeads = func(n, h, w int) (Heads, error) {
		head, err := newToy(r.dev, n)
		return skipping{head}, err
	}
	x := images(0, 3, 32, 32)
	for step, off := range [][2]bool{{false, false}, {true, true}, {false, true}, {true, false}} {
		s := r.steps(3, 32, 32)
		before := r.all()
		for part := range off {
			r.part(int64(step), part, x, 3, map[string]bool{"fc": off[part]})
		}
		for _, b := range s.Blocks {
			if b.Index == 0 && step == 0 && r.rep.Blocks[0].Scale != 1 {
				t.Errorf("s is %v before the first step", r.rep.Blocks[0].Scale)
			}
		}
		moved := false
		for _, name := range changed(before, r.all()) {
			moved = moved || strings.Contains(name, "head.fc")
		}
		if moved == (off[0] && off[1]) {
			t.Errorf("skipped %v: moved %v", off, moved)
		}
	}
	s := r.steps(3, 32, 32)
	if err := r.tr.Run(s, 9, nil, false, &r.rep); err == nil || !strings.Contains(err.Error(), "2 parts") {
		t.Error(err)
	}
	for _, part := range []int{-1, 2} {
		if r.tr.RunPart(s, 9, part, nil, false, &r.rep) == nil {
			t.Errorf("part %d ran", part)
		}
	}
	if (optim.Hyper{Accumulate: -1}).Validate() == nil {
		t.Error("-1 batches averaged")
	}

	d := newViTRig(t, settings{hyper: h}, 0.5)
	loss := func(step int64, part int) float64 {
		d.part(step, part, x, 3, nil)
		return d.rep.Blocks[0].Loss
	}
	first := loss(0, 0)
	if mean := loss(0, 1); mean == first {
		t.Errorf("both parts have the loss %v: the same mask", mean)
	}
}
