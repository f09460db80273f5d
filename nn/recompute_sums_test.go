package nn

import (
	"math"
	"testing"

	"gorgonia.org/gorgonia"

	"manvision/device"
	"manvision/device/ref"
)

// residuals trains six residual units, the first with a projection, whose sums
// are computed again or kept, and returns all gradients and the working memory.
func residuals(t *testing.T, recompute, frozen bool) (map[string][]float64, int64) {
	t.Helper()
	dev := ref.New()
	defer dev.Close()
	store := NewStore(dev, 3)
	g := NewGraph(store, Train)
	g.Recompute, g.FrozenNorm = true, frozen
	x, image := g.Input("x", device.Desc{Shape: []int{2, 16, 16, 3}})
	labels, ids := g.Input("labels", device.Desc{DType: device.Int32, Shape: []int{2}})
	l := Layer{Out: 32, Kernel: 1}
	short := g.ConvNorm(x, "p", "pn", l, false)
	y := g.AddReLU(g.ConvNorm(x, "a", "an", l, false), short)
	for _, n := range []string{"b", "c", "d", "e", "f"} {
		if recompute {
			if err := Recompute(y); err != nil {
				t.Fatal(err)
			}
		}
		y = g.AddReLU(g.ConvNorm(y, n, n+"n", l, false), y)
	}
	// The sums are computed again, all of them, when the last unit's gradient is
	// made: it is a wide layer behind it that makes the peak.
	y = g.ConvNorm(y, "wide", "widen", Layer{Out: 256, Kernel: 1}, true)
	loss := g.CrossEntropy(g.FC(g.GlobalAvgPool(y), "fc", 5, FrameworkDefault), labels, -100)
	grads, err := g.Gradients(loss)
	if err != nil {
		t.Fatal(err)
	}
	var keep []*gorgonia.Node
	for _, gr := range grads {
		keep = append(keep, gr.Node)
	}
	p, err := g.Compile("residuals", nil, keep...)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	for _, err := range []error{store.Realize(), image.Upload(random(2*16*16*3, "image")), ids.Upload([]int32{1, 4}), p.Run()} {
		if err != nil {
			t.Fatal(err)
		}
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

// Recomputing the sums of residual units gives the same gradients (float64, last
// bits apart) in less memory, with the batch's statistics and with frozen ones.
func TestRecomputeSums(t *testing.T) {
	for _, frozen := range []bool{false, true} {
		want, kept := residuals(t, false, frozen)
		got, again := residuals(t, true, frozen)
		for name, w := range want {
			for i := range w {
				if d := math.Abs(got[name][i] - w[i]); d > 1e-12*(1+math.Abs(w[i])) {
					t.Errorf("frozen %v: gradient %d of %s: %v, want %v", frozen, i, name, got[name][i], w[i])
					break
				}
			}
		}
		t.Logf("frozen %v: %d bytes, %d when sums are kept", frozen, again, kept)
		if again >= kept {
			t.Errorf("frozen %v: recomputing takes %d bytes, keeping %d", frozen, again, kept)
		}
	}
}
