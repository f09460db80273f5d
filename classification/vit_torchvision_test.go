package classification

import (
	"math"
	"path/filepath"
	"testing"

	"manvision/backbone"
	"manvision/device/ref"
	"manvision/internal/golden"
	"manvision/manpp"
	"manvision/nn"
	"manvision/optim"
)

// TestTorchvisionViT: one block under torchvision's parameter names has torchvision's
// loss, gradients and logits (testdata/gen_vit.py, torchvision 0.14 in float64) within
// 1e-10 on the reference device.
func TestTorchvisionViT(t *testing.T) {
	f, err := golden.Read(filepath.Join("testdata", "torchvision_vit.json"))
	if err != nil {
		t.Fatal(err)
	}
	c := f.Config
	dev := ref.New()
	defer dev.Close()
	store := nn.NewStore(dev, 1)
	defer store.Free()
	body, err := backbone.NewViT(backbone.ViT{Name: "vit", Patch: c.Patch, Width: c.Dim, Heads: c.Heads, Depth: c.Depth})
	if err != nil {
		t.Fatal(err)
	}
	net := &Net{Classes: c.Classes}
	model := &manpp.Model{Store: store, Backbone: body, Strategy: manpp.E2E, Prefix: BodyPrefix}
	// Clipping at a norm never reached keeps gradients; a rate of 0 changes nothing.
	opt, err := manpp.NewOptimizer(store, optim.Hyper{Rule: optim.SGD, ClipNorm: 1e30}, optim.Rules{}, optim.Schedule{Base: 1e-30})
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
	want := f.Steps[0]
	if n := len(store.Vars()); n != len(want.Grads) {
		t.Errorf("%d parameters, torchvision has %d", n, len(want.Grads))
	}
	for name, w := range want.Grads {
		if err := store.Set(name, f.Param(name, w.Shape)); err != nil {
			t.Fatal(err)
		}
	}
	pixels := c.Image * c.Image
	image := nhwc(golden.U32("input", c.Seed, c.Batch*3*pixels), c.Batch, 3, pixels)
	labels := make([]int32, c.Batch)
	for i, l := range golden.Ints("labels", c.Seed, c.Batch, c.Classes) {
		labels[i] = int32(l)
	}
	if err := s.Input.Upload(image); err != nil {
		t.Fatal(err)
	}
	if err := TargetsOf(s.Heads).Set(labels, nil); err != nil {
		t.Fatal(err)
	}
	var r manpp.StepReport
	if err := tr.Run(s, 0, nil, true, &r); err != nil {
		t.Fatal(err)
	}
	const accepted = 1e-10
	d := &golden.Deviations{}
	d.Check("loss", math.Abs(r.Loss()-want.Losses.Blocks[0])/want.Losses.Blocks[0], accepted)
	compareAll(d, "gradients", want.Grads, c.Seed, accepted, func(name string, n int) []float64 {
		x := make([]float64, n)
		if err := opt.Grad(name).Download(x); err != nil {
			t.Fatal(err)
		}
		return x
	})
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
	d.Check("logits", worst/top, accepted)
	d.Report(t)
}
