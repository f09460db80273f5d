package exec_test

import (
	"errors"
	"math"
	"strings"
	"testing"

	"gorgonia.org/gorgonia"

	"manvision/device"
	"manvision/exec"
	"manvision/nn"
)

// A guarded program stops after a loss that is no number and before the updates; a run
// for the cause names the first bad value and updates nothing either.
func TestGuard(t *testing.T) {
	s := newStore(t)
	hyper := newTensor(t, s, []int{device.HyperSlots}, 0.5, 1, 1, 1, 1)
	g := nn.NewGraph(s, nn.Train)
	input := newTensor(t, s, []int{2, 3}, 1, 2, 3, 4, 5, 6)
	y := g.FC(g.FC(g.Leaf("images", input), "a", 4, nn.FrameworkDefault), "b", 3, nn.FrameworkDefault)
	loss := project(t, g, "y", y)
	grads, err := g.Gradients(loss)
	ok(t, err)
	var params []*exec.Tensor
	for _, gr := range grads {
		v := gr.Var.Value
		params = append(params, v)
		g.Post(exec.Post{Op: device.SGD{Of: v.Desc, LRScale: 1}, In: []exec.Source{{Node: gr.Node}, {Tensor: hyper}}, Out: []*exec.Tensor{v, v}})
	}
	p, err := g.Compile("p", nil, loss)
	ok(t, err)
	defer p.Close()
	ok(t, s.Realize())
	ok(t, p.Guard(loss))
	state := func() (all []float64) {
		for _, v := range params {
			all = append(all, values(t, v)...)
		}
		return all
	}
	ok(t, p.Run())
	if found, err := p.FirstNotFinite(); found != "" || err != nil {
		t.Errorf("found %q, %v", found, err)
	}
	before := state()
	ok(t, input.Upload([]float64{1, 2, math.Inf(1), 4, 5, 6}))
	if err := p.Run(); !errors.Is(err, exec.ErrNotFinite) {
		t.Fatalf("no guard: %v", err)
	}
	found, err := p.FirstNotFinite()
	if err != nil || !strings.HasPrefix(found, "1 of 6 values of images, which ") {
		t.Errorf("found %q, %v", found, err)
	}
	ok(t, input.Upload([]float64{1, 2, 1e308, 4, 5, 1e308}))
	ok(t, params[0].Upload(repeat(10, params[0].Desc.Elems())))
	before = append(repeat(10, params[0].Desc.Elems()), before[params[0].Desc.Elems():]...)
	if err := p.Run(); !errors.Is(err, exec.ErrNotFinite) {
		t.Fatalf("no guard: %v", err)
	}
	if found, err := p.FirstNotFinite(); err != nil || !strings.Contains(found, " values of the result of ") {
		t.Errorf("found %q, %v", found, err)
	}
	for i, x := range state() {
		if x != before[i] {
			t.Fatalf("value %d was updated in a bad step", i)
		}
	}
	if err := p.Guard(gorgonia.Nodes{y}...); err == nil {
		t.Error("guards what is not kept")
	}
}

func repeat(x float64, n int) []float64 {
	out := make([]float64, n)
	for i := range out {
		out[i] = x
	}
	return out
}
