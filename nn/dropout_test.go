package nn

import (
	"math"
	"slices"
	"testing"

	"gorgonia.org/gorgonia"

	"manvision/device"
	"manvision/device/ref"
)

// TestDropoutIsIdentity: in Eval mode, and with p 0, nothing is computed.
func TestDropoutIsIdentity(t *testing.T) {
	b := newBench(t)
	x := b.in("x", 4)
	if b.g.Dropout(x, "drop", 0) != x {
		t.Error("p 0 makes a node")
	}
	b.g.Mode = Eval
	if b.g.Dropout(x, "drop", 0.5) != x {
		t.Error("Eval mode makes a node")
	}
}

// dropped runs dropout of ones at the given steps in a store of its own.
func dropped(t *testing.T, seed uint64, name string, n int, p float64, steps ...int64) [][]float64 {
	t.Helper()
	dev := ref.New()
	store := NewStore(dev, seed)
	defer store.Free()
	g := NewGraph(store, Train)
	x, in := g.Input("x", device.Desc{Shape: []int{n}})
	defer in.Free()
	y := g.Dropout(x, name, p)
	prog, err := g.Compile("dropout", nil, []*gorgonia.Node{y}...)
	if err != nil {
		t.Fatal(err)
	}
	defer prog.Close()
	if err := in.Upload(slices.Repeat([]float64{1}, n)); err != nil {
		t.Fatal(err)
	}
	var out [][]float64
	for _, step := range steps {
		if err := store.SetStep(step); err != nil {
			t.Fatal(err)
		}
		if err := store.Realize(); err != nil {
			t.Fatal(err)
		}
		if err := prog.Run(); err != nil {
			t.Fatal(err)
		}
		v := make([]float64, n)
		if err := prog.Download(v, y); err != nil {
			t.Fatal(err)
		}
		out = append(out, v)
	}
	return out
}

// TestDropoutMask: the mask depends on the seed, the name and the step alone; the
// share kept is 1−p within five standard deviations, also among pairs of
// neighbours and of steps (independence); what is kept is scaled by 1/(1−p).
func TestDropoutMask(t *testing.T) {
	const n, p = 40000, 0.3
	runs := dropped(t, 5, "layer", n, p, 3, 4, 3)
	if !slices.Equal(runs[0], runs[2]) {
		t.Error("the same step drops other elements")
	}
	if other := dropped(t, 5, "layer", n, p, 3)[0]; !slices.Equal(runs[0], other) {
		t.Error("a step reached directly drops other elements")
	}
	for what, other := range map[string][]float64{"step": runs[1], "seed": dropped(t, 6, "layer", n, p, 3)[0], "name": dropped(t, 5, "layer2", n, p, 3)[0]} {
		both := 0
		for i, v := range runs[0] {
			if v != 0 && other[i] != 0 {
				both++
			}
		}
		near(t, "kept under both of two "+what+"s", both, n, (1-p)*(1-p))
	}
	kept, pairs := 0, 0
	for i, v := range runs[0] {
		if v != 0 {
			kept++
			if math.Abs(v-1/(1-p)) > 1e-15 {
				t.Fatalf("element %d is %v", i, v)
			}
			if i > 0 && runs[0][i-1] != 0 {
				pairs++
			}
		}
	}
	near(t, "kept", kept, n, 1-p)
	near(t, "kept with the neighbour", pairs, n-1, (1-p)*(1-p))
}

func near(t *testing.T, what string, got, n int, p float64) {
	t.Helper()
	if sd := math.Sqrt(float64(n) * p * (1 - p)); math.Abs(float64(got)-float64(n)*p) > 5*sd {
		t.Errorf("%s: %d of %d, want about %.0f ± %.0f", what, got, n, float64(n)*p, sd)
	}
}

func TestSetStep(t *testing.T) {
	s := NewStore(ref.New(), 1)
	for _, bad := range []int64{-1, 1 << 31} {
		if s.SetStep(bad) == nil {
			t.Errorf("step %d: no error", bad)
		}
	}
	if err := s.SetStep(1<<31 - 1); err != nil {
		t.Error(err)
	}
	if s.Bytes() != 0 {
		t.Errorf("a store without dropout takes %d bytes", s.Bytes())
	}
}
