package detection

import (
	"fmt"
	"math"
	"regexp"
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

// ourName translates a parameter name of the official release into ours, which is
// torchvision's; layouts are equal.
func ourName(name string) string {
	for _, r := range []struct{ from, to string }{
		{`^backbone\.(conv1|bn1|layer\d)`, `backbone.body.$1`},
		{`^backbone\.LB\.(\d+)\.`, `manpp.$1.lb.`},
		{`^backbone\.EMA_Net\.(\d+)\.`, `manpp.$1.ema.`},
		{`^backbone\.ema_s\.(\d+)$`, `manpp.$1.s`},
		{`^aux_det_heads\.(\d+)\.project\.0\.`, `manpp.$1.head.project.`},
		{`^aux_det_heads\.(\d+)\.extra_levels\.(\d)\.1\.`, `manpp.$1.head.extra.$2.`},
		{`^aux_det_heads\.(\d+)\.cls_subnet\.`, `manpp.$1.head.classification_head.`},
		{`^aux_det_heads\.(\d+)\.reg_subnet\.`, `manpp.$1.head.regression_head.`},
		{`^cls_subnet\.`, `head.classification_head.`},
		{`^reg_subnet\.`, `head.regression_head.`},
		{`^fpn\.lateral(\d)\.`, `backbone.fpn.inner_blocks.#$1.0.`},
		{`^fpn\.smooth(\d)\.`, `backbone.fpn.layer_blocks.#$1.0.`},
		{`^fpn\.p6\.`, `backbone.fpn.extra_blocks.p6.`},
		{`^fpn\.p7\.1\.`, `backbone.fpn.extra_blocks.p7.`},
		{`classification_head\.out\.`, `classification_head.cls_logits.`},
		{`regression_head\.out\.`, `regression_head.bbox_reg.`},
	} {
		name = regexp.MustCompile(r.from).ReplaceAllString(name, r.to)
	}
	for l := 3; l <= 5; l++ { // lateral3 is inner_blocks.0
		name = strings.Replace(name, fmt.Sprintf("#%d", l), fmt.Sprint(l-3), 1)
	}
	for c := range 4 { // conv.2 of the Sequential is our conv.1.0
		name = strings.Replace(name, fmt.Sprintf("head.conv.%d.", 2*c), fmt.Sprintf("head.conv.%d.0.", c), 1)
	}
	return name
}

// TestGoldenRetinaNet reproduces the official release's COCO trajectories: three
// optimizer steps and an evaluation (internal/golden/testdata/README.md). On the
// reference device in float64 within 1e-6, on oneDNN in float32 within ten times
// the deviation of the release's own float32 run (see golden.OnThreads).
func TestGoldenRetinaNet(t *testing.T) {
	for _, f := range golden.Load(t, "retinanet") {
		t.Run(f.Name+"/ref", func(t *testing.T) {
			dev := ref.New()
			defer dev.Close()
			d := &golden.Deviations{}
			trajectory(t, f, dev, golden.Within(1e-6), d)
			d.Report(t)
		})
		t.Run(f.Name+"/onednn", func(t *testing.T) {
			golden.OnThreads(t, func(threads int, d *golden.Deviations) {
				dev, err := cpu.New(cpu.Options{Threads: threads})
				if err != nil {
					t.Fatal(err)
				}
				trajectory(t, f, dev, f.Deviation.Times(10), d)
				if err := dev.Close(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func trajectory(t *testing.T, f *golden.File, dev device.Device, tol golden.Deviation, d *golden.Deviations) {
	c := f.Config
	store := nn.NewStore(dev, 1)
	defer store.Free()
	net := &RetinaNet{
		Classes: c.Classes, Channels: c.FPNChannels, Convs: 4, LocalConvs: c.AuxHeadConvs, Anchors: DefaultAnchors(), Assign: DefaultAssign(),
		FocalAlpha: 0.25, FocalGamma: 2, SmoothL1Beta: 1, Prior: 0.01, Quirks: ReleasedQuirks,
	}
	body := backbone.ResNet(c.Block == "bottleneck", c.Layers, 64)
	model := &manpp.Model{Store: store, Backbone: body, Partition: manpp.Stages(body), Strategy: manpp.MANPP,
		Quirks: manpp.Released, EMAMomentum: c.EMAMomentum, Prefix: BodyPrefix}
	o := c.Optimizer
	opt, err := manpp.NewOptimizer(store,
		optim.Hyper{Rule: optim.SGD, Momentum: o.Momentum, Nesterov: o.Nesterov, ClipNorm: c.Clip},
		optim.Rules{WeightDecay: o.WeightDecay}, optim.Schedule{Base: o.LR})
	if err != nil {
		t.Fatal(err)
	}
	tr, err := manpp.NewTrainer(model, opt, func(n, h, w int) (manpp.Heads, error) { return net.NewHeads(dev, n, h, w) })
	if err != nil {
		t.Fatal(err)
	}
	defer tr.Close()
	s, err := tr.Steps(c.Batch, c.Height, c.Width)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range f.ParamsAfter {
		if err := store.Set(ourName(name), f.Param(name, want.Shape)); err != nil {
			t.Fatal(err)
		}
	}
	if err := store.Realize(); err != nil { // buffers
		t.Fatal(err)
	}
	image := nhwc(golden.U32("input", c.Seed, c.Batch*3*c.Height*c.Width), c.Batch, 3, c.Height*c.Width)

	var boxes [][][4]float64
	var labels [][]int32
	for _, g := range f.Targets {
		boxes, labels = append(boxes, g.Boxes), append(labels, g.Labels)
	}
	skip := map[string]bool{}
	var r manpp.StepReport
	for i, want := range f.Steps {
		if err := s.Input.Upload(image); err != nil {
			t.Fatal(err)
		}
		if err := TargetsOf(s.Heads).Set(boxes, labels, skip); err != nil {
			t.Fatal(err)
		}
		if err := tr.Run(s, int64(i), skip, true, &r); err != nil {
			t.Fatal(err)
		}
		last := r.Blocks[len(r.Blocks)-1]
		got := []float64{last.Terms[0], last.Terms[1]}
		expect := []float64{want.Losses.Cls, want.Losses.Reg}
		for j, a := range want.Losses.Aux {
			got, expect = append(got, r.Blocks[j].Loss), append(expect, a)
		}
		worst, top := 0.0, 0.0
		for j := range got {
			worst, top = max(worst, math.Abs(got[j]-expect[j])), max(top, math.Abs(expect[j]))
		}
		d.Check(fmt.Sprintf("losses of step %d", i+1), worst/top, tol.Losses[min(i, len(tol.Losses)-1)])
		d.Check(fmt.Sprintf("gradient norm of step %d", i+1), math.Abs(r.GradNorm-want.GradNorm)/want.GradNorm, tol.Grads)
		if i == 0 {
			compareAll(d, "gradients", want.Grads, c.Seed, tol.Grads, func(name string, n int) []float64 {
				g := opt.Grad(ourName(name))
				if g == nil {
					t.Fatalf("no gradient of %s (%s)", name, ourName(name))
				}
				x := make([]float64, n)
				if err := g.Download(x); err != nil {
					t.Fatal(err)
				}
				return x
			})
		}
	}
	read := func(name string, n int) []float64 {
		x := make([]float64, n)
		if err := store.Get(ourName(name), x); err != nil {
			t.Fatal(err)
		}
		return x
	}
	compareAll(d, "parameters", f.ParamsAfter, c.Seed, tol.ParamsAfter, read)
	compareAll(d, "buffers", f.BuffersAfter, c.Seed, tol.BuffersAfter, read)

	inf, err := net.NewInference(model, c.Batch, c.Height, c.Width, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer inf.Close()
	if err := inf.Input.Upload(image); err != nil {
		t.Fatal(err)
	}
	logits := make([]float64, c.Batch*inf.Grid.Len()*c.Classes)
	deltas := make([]float64, c.Batch*inf.Grid.Len()*4)
	if err := inf.Run(logits, deltas); err != nil {
		t.Fatal(err)
	}
	preds := map[string]golden.Tensor{"cls_preds": f.Eval["cls_preds"], "reg_preds": f.Eval["reg_preds"]} // anchors: TestGoldenAnchors
	compareAll(d, "evaluation", preds, c.Seed, tol.Eval, func(name string, n int) []float64 {
		if name == "cls_preds" {
			return logits
		}
		return deltas
	})
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
