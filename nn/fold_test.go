package nn

import (
	"math"
	"strings"
	"testing"

	"gorgonia.org/gorgonia"

	"manvision/device"
	"manvision/device/ref"
	"manvision/exec"
)

// residual is units with a projection, grouped and dilated convolutions, a layer that
// is used twice, and sums with the results of 1x1 and 3x3 convolutions.
func residual(g *Graph, x *gorgonia.Node) *gorgonia.Node {
	shared := Layer{Out: 4, Kernel: 3, ConvOptions: ConvOptions{Pad: 2, Dilation: 2, Groups: 2}}
	s := g.ConvNorm(x, "down.0", "down.1", Layer{Out: 4, Kernel: 1, ConvOptions: ConvOptions{Stride: 2}}, false)
	y := g.ConvNorm(x, "conv1", "bn1", Layer{Out: 4, Kernel: 3, ConvOptions: ConvOptions{Stride: 2, Pad: 1}, Bias: true, BiasInit: UniformIn(1)}, true)
	y = g.ConvNorm(g.ConvNorm(y, "conv2", "bn2", shared, true), "conv2", "bn2", shared, false)
	y = g.AddReLU(y, s)
	z := g.ConvNorm(y, "conv3", "bn3", Layer{Out: 4, Kernel: 1}, false)
	y = g.AddReLU(y, z)
	wide := Layer{Out: 4, Kernel: 3, ConvOptions: ConvOptions{Pad: 1}}
	return g.AddReLU(g.ConvNorm(y, "conv4", "bn4", wide, false), y)
}

// TestFold: an Eval graph with Fold computes what one without computes, in
// float64 to rounding, with fewer kernels; also after parameters were set and after
// a training step; checkpoints see nothing of it.
func TestFold(t *testing.T) {
	dev := ref.New()
	store := NewStore(dev, 3)
	defer store.Free()
	shape := []int{2, 9, 8, 3}
	image := random(2*9*8*3, "image")
	build := func(fold bool, mode Mode) (*exec.Program, *gorgonia.Node) {
		g := NewGraph(store, mode)
		g.Fold = fold
		x, in := g.Input("x", device.Desc{Shape: shape})
		t.Cleanup(in.Free)
		if err := in.Upload(image); err != nil {
			t.Fatal(err)
		}
		y := residual(g, x)
		if mode == Train {
			n := y.Shape().TotalSize()
			bce := g.SigmoidBCE(y, g.Leaf("target", zeros(t, dev, n, y.Shape()...)), 1)
			grads, err := g.Gradients(bce)
			if err != nil {
				t.Fatal(err)
			}
			hyper := zeros(t, dev, device.HyperSlots, device.HyperSlots)
			if err := hyper.Upload([]float64{0.5, 1, 1, 1, 1}); err != nil {
				t.Fatal(err)
			}
			for _, gr := range grads {
				v := gr.Var.Value
				g.Post(exec.Post{Op: device.SGD{Of: v.Desc, LRScale: 1}, In: []exec.Source{{Node: gr.Node}, {Tensor: hyper}}, Out: []*exec.Tensor{v, v}})
			}
		}
		p, err := g.Compile("p", nil, y)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { p.Close() })
		return p, y
	}
	plain, y := build(false, Eval)
	vars, bytes := len(store.Vars()), store.Bytes()
	folded, z := build(true, Eval)
	train, _ := build(false, Train)
	if err := store.Realize(); err != nil {
		t.Fatal(err)
	}
	if len(store.Vars()) != vars {
		t.Errorf("%d variables, without folding %d", len(store.Vars()), vars)
	}
	// Weights of 12+108+72+16+144 elements and a bias of 4 for each, 8 bytes an element.
	if got, want := store.Bytes()-bytes, int64(8*(12+108+72+16+144+5*4)); got != want || store.FoldedBytes() != want {
		t.Errorf("folding takes %d bytes (%d), want %d", got, store.FoldedBytes(), want)
	}
	// Six convolutions and norms, of which three take the sums; five foldings and the
	// convolutions, three of which take the sums.
	if plain.Steps() != 12 || folded.Steps() != 5+6 {
		t.Errorf("%d and %d kernels", plain.Steps(), folded.Steps())
	}
	last := 0.0
	agree := func(what string) {
		t.Helper()
		var out [2][]float64
		for i, p := range []*exec.Program{plain, folded} {
			if err := p.Run(); err != nil {
				t.Fatal(err)
			}
			out[i] = make([]float64, y.Shape().TotalSize())
			if err := p.Download(out[i], []*gorgonia.Node{y, z}[i]); err != nil {
				t.Fatal(err)
			}
		}
		scale, sum := 0.0, 0.0
		for _, v := range out[0] {
			scale, sum = math.Max(scale, math.Abs(v)), sum+v
		}
		for i, v := range out[0] {
			if !(math.Abs(v-out[1][i]) <= 1e-12*scale) {
				t.Fatalf("%s: element %d is %v, folded %v", what, i, v, out[1][i])
			}
		}
		if sum == last {
			t.Errorf("%s: nothing changed", what)
		}
		last = sum
	}
	agree("initial values")
	for _, name := range []string{"bn1.running_mean", "bn2.weight", "bn3.running_var", "conv1.bias", "conv2.weight"} {
		v, _ := store.Lookup(name)
		x := random(v.Elems(), name)
		for i := range x {
			x[i] = 0.5 + math.Abs(x[i])
		}
		if err := store.Set(name, x); err != nil {
			t.Fatal(err)
		}
		agree(name + " set")
	}
	if err := train.Run(); err != nil {
		t.Fatal(err)
	}
	agree("a training step")
	store.FreeFolded()
	last = 0
	agree("folded storage given back")
}

func zeros(t *testing.T, dev device.Device, n int, shape ...int) *exec.Tensor {
	t.Helper()
	x, err := exec.NewTensor(dev, device.Desc{Shape: shape})
	if err != nil {
		t.Fatal(err)
	}
	if err := x.Upload(make([]float64, n)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(x.Free)
	return x
}

// TestFoldSwitch: graphs take it from the store, training graphs ignore it, and a
// folded graph has no gradients.
func TestFoldSwitch(t *testing.T) {
	b := newBench(t)
	b.g.Store.Fold = true
	layer := Layer{Out: 2, Kernel: 1}
	g := NewGraph(b.g.Store, Train)
	x, in := g.Input("x", device.Desc{Shape: []int{1, 2, 2, 3}})
	defer in.Free()
	if _, ok := g.ConvNorm(x, "c", "n", layer, true).Op().(*op).desc.(device.BatchNorm); !ok {
		t.Error("a training graph folds")
	}
	g = NewGraph(b.g.Store, Eval)
	y := g.ConvNorm(g.Leaf("x", in), "c", "n", layer, true)
	if c, ok := y.Op().(*op).desc.(device.Conv); !ok || !c.ReLU || !c.Bias {
		t.Errorf("an Eval graph computes %+v", y.Op().(*op).desc)
	}
	if _, err := g.Gradients(y); err == nil || !strings.Contains(err.Error(), "folded") {
		t.Errorf("gradients of a folded graph: %v", err)
	}
}
