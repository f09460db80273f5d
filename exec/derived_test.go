package exec_test

import (
	"testing"

	"gorgonia.org/gorgonia"

	"manvision/device"
	"manvision/exec"
	"manvision/nn"
)

// TestDerived: what is derived is computed by the first of the programs that read
// it, again when a tensor behind it was uploaded, cleared or written by another
// program, or when memory was given back, and otherwise left alone: a mark put
// into it then stays.
func TestDerived(t *testing.T) {
	s := newStore(t)
	of := device.Desc{Shape: []int{2}}
	a, b, c := newTensor(t, s, of.Shape, 1, 2), newTensor(t, s, of.Shape, 10, 20), newTensor(t, s, of.Shape)
	d := &exec.Derived{Op: device.Add{Of: of}, In: []*exec.Tensor{a, b}, Out: []*exec.Tensor{c}}
	var programs [2]*exec.Program
	var nodes [2]*gorgonia.Node
	for i := range programs {
		g := nn.NewGraph(s, nn.Eval)
		x := g.Leaf("c", c)
		nodes[i] = g.ReLU(x)
		var err error
		programs[i], err = exec.Compile(s.Device(), exec.Spec{Name: "p", Graph: g.E, Bind: map[*gorgonia.Node]*exec.Tensor{x: c},
			Keep: []*gorgonia.Node{nodes[i]}, Derived: []*exec.Derived{d}})
		ok(t, err)
		defer programs[i].Close()
	}
	writer, err := exec.Compile(s.Device(), exec.Spec{Name: "writer", Graph: gorgonia.NewGraph(),
		Posts: []exec.Post{{Op: device.EMA{Of: of, Momentum: 0.5}, In: []exec.Source{{Tensor: a}}, Out: []*exec.Tensor{b}}}})
	ok(t, err)
	defer writer.Close()

	check := func(what string, i int, want ...float64) {
		t.Helper()
		ok(t, programs[i].Run())
		got := make([]float64, 2)
		ok(t, programs[i].Download(got, nodes[i]))
		if got[0] != want[0] || got[1] != want[1] {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	check("first", 0, 11, 22)
	ok(t, c.Upload([]float64{5, 6}))
	check("nothing changed", 0, 5, 6)
	check("nothing changed, another program", 1, 5, 6)
	ok(t, a.Upload([]float64{3, 4}))
	check("upload", 1, 13, 24)
	ok(t, c.Upload([]float64{5, 6}))
	check("nothing changed since", 0, 5, 6)
	ok(t, writer.Run()) // b = b/2 + a/2
	check("written by a program", 0, 3+5+1.5, 4+10+2)
	ok(t, b.Zero())
	check("cleared", 0, 3, 4)
	c.Free()
	check("freed", 1, 3, 4)
	a.Free()
	check("what it reads is freed", 1, 0, 0)
}

// TestDerivedErrors: descriptions that do not fit are found by Compile.
func TestDerivedErrors(t *testing.T) {
	s := newStore(t)
	a, c := newTensor(t, s, []int{2}, 1, 2), newTensor(t, s, []int{3})
	for what, d := range map[string]*exec.Derived{
		"missing input": {Op: device.Add{Of: a.Desc}, In: []*exec.Tensor{a}, Out: []*exec.Tensor{a}},
		"output's size": {Op: device.Add{Of: a.Desc}, In: []*exec.Tensor{a, a}, Out: []*exec.Tensor{c}},
	} {
		if _, err := exec.Compile(s.Device(), exec.Spec{Name: "p", Graph: gorgonia.NewGraph(), Derived: []*exec.Derived{d}}); err == nil {
			t.Errorf("%s: no error", what)
		}
	}
}
