package nn

import (
	"math"
	"testing"

	"gorgonia.org/gorgonia"

	"manvision/device"
	"manvision/device/ref"
)

// chain trains three convolutions and a bottleneck with norms on device/ref and returns
// all gradients by name, and the program's working memory.
func chain(t *testing.T, recompute, convs bool) (map[string][]float64, int64) {
	t.Helper()
	dev := ref.New()
	defer dev.Close()
	store := NewStore(dev, 3)
	g := NewGraph(store, Train)
	g.Recompute, g.RecomputeConvs = recompute, convs
	x, image := g.Input("x", device.Desc{Shape: []int{2, 16, 16, 3}})
	labels, ids := g.Input("labels", device.Desc{DType: device.Int32, Shape: []int{2}})
	l := Layer{Out: 8, Kernel: 3, ConvOptions: ConvOptions{Pad: 1}}
	y := g.ConvNorm(x, "a", "an", l, true)
	y = g.ConvNorm(y, "b", "bn", l, true)
	y = g.ConvNorm(y, "c", "cn", l, false)
	one := Layer{Out: 32, Kernel: 1}
	side := g.ConvNorm(y, "d", "dn", one, false)
	y = g.AddReLU(g.ConvNorm(g.ConvNorm(y, "e", "en", l, true), "f", "fn", one, false), side)
	y = g.FC(g.GlobalAvgPool(y), "fc", 5, FrameworkDefault)
	grads, err := g.Gradients(g.CrossEntropy(y, labels, -100))
	if err != nil {
		t.Fatal(err)
	}
	var keep []*gorgonia.Node
	for _, gr := range grads {
		keep = append(keep, gr.Node)
	}
	p, err := g.Compile("chain", nil, keep...)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if err := store.Realize(); err != nil {
		t.Fatal(err)
	}
	if err := image.Upload(random(2*16*16*3, "image")); err != nil {
		t.Fatal(err)
	}
	if err := ids.Upload([]int32{1, 4}); err != nil {
		t.Fatal(err)
	}
	if err := p.Run(); err != nil {
		t.Fatal(err)
	}
	out := map[string][]float64{}
	for _, gr := range grads {
		v := make([]float64, gr.Var.Elems())
		if err := p.Download(v, gr.Node); err != nil {
			t.Fatal(err)
		}
		out[gr.Var.Name] = v
	}
	return out, p.Bytes()
}

// Recomputing norms gives the same gradients (float64, last bits apart) in less memory,
// convolutions too in still less.
func TestRecompute(t *testing.T) {
	want, kept := chain(t, false, false)
	for _, convs := range []bool{false, true} {
		got, again := chain(t, true, convs)
		for name, w := range want {
			for i := range w {
				if d := math.Abs(got[name][i] - w[i]); d > 1e-12*(1+math.Abs(w[i])) {
					t.Errorf("convolutions too %t: gradient %d of %s: %v, want %v", convs, i, name, got[name][i], w[i])
					break
				}
			}
		}
		if again >= kept {
			t.Errorf("convolutions too %t: recomputing takes %d bytes, keeping %d", convs, again, kept)
		}
		kept = again
	}
}

func TestRecomputeRefuses(t *testing.T) {
	g := NewGraph(NewStore(ref.New(), 1), Train)
	x, _ := g.Input("x", device.Desc{Shape: []int{1, 2, 2, 3}})
	if Recompute(x) == nil {
		t.Error("recomputes an input")
	}
	if Recompute(g.ReLU(x)) == nil {
		t.Error("recomputes a ReLU")
	}
}
