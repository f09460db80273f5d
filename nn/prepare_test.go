package nn

import (
	"math"
	"slices"
	"testing"

	"gorgonia.org/gorgonia"

	"manvision/device"
	"manvision/device/cpu"
	"manvision/exec"
)

// TestPrepared: filters that the device wants prepared are, once, by whichever program
// runs first; a folded graph computes what a plain one does (to float32's rounding in
// Winograd's algorithm), also after parameters changed and storage was given back, and
// the same bits in every run.
func TestPrepared(t *testing.T) {
	dev, err := cpu.New(cpu.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	store := NewStore(dev, 3)
	store.Prepare = true
	defer store.Free()
	forms := 0
	build := func(fold bool, h, w int) (*exec.Program, *gorgonia.Node, *exec.Tensor) {
		g := NewGraph(store, Eval)
		g.Fold = fold
		x, in := g.Input("x", device.Desc{Shape: []int{1, h, w, 64}})
		t.Cleanup(in.Free)
		wide := Layer{Out: 64, Kernel: 3, ConvOptions: ConvOptions{Pad: 1}}
		y := g.ConvNorm(x, "conv1", "bn1", wide, true)
		wide.Bias = true
		y = g.Add(g.Conv(y, "conv2", wide), x)
		for n := y; fold && n.Op() != nil; {
			if c, ok := n.Op().(*op).desc.(device.Conv); ok && c.Form != 0 {
				forms++
			}
			it := g.E.From(n.ID())
			it.Next()
			n = it.Node().(*gorgonia.Node)
		}
		p, err := g.Compile("p", nil, y)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { p.Close() })
		if err := in.Upload(random(h*w*64, "image")); err != nil {
			t.Fatal(err)
		}
		return p, y, in
	}
	plain, y, _ := build(false, 14, 14)
	bytes := store.Bytes()
	folded, z, _ := build(true, 14, 14)
	if forms != 2 {
		t.Errorf("%d prepared filters, want both", forms)
	}
	once := store.Bytes()
	other, u, _ := build(true, 14, 18)
	if once <= bytes || store.Bytes() != once {
		t.Errorf("storage of %d bytes, with prepared filters %d, for another map %d: want one set of them", bytes, once, store.Bytes())
	}
	if err := store.Realize(); err != nil {
		t.Fatal(err)
	}
	read := func(p *exec.Program, n *gorgonia.Node) []float32 {
		t.Helper()
		if err := p.Run(); err != nil {
			t.Fatal(err)
		}
		out := make([]float32, n.Shape().TotalSize())
		if err := p.Download(out, n); err != nil {
			t.Fatal(err)
		}
		return out
	}
	var last []float32
	agree := func(what string) {
		t.Helper()
		read(other, u) // the first to prepare
		want, got := read(plain, y), read(folded, z)
		if !slices.Equal(got, read(folded, z)) {
			t.Errorf("%s: another run gives other bits", what)
		}
		scale := 0.0
		for _, v := range want {
			scale = math.Max(scale, math.Abs(float64(v)))
		}
		for i, v := range want {
			if !(math.Abs(float64(v-got[i])) <= 1e-5*scale) {
				t.Fatalf("%s: element %d is %v, prepared %v", what, i, v, got[i])
			}
		}
		if slices.Equal(got, last) {
			t.Errorf("%s: nothing changed", what)
		}
		last = got
	}
	agree("initial values")
	for _, name := range []string{"conv1.weight", "bn1.weight", "conv2.weight", "conv2.bias"} {
		v, _ := store.Lookup(name)
		if err := store.Set(name, random(v.Elems(), name)); err != nil {
			t.Fatal(err)
		}
		agree(name + " set")
	}
	store.FreeFolded()
	last = nil
	agree("storage given back")
}
