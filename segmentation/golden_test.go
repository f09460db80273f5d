package segmentation

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
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

// reference is what testdata/gen_golden.py computed with PyTorch and torchvision.
type reference struct {
	Config struct {
		Block           string
		Layers          []int
		Width           int
		Head            string
		OutputStride    int `json:"output_stride"`
		Rates           []int
		Channels        int
		Classes         int
		Batch           int
		Size            [2]int
		Aux             float64
		Cuts            []string
		Task, Recon     float64
		LocalChannels   int `json:"local_channels"`
		DecoderChannels int `json:"decoder_channels"`
		Momentum        float64
		Seed            uint64
	}
	Terms      [][]float64              // losses of every block
	Grads      map[string]golden.Tensor // of every parameter that has one
	EMA        map[string]golden.Tensor // after the step
	Buffers    map[string]golden.Tensor // likewise
	Parameters map[string][]int
	Eval       map[string]golden.Tensor // "logits" [N,Classes,h,w]
	Logits     [][]float64              // [image][class] at y 1, x 2
	// Deviation is how far PyTorch's own float32 strays from its float64.
	Deviation struct{ Norms, Buffers, Eval float64 } `json:"float32_deviation"`
}

// TestGoldenSegmentation compares a training step and an evaluation with PyTorch's:
// losses, gradients, EMA copies and running statistics within 1e-9 on the reference
// device in float64; losses and the gradients' norms within 1e-4 on oneDNN in
// float32. There one of four thread counts must be, since a value within rounding of
// zero may fall on either side of a ReLU and which ones do depends on the order of
// sums (see golden.OnThreads). The whole ResNet-50 has so many such
// values that PyTorch's own float32 is off by 4e-3: where it strays, ten times its
// deviation is allowed.
func TestGoldenSegmentation(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("testdata", "golden_*.json"))
	if err != nil || len(files) < 4 {
		t.Fatalf("%d golden files, %v", len(files), err)
	}
	for _, path := range files {
		name := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(path), "golden_"), ".json")
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var r reference
		if err := json.Unmarshal(data, &r); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		t.Run(name+"/ref", func(t *testing.T) {
			dev := ref.New()
			defer dev.Close()
			d := &deviations{losses: 1e-9, norms: 1e-9, rest: 1e-9, Deviations: &golden.Deviations{}}
			step(t, &r, dev, d)
			d.Report(t)
		})
		t.Run(name+"/onednn", func(t *testing.T) {
			golden.OnThreads(t, func(threads int, all *golden.Deviations) {
				f := r.Deviation
				d := &deviations{losses: 1e-4, norms: max(1e-4, 10*f.Norms), rest: max(1e-4, 10*f.Buffers, 10*f.Eval), coarse: true, Deviations: all}
				dev, err := cpu.New(cpu.Options{Threads: threads})
				if err != nil {
					t.Fatal(err)
				}
				step(t, &r, dev, d)
				if err := dev.Close(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// deviations collects what a run was off by.
type deviations struct {
	losses, norms, rest float64 // tolerances
	coarse              bool    // gradients by their norms alone
	*golden.Deviations
}

// compare holds a group of tensors against l2 norms and probes, relative to each
// one's l2, at least 1e-3 of the group's largest.
func (d *deviations) compare(what string, want map[string]golden.Tensor, seed uint64, tol float64, norms bool, get func(string, int) []float64) {
	largest := 0.0
	for _, w := range want {
		largest = max(largest, w.L2)
	}
	worst, at := 0.0, ""
	for name, w := range want {
		l2, probe := golden.Probe(name, seed, get(name, golden.Elements(w.Shape)))
		diff := math.Abs(l2 - w.L2)
		if !norms {
			diff = max(diff, math.Abs(probe-w.Probe))
		}
		if off := diff / max(w.L2, 1e-3*largest); off > worst || math.IsNaN(off) {
			worst, at = off, name
		}
	}
	d.Check(fmt.Sprintf("%s (%d tensors, worst %s)", what, len(want), at), worst, tol)
}

func step(t *testing.T, r *reference, dev device.Device, d *deviations) {
	c := r.Config
	net := &Net{Classes: c.Classes, Head: c.Head, OutputStride: c.OutputStride, Rates: c.Rates, Channels: c.Channels,
		AuxWeight: c.Aux, LocalChannels: c.LocalChannels, TaskWeight: c.Task, ReconWeight: c.Recon, DecoderChannels: c.DecoderChannels,
		Mean: [3]float32{0.485, 0.456, 0.406}, Std: [3]float32{0.229, 0.224, 0.225}}
	body, err := backbone.Dilated(backbone.ResNet(c.Block == "bottleneck", c.Layers, c.Width), c.OutputStride)
	if err != nil {
		t.Fatal(err)
	}
	cuts, err := manpp.Cuts(body, c.Cuts)
	if err != nil {
		t.Fatal(err)
	}
	tr := trainer(t, dev, net, body, cuts)
	defer tr.Close()
	m := tr.Model
	defer m.Store.Free()
	n, h, w := c.Batch, c.Size[0], c.Size[1]
	s, err := tr.Steps(n, h, w)
	if err != nil {
		t.Fatal(err)
	}
	for name, shape := range r.Parameters {
		if err := m.Store.Set(name, golden.Param(name, shape, c.Seed)); err != nil {
			t.Fatal(err)
		}
	}
	for _, v := range m.Store.Vars() {
		if _, ok := r.Parameters[v.Name]; !ok && !v.Buffer {
			t.Fatalf("PyTorch has no %s", v.Name)
		}
	}
	if err := m.Store.Realize(); err != nil { // buffers
		t.Fatal(err)
	}
	image := nhwc(golden.U32("input", c.Seed, n*3*h*w), n, 3, h*w)
	if err := s.Input.Upload(image); err != nil {
		t.Fatal(err)
	}
	pixels := make([]float32, len(image))
	for i, v := range image {
		pixels[i] = float32(v)
	}
	labels := make([]uint8, n*h*w)
	for i, l := range golden.Ints("labels", c.Seed, n*h*w, c.Classes+1) {
		if labels[i] = uint8(l); l == c.Classes {
			labels[i] = Ignore
		}
	}
	if err := TargetsOf(s.Heads).Set(labels, pixels); err != nil {
		t.Fatal(err)
	}
	var rep manpp.StepReport
	if err := tr.Run(s, 0, nil, false, &rep); err != nil {
		t.Fatal(err)
	}
	if len(rep.Blocks) != len(r.Terms) {
		t.Fatalf("%d blocks, want %d", len(rep.Blocks), len(r.Terms))
	}
	for j, want := range r.Terms {
		got := rep.Blocks[j].Terms
		if len(got) != len(want) {
			t.Fatalf("block %d has losses %v, want %v", j+1, got, want)
		}
		for i := range want {
			d.Check(fmt.Sprintf("loss %d of block %d", i+1, j+1), math.Abs(got[i]-want[i])/want[i], d.losses)
		}
	}
	for _, v := range m.Store.Vars() {
		if _, ok := r.Grads[v.Name]; !ok && v.Trainable {
			t.Fatalf("%s gets a gradient, none in PyTorch", v.Name)
		}
	}
	d.compare("gradients", r.Grads, c.Seed, d.norms, d.coarse, func(name string, n int) []float64 {
		g := tr.Opt.Grad(name)
		if g == nil {
			t.Fatalf("no gradient of %s", name)
		}
		x := make([]float64, n)
		if err := g.Download(x); err != nil {
			t.Fatal(err)
		}
		return x
	})
	read := func(name string, n int) []float64 {
		x := make([]float64, n)
		if err := m.Store.Get(name, x); err != nil {
			t.Fatal(err)
		}
		return x
	}
	d.compare("EMA copies", r.EMA, c.Seed, d.rest, false, read)
	d.compare("running statistics", r.Buffers, c.Seed, d.rest, false, read)

	for _, fold := range []bool{false, true} {
		m.Store.Fold = fold
		evaluate(t, r, net, m, image, d)
	}
}

// evaluate compares inference with PyTorch's.
func evaluate(t *testing.T, r *reference, net *Net, m *manpp.Model, image []float64, d *deviations) {
	c := r.Config
	n := c.Batch
	inf, err := net.NewInference(m, n, c.Size[0], c.Size[1], nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer inf.Close()
	if err := inf.Input.Upload(image); err != nil {
		t.Fatal(err)
	}
	if err := inf.program.Run(); err != nil {
		t.Fatal(err)
	}
	got := make([]float64, n*inf.H*inf.W*inf.Classes)
	if err := inf.program.Download(got, inf.logits); err != nil {
		t.Fatal(err)
	}
	if want := r.Eval["logits"].Shape; inf.H != want[2] || inf.W != want[3] || inf.Classes != want[1] {
		t.Fatalf("logits are %dx%dx%d, PyTorch's %v", inf.H, inf.W, inf.Classes, want)
	}
	for b, row := range r.Logits {
		for k, want := range row {
			if v := got[((b*inf.H+1)*inf.W+2)*inf.Classes+k]; math.Abs(v-want) > 10*d.rest*(1+math.Abs(want)) {
				t.Errorf("logit of image %d, class %d is %v, want %v", b, k, v, want)
			}
		}
	}
	chw := nhwc(got, n, inf.H*inf.W, inf.Classes)
	d.compare(fmt.Sprintf("evaluation, folded %v", m.Store.Fold), r.Eval, c.Seed, d.rest, false, func(string, int) []float64 { return chw })
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

// trainer makes a trainer of net that keeps gradients and never clips. LB and EMA
// start apart, for while they are equal s has no gradient; nothing is updated by a
// learning rate of 0.
func trainer(t testing.TB, dev device.Device, net *Net, b *backbone.Backbone, p manpp.Partition) *manpp.Trainer {
	t.Helper()
	store := nn.NewStore(dev, 3)
	strategy := manpp.MANPP
	if len(p) == 0 {
		strategy = manpp.E2E
	}
	m := &manpp.Model{Store: store, Backbone: b, Partition: p, Strategy: strategy, EMAMomentum: 0.995, Prefix: BodyPrefix, Quirks: manpp.Released}
	opt, err := manpp.NewOptimizer(store, optim.Hyper{Rule: optim.SGD, Momentum: 0.9, ClipNorm: 1e30}, optim.Rules{}, optim.Schedule{Base: 1e-30})
	if err != nil {
		t.Fatal(err)
	}
	tr, err := manpp.NewTrainer(m, opt, func(n, h, w int) (manpp.Heads, error) { return net.NewHeads(m, n, h, w) })
	if err != nil {
		t.Fatal(err)
	}
	return tr
}
