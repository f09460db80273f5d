package manpp

import (
	"maps"
	"math"
	"slices"
	"testing"

	"manvision/backbone"
	"manvision/device"
	"manvision/device/cpu"
	"manvision/device/ref"
	"manvision/optim"
)

// activationRig trains blocks of 16 channels and more on activations of a type, with
// its gradients kept.
func activationRig(t *testing.T, dev device.Device, activations device.DType) *rig {
	t.Helper()
	r := newRig(t, settings{dev: dev, hyper: optim.Hyper{Rule: optim.SGD, Momentum: 0.9, ClipNorm: huge}})
	r.model.Backbone = backbone.ResNet(false, []int{1, 2, 1, 1}, 16)
	r.store.Activations = activations
	return r
}

// The reference device rounds nothing to bf16: the plan with all its casts must give
// the bits of the plan without.
func TestBF16Plan(t *testing.T) {
	var rigs [2]*rig
	for i, a := range []device.DType{device.Float, device.BF16} {
		rigs[i] = activationRig(t, ref.NewThreads(2), a)
		for step := range int64(2) {
			rigs[i].train(step, 2, 32, 32)
		}
	}
	if d := differing(rigs[0].all(), rigs[1].all()); len(d) > 0 {
		t.Errorf("casts change values: %v", d)
	}
}

// Bounds of gradients, relative to their length: 0.6 of a parameter's own, 0.25 of all
// together, the length that SGD moves by. 0.16 was seen of all: activations carry errors
// of up to 2⁻⁸, and the batch norms of maps down to 2x2, which divide by deviations of
// few numbers, make many times as much of them.
func TestBF16Gradients(t *testing.T) {
	const single, together = 0.6, 0.25
	dev, err := cpu.New(cpu.Options{Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	var grads [3]map[string][]float64
	var memory [3]Memory
	var all [3]map[string][]float64
	for i, a := range []device.DType{device.Float, device.BF16, device.BF16} {
		r := activationRig(t, dev, a)
		rep := r.train(0, 8, 64, 64)
		grads[i], memory[i], all[i] = r.grads(), r.tr.Memory(r.steps(8, 64, 64)), r.all()
		t.Logf("%v: losses of blocks %.4f %.4f %.4f %.4f, %d bytes", a, rep.Blocks[0].Loss, rep.Blocks[1].Loss, rep.Blocks[2].Loss, rep.Blocks[3].Loss, memory[i].Arena)
		r.close()
	}
	if d := differing(all[1], all[2]); len(d) > 0 {
		t.Errorf("two runs in bf16 differ: %v", d)
	}
	if len(grads[1]) != len(grads[0]) {
		t.Errorf("%d gradients in bf16, %d in f32", len(grads[1]), len(grads[0]))
	}
	var off, length, worst float64
	for _, name := range slices.Sorted(maps.Keys(grads[0])) {
		var d, n float64
		for i, v := range grads[0][name] {
			d += (grads[1][name][i] - v) * (grads[1][name][i] - v)
			n += v * v
		}
		off, length = off+d, length+n
		if n == 0 {
			continue
		}
		worst = max(worst, math.Sqrt(d/n))
		if !(d <= single*single*n) {
			t.Errorf("gradient of %s: off by %.3f of its length", name, math.Sqrt(d/n))
		}
	}
	t.Logf("all gradients: off by %.4f of their length, the worst by %.4f of its own", math.Sqrt(off/length), worst)
	if !(off <= together*together*length) || off == 0 {
		t.Errorf("all gradients: off by %.3f of their length", math.Sqrt(off/length))
	}
	// Of the boundaries images stay floats.
	if a, b := memory[0].Boundary, memory[1].Boundary; b >= a {
		t.Errorf("boundaries of %d bytes in bf16, %d in f32", b, a)
	}
}
