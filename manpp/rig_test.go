package manpp

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"manvision/backbone"
	"manvision/device"
	"manvision/device/cpu"
	"manvision/device/ref"
	"manvision/exec"
	"manvision/nn"
	"manvision/optim"
)

const classes = 3

// toy is a classifier's heads: linear layers on pooled features. Final reads two
// stages, one of which has crossed a cut.
type toy struct {
	labels *exec.Tensor
	target *exec.Tensor // the same as distributions
	by     float64
}

func (h *toy) Weighed(by float64) Heads {
	w := *h
	w.by = by
	return &w
}

// weighable makes the targets of weighed losses.
func (h *toy) weighable(dev device.Device) (err error) {
	n := h.labels.Desc.Shape[0]
	if h.target, err = exec.NewTensor(dev, device.Desc{Shape: []int{n, classes}}); err != nil {
		return err
	}
	one := make([]float64, n*classes)
	for i := range n {
		one[i*classes+i%classes] = 1
	}
	return h.target.Upload(one)
}

func newToy(dev device.Device, n int) (*toy, error) {
	t, err := exec.NewTensor(dev, device.Desc{DType: device.Int32, Shape: []int{n}})
	if err != nil {
		return nil, err
	}
	y := make([]int32, n)
	for i := range y {
		y[i] = int32(i % classes)
	}
	return &toy{labels: t}, t.Upload(y)
}

func (h *toy) Stages() []int { return []int{2, 4} }
func (h *toy) Free() {
	h.labels.Free()
	if h.target != nil {
		h.target.Free()
	}
}

func (h *toy) Local(g *nn.Graph, j int, y Feature, prefix string) []Loss {
	logits := g.FC(g.GlobalAvgPool(y.Node), prefix+"fc", classes, nn.FrameworkDefault)
	if h.by != 0 {
		return []Loss{{"ce", g.SoftCrossEntropy(logits, g.Leaf("target", h.target), h.by)}}
	}
	return []Loss{{"ce", g.CrossEntropy(logits, g.Leaf("labels", h.labels), -1)}}
}

func (h *toy) Final(g *nn.Graph, f map[int]Feature) []Loss {
	pooled := g.Concat(1, g.GlobalAvgPool(f[2].Node), g.GlobalAvgPool(f[4].Node))
	logits := g.FC(pooled, "head.fc", classes, nn.FrameworkDefault)
	return []Loss{{"ce", g.CrossEntropy(logits, g.Leaf("labels", h.labels), -1)}}
}

// settings of a rig; zero values give MAN++ by stages with SGD.
type settings struct {
	dev       device.Device
	strategy  Strategy
	partition func(*backbone.Backbone) Partition
	quirks    Quirks
	seed      uint64
	hyper     optim.Hyper
	rules     optim.Rules
	schedule  optim.Schedule
	maxSizes  int
	still     bool  // SGD without momentum
	layers    []int // units by stage
}

// rig is a small model with its trainer.
type rig struct {
	t     testing.TB
	dev   device.Device
	store *nn.Store
	model *Model
	opt   *Optimizer
	tr    *Trainer
	rep   StepReport
}

var huge = 1e30 // clipping that keeps gradients and changes nothing

func newRig(t testing.TB, s settings) *rig {
	t.Helper()
	if s.dev == nil {
		s.dev = ref.NewThreads(1)
	}
	if s.strategy.Name == "" {
		s.strategy = MANPP
	}
	if s.partition == nil {
		s.partition = Stages
	}
	if s.seed == 0 {
		s.seed = 11
	}
	if s.hyper == (optim.Hyper{}) && !s.still {
		s.hyper = optim.Hyper{Rule: optim.SGD, Momentum: 0.9}
	}
	if s.schedule.Base == 0 {
		s.schedule.Base = 0.05
	}
	r := &rig{t: t, dev: s.dev, store: nn.NewStore(s.dev, s.seed)}
	if s.layers == nil {
		s.layers = []int{1, 2, 1, 1}
	}
	b := backbone.ResNet(false, s.layers, 4)
	r.model = &Model{Store: r.store, Backbone: b, Strategy: s.strategy, Quirks: s.quirks, EMAMomentum: 0.9, Prefix: "body."}
	if s.strategy.Local {
		r.model.Partition = s.partition(b)
	}
	var err error
	if r.opt, err = NewOptimizer(r.store, s.hyper, s.rules, s.schedule); err != nil {
		t.Fatal(err)
	}
	if r.tr, err = NewTrainer(r.model, r.opt, func(n, h, w int) (Heads, error) {
		y, err := newToy(s.dev, n)
		if err == nil && s.strategy.Window > 1 {
			err = y.weighable(s.dev)
		}
		return y, err
	}); err != nil {
		t.Fatal(err)
	}
	r.tr.MaxSizes = s.maxSizes
	t.Cleanup(r.close)
	return r
}

func (r *rig) close() {
	r.tr.Close()
	r.opt.Free()
	r.store.Free()
}

// steps compiles for a size and gives variables their values.
func (r *rig) steps(n, h, w int) *Steps {
	r.t.Helper()
	s, err := r.tr.Steps(n, h, w)
	if err != nil {
		r.t.Fatal(err)
	}
	if err := r.store.Realize(); err != nil {
		r.t.Fatal(err)
	}
	return s
}

func images(step int64, n, h, w int) []float64 {
	x := make([]float64, n*h*w*3)
	nn.UniformIn(1)(x, nil, nn.NewStream(uint64(step), "images"))
	for i := range x {
		x[i] = float64(float32(x[i]))
	}
	return x
}

// train runs one step on images that follow from the step's number and size.
func (r *rig) train(step int64, n, h, w int) *StepReport {
	r.t.Helper()
	s := r.steps(n, h, w)
	if err := s.Input.Upload(images(step, n, h, w)); err != nil {
		r.t.Fatal(err)
	}
	if err := r.tr.Run(s, step, nil, true, &r.rep); err != nil {
		r.t.Fatal(err)
	}
	return &r.rep
}

func (r *rig) value(name string) []float64 {
	r.t.Helper()
	v, ok := r.store.Lookup(name)
	if !ok {
		r.t.Fatalf("no variable %s", name)
	}
	x := make([]float64, v.Elems())
	if err := r.store.Get(name, x); err != nil {
		r.t.Fatal(err)
	}
	return x
}

// all returns every variable and optimizer state by name.
func (r *rig) all() map[string][]float64 {
	r.t.Helper()
	out := map[string][]float64{}
	for _, v := range r.store.Vars() {
		out[v.Name] = r.value(v.Name)
	}
	for _, s := range r.opt.States() {
		x := make([]float64, s.Tensor.Desc.Elems())
		if !s.Tensor.Realized() { // before the first step
			continue
		}
		if err := s.Tensor.Download(x); err != nil {
			r.t.Fatal(err)
		}
		out[s.Param+"#"+s.Name] = x
	}
	return out
}

// grads returns the kept gradients by name.
func (r *rig) grads() map[string][]float64 {
	r.t.Helper()
	out := map[string][]float64{}
	for _, v := range r.store.Vars() {
		if g := r.opt.Grad(v.Name); g != nil && g.Realized() {
			x := make([]float64, v.Elems())
			if err := g.Download(x); err != nil {
				r.t.Fatal(err)
			}
			out[v.Name] = x
		}
	}
	return out
}

// differing lists the names whose values differ in any bit, or that one side
// lacks, shortened for messages.
func differing(a, b map[string][]float64) []string {
	out := changed(a, b)
	if len(out) > 6 {
		out = append(out[:6], fmt.Sprintf("and %d more", len(out)-6))
	}
	return out
}

func changed(a, b map[string][]float64) []string {
	var out []string
	for name, x := range a {
		y, ok := b[name]
		same := ok && len(x) == len(y)
		for i := range x {
			same = same && math.Float64bits(x[i]) == math.Float64bits(y[i])
		}
		if !same {
			out = append(out, name)
		}
	}
	for name := range b {
		if _, ok := a[name]; !ok {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// devices runs a test on both devices.
func devices(t *testing.T, f func(t *testing.T, dev device.Device)) {
	t.Run("ref", func(t *testing.T) {
		dev := ref.NewThreads(2)
		defer dev.Close()
		t.Run("", func(t *testing.T) { f(t, dev) })
	})
	t.Run("cpu", func(t *testing.T) {
		dev, err := cpu.New(cpu.Options{Threads: 2})
		if err != nil {
			t.Fatal(err)
		}
		defer dev.Close()
		t.Run("", func(t *testing.T) { f(t, dev) })
	})
}

// block tells which block (from 0) trains a parameter; -1 for EMA copies.
func (r *rig) block(name string) int {
	var j int
	if n, _ := fmt.Sscanf(name, AuxPrefix+"%d.", &j); n == 1 {
		return j
	}
	for j, span := range r.model.Partition.Blocks(r.model.Backbone) {
		for i := span[0]; i <= span[1]; i++ {
			p := r.model.Prefix + r.model.Backbone.Units[i].Name + "."
			if i == 0 {
				p = r.model.Prefix
				if name == p+"conv1.weight" || name == p+"bn1.weight" || name == p+"bn1.bias" {
					return j
				}
				continue
			}
			if len(name) > len(p) && name[:len(p)] == p {
				return j
			}
		}
	}
	return r.model.Blocks() - 1 // the head
}
