// Package bench times the toolkit's main work for BENCHMARKS.md. Every figure has
// a peer, a script in benchmarks/, that is run in turn with it.
package bench

import (
	"fmt"
	"time"

	"manvision/backbone"
	"manvision/device"
	"manvision/exec"
	"manvision/internal/resident"
	"manvision/nn"
)

// Steps is what a training benchmark measured.
type Steps struct {
	Seconds []float64 `json:"seconds"`     // of every counted step
	Planned int64     `json:"planned"`     // bytes of the plan
	Peak    int64     `json:"device_peak"` // bytes allocated on the device at most
	// Resident is the process's high-water mark in bytes, Above its part above what
	// the process held before anything was planned.
	Resident int64     `json:"resident_peak"`
	Above    int64     `json:"resident_above_start"`
	Compile  float64   `json:"compile"`        // seconds
	Loss     []float64 `json:"loss,omitempty"` // of every counted training step
	// Times are the kernels of the steps that were profiled after the counted ones,
	// Profiled the seconds of these steps. As JSON they are summed up by kind and
	// shape, "ops".
	Times    []exec.StepTime `json:"-"`
	Profiled []float64       `json:"-"`
}

// warmup is the number of steps that are not counted.
const warmup = 2

// ResNet50 times training steps of ResNet-50 with 1000 classes, SGD with momentum,
// on random images [batch,size,size,3].
func ResNet50(dev device.Device, batch, size, steps int, profile bool) (*Steps, error) {
	body, err := backbone.New("resnet50", 64)
	if err != nil {
		return nil, err
	}
	base := resident.Baseline()
	start := time.Now()
	store := newStore(dev)
	defer store.Free()
	g := nn.NewGraph(store, nn.Train)
	x, image := g.Input("input", device.Desc{Shape: []int{batch, size, size, 3}})
	labels, classes := g.Input("labels", device.Desc{DType: device.Int32, Shape: []int{batch}})
	y := x
	for _, u := range body.Units {
		y = u.Forward(g, y, "")
	}
	loss := g.CrossEntropy(backbone.Classifier(g, y, "", 1000), labels, -100)
	grads, err := g.Gradients(loss)
	if err != nil {
		return nil, err
	}
	hyper, err := exec.NewTensor(dev, device.Hyper())
	if err != nil {
		return nil, err
	}
	for _, gr := range grads {
		v, err := exec.NewTensor(dev, gr.Var.Value.Desc)
		if err != nil {
			return nil, err
		}
		g.Post(exec.Post{Op: device.SGD{Of: gr.Var.Value.Desc, Momentum: 0.9, WeightDecay: 1e-4, LRScale: 1},
			In: []exec.Source{{Node: gr.Node}, {Tensor: hyper}}, Out: []*exec.Tensor{gr.Var.Value, v}})
	}
	p, err := g.Compile("resnet50", nil, loss)
	if err != nil {
		return nil, err
	}
	defer p.Close()
	if err := store.Realize(); err != nil {
		return nil, err
	}
	if err := hyper.Upload([]float32{0.1, 1, 0, 1, 1}); err != nil {
		return nil, err
	}
	if err := image.Upload(noise(batch * size * size * 3)); err != nil {
		return nil, err
	}
	ids := make([]int32, batch)
	for i := range ids {
		ids[i] = int32(i * 997 % 1000)
	}
	if err := classes.Upload(ids); err != nil {
		return nil, err
	}
	out := &Steps{Compile: time.Since(start).Seconds(), Planned: p.Bytes()}
	for _, t := range p.Tensors() {
		out.Planned += t.Bytes()
	}
	one := func() (float64, error) {
		if err := p.Run(); err != nil {
			return 0, err
		}
		var l [1]float32
		err := p.Download(l[:], loss)
		return float64(l[0]), err
	}
	err = out.run(steps, one)
	if err == nil && profile {
		err = out.profile(steps, one, p)
	}
	out.memory(dev, base)
	return out, err
}

// memory notes the peaks; base is the resident memory at the start.
func (s *Steps) memory(dev device.Device, base int64) {
	_, s.Peak = dev.Allocated()
	_, s.Resident = resident.Bytes()
	s.Above = s.Resident - base
}

func (s *Steps) run(steps int, step func() (float64, error)) error {
	for i := range steps + warmup {
		start := time.Now()
		loss, err := step()
		if err != nil {
			return fmt.Errorf("step %d: %w", i, err)
		}
		if i >= warmup {
			s.Seconds = append(s.Seconds, time.Since(start).Seconds())
			s.Loss = append(s.Loss, loss)
		}
	}
	return nil
}

// noise is a cheap deterministic stand-in for normalised pixels.
func noise(n int) []float32 {
	s := nn.NewStream(1, "noise")
	out := make([]float32, n)
	for i := range out {
		out[i] = float32(4*s.Uniform() - 2)
	}
	return out
}
