package classification

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"manvision/backbone"
	"manvision/device"
	"manvision/device/cpu"
	"manvision/device/ref"
	"manvision/internal/golden"
	"manvision/manpp"
	"manvision/nn"
	"manvision/optim"
)

var headName = regexp.MustCompile(`^aux_classifier_(\d+)_(\d+)\.head\.(.*)$`)

// ourName translates a parameter name of the official release into ours; empty for
// what the release makes and never uses: its first classifier and heads that no cut
// feeds.
func ourName(name string, m *manpp.Model) string {
	if h := headName.FindStringSubmatch(name); h != nil {
		next := fmt.Sprintf("layer%s.%s", h[1], h[2])
		for j, c := range m.Partition {
			if next == "layer0.0" && c == 0 || c > 0 && m.Backbone.Units[c+1].Name == next {
				return fmt.Sprintf("manpp.%d.head.classifier.%s", j, h[3])
			}
		}
		return ""
	}
	if strings.HasPrefix(name, "fc.") {
		return ""
	}
	for from, to := range map[string]string{
		"fc64.": "fc.", "LB_first.": "manpp.0.lb.", "EMA_first.": "manpp.0.ema.", "ema_s_first": "manpp.0.s",
	} {
		if rest, ok := strings.CutPrefix(name, from); ok {
			return to + rest
		}
	}
	for from, to := range map[string]string{"LB.": "lb.", "EMA_Net.": "ema.", "ema_s.": "s"} {
		if rest, ok := strings.CutPrefix(name, from); ok {
			number, tail, _ := strings.Cut(rest, ".")
			j, err := strconv.Atoi(number)
			if err != nil {
				return name
			}
			return fmt.Sprintf("manpp.%d.%s%s", j+1, to, tail) // the stem is block 0
		}
	}
	return name
}

// TestGoldenCIFAR reproduces the official release's trajectories on CIFAR ResNets
// with DGL heads and MAN++: three optimizer steps and an evaluation
// (internal/golden/testdata/README.md). On the reference device in float64 within
// 1e-9; on oneDNN in float32 within ten times the deviation of the release's own
// float32 run, in one of four thread counts (see golden.OnThreads).
func TestGoldenCIFAR(t *testing.T) {
	goldens(t, cifarPort, "resnet20", "resnet32", "resnet44", "resnet56", "resnet110")
}

// port is what a trajectory of the release is reproduced with.
type port struct {
	net   *Net
	model *manpp.Model
	hyper optim.Hyper
	name  func(string) string // ours of the release's, empty for what is not used
}

func goldens(t *testing.T, makePort func(*testing.T, golden.Config, *nn.Store) port, models ...string) {
	for _, f := range golden.Load(t, models...) {
		t.Run(f.Name+"/ref", func(t *testing.T) {
			dev := ref.New()
			defer dev.Close()
			d := &golden.Deviations{}
			trajectory(t, f, dev, makePort, golden.Within(1e-9), d)
			d.Report(t)
		})
		t.Run(f.Name+"/onednn", func(t *testing.T) {
			golden.OnThreads(t, func(threads int, d *golden.Deviations) {
				dev, err := cpu.New(cpu.Options{Threads: threads})
				if err != nil {
					t.Fatal(err)
				}
				trajectory(t, f, dev, makePort, f.Deviation.Times(10), d)
				if err := dev.Close(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func cifarPort(t *testing.T, c golden.Config, store *nn.Store) port {
	body, err := backbone.New("cifar_"+c.Model, 16)
	if err != nil {
		t.Fatal(err)
	}
	cuts, err := manpp.Published(body, "", c.K)
	if err != nil {
		t.Fatal(err)
	}
	model := &manpp.Model{Store: store, Backbone: body, Partition: cuts.WithStem(), Strategy: manpp.MANPP,
		Quirks: manpp.Released, EMAMomentum: c.EMAMomentum, Prefix: BodyPrefix}
	return port{
		net:   &Net{Classes: c.Classes, Features: c.AuxFeatureDim, Quirks: ReleasedQuirks},
		model: model,
		hyper: optim.Hyper{Rule: optim.SGD, Momentum: c.Optimizer.Momentum, Nesterov: c.Optimizer.Nesterov},
		name:  func(name string) string { return ourName(name, model) },
	}
}

func trajectory(t *testing.T, f *golden.File, dev device.Device, makePort func(*testing.T, golden.Config, *nn.Store) port, tol golden.Deviation, d *golden.Deviations) {
	c := f.Config
	store := nn.NewStore(dev, 1)
	defer store.Free()
	made := makePort(t, c, store)
	net, model := made.net, made.model
	o := c.Optimizer
	clip := c.Clip
	if clip == 0 {
		clip = 1e30 // keeps gradients to look at and changes nothing
	}
	made.hyper.ClipNorm = clip
	opt, err := manpp.NewOptimizer(store, made.hyper, optim.Rules{WeightDecay: o.WeightDecay}, optim.Schedule{Base: o.LR})
	if err != nil {
		t.Fatal(err)
	}
	defer opt.Free()
	tr, err := manpp.NewTrainer(model, opt, func(n, h, w int) (manpp.Heads, error) { return net.NewHeads(model, n, h, w) })
	if err != nil {
		t.Fatal(err)
	}
	defer tr.Close()
	s, err := tr.Steps(c.Batch, c.Image, c.Image)
	if err != nil {
		t.Fatal(err)
	}
	used := func(all map[string]golden.Tensor) map[string]golden.Tensor {
		out := map[string]golden.Tensor{}
		for name, w := range all {
			if made.name(name) != "" {
				out[name] = w
			}
		}
		return out
	}
	params, buffers := used(f.ParamsAfter), used(f.BuffersAfter)
	if n := len(store.Vars()); n != len(params)+len(buffers) {
		t.Errorf("%d variables, the release has %d parameters and %d buffers in use", n, len(params), len(buffers))
	}
	for name, want := range params {
		if err := store.Set(made.name(name), f.Param(name, want.Shape)); err != nil {
			t.Fatal(err)
		}
	}
	if err := store.Realize(); err != nil { // buffers
		t.Fatal(err)
	}
	pixels := c.Image * c.Image
	image := nhwc(golden.U32("input", c.Seed, c.Batch*3*pixels), c.Batch, 3, pixels)
	labels := make([]int32, c.Batch)
	for i, l := range golden.Ints("labels", c.Seed, c.Batch, c.Classes) {
		labels[i] = int32(l)
	}
	var r manpp.StepReport
	for i, want := range f.Steps {
		if err := s.Input.Upload(image); err != nil {
			t.Fatal(err)
		}
		if err := TargetsOf(s.Heads).Set(labels, nil); err != nil {
			t.Fatal(err)
		}
		if err := tr.Run(s, int64(i), nil, true, &r); err != nil {
			t.Fatal(err)
		}
		if len(r.Blocks) != len(want.Losses.Blocks) {
			t.Fatalf("%d blocks, want %d", len(r.Blocks), len(want.Losses.Blocks))
		}
		worst, top := 0.0, 0.0
		for j, w := range want.Losses.Blocks {
			worst, top = max(worst, math.Abs(r.Blocks[j].Loss-w)), max(top, math.Abs(w))
		}
		d.Check(fmt.Sprintf("losses of step %d", i+1), worst/top, tol.Losses[min(i, len(tol.Losses)-1)])
		if i > 0 {
			continue
		}
		compareAll(d, "gradients", want.Grads, c.Seed, tol.Grads, func(name string, n int) []float64 {
			g := opt.Grad(made.name(name))
			if g == nil {
				t.Fatalf("no gradient of %s (%s)", name, made.name(name))
			}
			x := make([]float64, n)
			if err := g.Download(x); err != nil {
				t.Fatal(err)
			}
			return x
		})
	}
	read := func(name string, n int) []float64 {
		x := make([]float64, n)
		if err := store.Get(made.name(name), x); err != nil {
			t.Fatal(err)
		}
		return x
	}
	compareAll(d, "parameters", params, c.Seed, tol.ParamsAfter, read)
	compareAll(d, "buffers", buffers, c.Seed, tol.BuffersAfter, read)

	inf, err := net.NewInference(model, c.Batch, c.Image, c.Image, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer inf.Close()
	if err := inf.Input.Upload(image); err != nil {
		t.Fatal(err)
	}
	logits := make([]float64, c.Batch*c.Classes)
	if err := inf.Run(logits); err != nil {
		t.Fatal(err)
	}
	worst, top := 0.0, 0.0
	for i, row := range f.EvalLogits {
		for k, w := range row {
			worst, top = max(worst, math.Abs(logits[i*c.Classes+k]-w)), max(top, math.Abs(w))
		}
	}
	d.Check("evaluation", worst/top, tol.Eval)
}

// compareAll compares l2 norms and probes of a group of tensors, relative to each
// one's l2, at least 1e-3 of the group's largest (golden README).
func compareAll(d *golden.Deviations, what string, want map[string]golden.Tensor, seed uint64, tol float64, get func(string, int) []float64) {
	largest := 0.0
	for _, w := range want {
		largest = max(largest, w.L2)
	}
	worst, at := 0.0, ""
	for name, w := range want {
		l2, probe := golden.Probe(name, seed, get(name, golden.Elements(w.Shape)))
		off := max(math.Abs(l2-w.L2), math.Abs(probe-w.Probe)) / max(w.L2, 1e-3*largest)
		if off > worst || math.IsNaN(off) {
			worst, at = off, name
		}
	}
	d.Check(fmt.Sprintf("%s (%d tensors, worst %s)", what, len(want), at), worst, tol)
}

// nhwc turns [n,c,hw] into [n,hw,c].
func nhwc(x []float64, n, c, hw int) []float64 {
	out := make([]float64, len(x))
	for b := range n {
		for k := range c {
			for i := range hw {
				out[(b*hw+i)*c+k] = x[(b*c+k)*hw+i]
			}
		}
	}
	return out
}
