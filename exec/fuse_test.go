package exec_test

import (
	"math"
	"testing"

	"gorgonia.org/gorgonia"

	"manvision/device"
	"manvision/device/cpu"
	"manvision/device/ref"
	"manvision/exec"
	"manvision/nn"
)

// residualUnits trains two residual units, the first with a projection, as planned or
// with every norm and sum of gradients kept, so that nothing can be fused; it returns the
// loss and all gradients, the program's operations and its working memory.
func residualUnits(t *testing.T, dev device.Device, as device.DType, whole bool) ([][]float64, []device.Op, int64) {
	t.Helper()
	store := nn.NewStore(dev, 3)
	defer store.Free()
	store.Activations = as
	g := nn.NewGraph(store, nn.Train)
	x, image := g.Input("x", device.Desc{Shape: []int{2, 12, 12, 3}})
	labels, ids := g.Input("labels", device.Desc{DType: device.Int32, Shape: []int{2}})
	var parts []*gorgonia.Node
	part := func(y *gorgonia.Node) *gorgonia.Node {
		parts = append(parts, y)
		return y
	}
	l := nn.Layer{Out: 16, Kernel: 3, ConvOptions: nn.ConvOptions{Pad: 1}}
	y := g.ConvNorm(x, "a", "an", l, true)
	y = g.AddReLU(part(g.ConvNorm(y, "b", "bn", l, false)), part(g.ConvNorm(y, "p", "pn", l, false)))
	y = g.AddReLU(part(g.ConvNorm(g.ConvNorm(y, "c", "cn", l, true), "d", "dn", l, false)), y)
	loss := g.CrossEntropy(g.FC(g.GlobalAvgPool(y), "fc", 5, nn.FrameworkDefault), labels, -100)
	grads, err := g.Gradients(loss)
	ok(t, err)
	keep := []*gorgonia.Node{loss}
	for _, gr := range grads {
		keep = append(keep, gr.Node)
	}
	asked := len(keep)
	if whole {
		keep = append(keep, parts...)
		for _, n := range g.E.AllNodes() { // sums of gradients
			if _, ours := n.Op().(exec.Describer); !ours && n.Op() != nil && n.Shape().Eq(y.Shape()) {
				keep = append(keep, n)
			}
		}
	}
	p, err := g.Compile("units", nil, keep...)
	ok(t, err)
	defer p.Close()
	ok(t, store.Realize())
	pixels := make([]float64, 2*12*12*3)
	nn.UniformIn(1)(pixels, nil, nn.NewStream(3, "image"))
	ok(t, image.Upload(pixels))
	ok(t, ids.Upload([]int32{1, 4}))
	return read(t, p, keep[:asked]), p.Schedule(), p.Bytes()
}

// fusions counts batch norms with a sum, masks of sums, and sums left.
func fusions(ops []device.Op) (norms, masks, sums int) {
	for _, op := range ops {
		if m, ok := op.(device.Mixed); ok {
			op = m.Of
		}
		switch o := op.(type) {
		case device.BatchNorm:
			if o.Sum {
				norms++
			}
		case device.ReLUBackward:
			if o.Sum {
				masks++
			}
		case device.Add:
			sums++
		}
	}
	return norms, masks, sums
}

// TestFuse: norms and the sums behind them are one kernel each, as is the one sum of
// gradients under a rectified sum; the results are those of a plan in which values that
// are kept forbid it, bit by bit in floats; in bf16, where these are also kept wider, the
// losses agree within its rounding. Memory does not grow.
func TestFuse(t *testing.T) {
	fast, err := cpu.New(cpu.Options{Threads: 2})
	ok(t, err)
	defer fast.Close()
	for _, c := range []struct {
		name string
		dev  device.Device
		as   device.DType
		tol  float64
	}{{"ref", ref.NewThreads(1), device.Float, 0}, {"cpu", fast, device.Float, 0}, {"bf16", fast, device.BF16, 0.03}} {
		t.Run(c.name, func(t *testing.T) {
			want, apart, most := residualUnits(t, c.dev, c.as, true)
			got, fused, bytes := residualUnits(t, c.dev, c.as, false)
			// The sum left is of the gradients of what the projection reads, which a norm
			// reads.
			if n, m, s := fusions(apart); n != 0 || m != 0 || s < 3 {
				t.Errorf("%d norms and %d masks fused in a plan that keeps their parts, %d sums", n, m, s)
			}
			if n, m, s := fusions(fused); n != 2 || m != 1 || s != 1 {
				t.Errorf("%d norms and %d masks fused, %d sums left; want 2, 1, 1", n, m, s)
			}
			if bytes > most {
				t.Errorf("%d bytes fused, %d apart", bytes, most)
			}
			if c.tol > 0 {
				want, got = want[:1], got[:1]
			}
			for i := range want {
				largest := 0.0
				for _, v := range want[i] {
					largest = math.Max(largest, math.Abs(v))
				}
				for k := range want[i] {
					if d := math.Abs(got[i][k] - want[i][k]); !(d <= c.tol*largest) {
						t.Fatalf("result %d [%d]: %v fused, %v apart", i, k, got[i][k], want[i][k])
					}
				}
			}
		})
	}
}

// TestFuseLeaves: a norm that somebody else reads stays, as does a sum whose mask is
// computed after it.
func TestFuseLeaves(t *testing.T) {
	s := newStore(t)
	g := nn.NewGraph(s, nn.Train)
	x := g.Weight("x", []int{2, 4, 4, 4}, nn.UniformIn(1))
	y, err := batchNorm(g, x, "bn", false)
	ok(t, err)
	both := g.AddReLU(g.AddReLU(y, x), y) // y twice
	p, err := g.Compile("read twice", nil, both)
	ok(t, err)
	defer p.Close()
	if n, _, sums := fusions(p.Schedule()); n != 0 || sums != 2 {
		t.Errorf("%d norms fused and %d sums left where the norm is read twice; want 0 and 2", n, sums)
	}
	z, err := batchNorm(g, x, "bn2", false)
	ok(t, err)
	double := g.Add(z, z)
	q, err := g.Compile("both terms", nil, double)
	ok(t, err)
	defer q.Close()
	if n, _, sums := fusions(q.Schedule()); n != 0 || sums != 1 {
		t.Errorf("%d norms fused and %d sums left where both terms are one norm; want 0 and 1", n, sums)
	}
}
