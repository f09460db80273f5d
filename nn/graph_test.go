package nn

import (
	"math"
	"strings"
	"testing"

	"gorgonia.org/gorgonia"

	"manvision/device"
	"manvision/device/ref"
)

// TestEqualOperationsStayApart guards against Gorgonia merging nodes of equal
// hash: two max poolings of one input are two nodes, and so are their gradients.
func TestEqualOperationsStayApart(t *testing.T) {
	b := newBench(t)
	x := b.in("x", 1, 4, 4, 2)
	o := PoolOptions{Size: 2}
	p, q := b.must(MaxPool(x, o)), b.must(MaxPool(x, o))
	if p == q || p.ID() == q.ID() {
		t.Fatal("two operations became one node")
	}
	if len(b.g.E.AllNodes()) != 3 {
		t.Fatalf("%d nodes, want x and two poolings", len(b.g.E.AllNodes()))
	}
	v, w := b.must(Reshape(p, 8)), b.must(Reshape(p, 8))
	if v == w {
		t.Fatal("two views became one node")
	}
	b.verify(b.project("p", p), b.project("q", q))
}

// TestLeavesAreSharedByName: a name stands for one leaf, so that a layer used
// twice shares its weights, and different names of one shape stay apart.
func TestLeavesAreSharedByName(t *testing.T) {
	b := newBench(t)
	w, v := b.in("w", 2, 3), b.in("v", 2, 3)
	if w == v {
		t.Fatal("leaves of different names became one")
	}
	if b.in("w", 2, 3) != w {
		t.Fatal("the same name gave another leaf")
	}
	if n := len(b.g.params); n != 2 {
		t.Fatalf("%d parameters, want 2", n)
	}
}

// TestSecondGradients: Gorgonia returns the first loss's gradients again without
// an error, so the graph refuses.
func TestSecondGradients(t *testing.T) {
	b := newBench(t)
	x := b.in("x", 3)
	if _, err := b.g.Gradients(b.project("a", x)); err != nil {
		t.Fatal(err)
	}
	if _, err := b.g.Gradients(b.project("b", x)); err == nil || !strings.Contains(err.Error(), "once") {
		t.Fatalf("second call: %v", err)
	}
}

func TestUnusedParameter(t *testing.T) {
	b := newBench(t)
	x := b.in("x", 3)
	b.in("idle.weight", 4)
	b.must(ReLU(b.in("blind.bias", 4)))
	_, err := b.g.Gradients(b.project("a", x))
	if err == nil || !strings.Contains(err.Error(), "idle.weight") || !strings.Contains(err.Error(), "blind.bias") {
		t.Fatalf("error %v does not name the parameters", err)
	}
	if strings.Contains(err.Error(), "x,") {
		t.Errorf("error %v names a parameter that is used", err)
	}
}

func TestGradientsOfNothing(t *testing.T) {
	b := newBench(t)
	if _, err := b.g.Gradients(); err == nil {
		t.Error("no losses: no error")
	}
	b = newBench(t)
	x := b.in("x", 3)
	if _, err := b.g.Gradients(x); err == nil {
		t.Error("a loss of three elements: no error")
	}
	b = newBench(t)
	if _, err := b.g.Gradients(nil); err == nil {
		t.Error("nil loss: no error")
	}
	b = newBench(t)
	fixed := b.fixed("x", []int{3}, []float64{1, 2, 3})
	grads, err := b.g.Gradients(b.project("y", fixed))
	if err != nil || len(grads) != 0 {
		t.Errorf("a graph without parameters: %d gradients, %v", len(grads), err)
	}
}

// TestFrozen: parameters made while Frozen is set are constants, but gradients
// pass through them.
func TestFrozen(t *testing.T) {
	b := newBench(t)
	g := b.g
	x := b.in("x", 2, 3)
	g.Frozen = true
	y := g.FC(x, "fc", 4, FrameworkDefault)
	g.Frozen = false
	v, _ := g.Store.Lookup("fc.weight")
	if v.Trainable {
		t.Error("a frozen parameter is trainable")
	}
	b.verify(b.project("y", y)) // of x alone
}

// TestRunningStatistics checks the post of a batch norm against PyTorch's rule:
// running = 0.9·running + 0.1·batch, the variance unbiased. For x = 1, 2, 3, 6 of
// one channel the mean is 3, the unbiased variance 14/3, hence 0.3 and
// 0.9 + 1.4/3 (by hand).
func TestRunningStatistics(t *testing.T) {
	for _, frozen := range []bool{false, true} {
		b := newBench(t)
		g := b.g
		g.FrozenNorm = frozen
		x := b.fixed("x", []int{1, 2, 2, 1}, []float64{1, 2, 3, 6})
		y := g.Norm(x, "bn", false)
		p, err := g.Compile("p", nil, y)
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		if err := g.Store.Realize(); err != nil {
			t.Fatal(err)
		}
		if err := p.Run(); err != nil {
			t.Fatal(err)
		}
		want := map[string]float64{"bn.running_mean": 0.3, "bn.running_var": 0.9 + 1.4/3}
		if frozen {
			want = map[string]float64{"bn.running_mean": 0, "bn.running_var": 1}
		}
		for name, w := range want {
			var got [1]float64
			if err := g.Store.Get(name, got[:]); err != nil {
				t.Fatal(err)
			}
			if math.Abs(got[0]-w) > 1e-12 {
				t.Errorf("frozen %v: %s = %v, want %v", frozen, name, got[0], w)
			}
			if v, _ := g.Store.Lookup(name); !v.Buffer || v.Trainable {
				t.Errorf("%s is not a buffer", name)
			}
		}
		var out [4]float64
		if err := p.Download(out[:], y); err != nil {
			t.Fatal(err)
		}
		mean, variance := 3.0, 3.5 // of the batch, biased
		if frozen {
			mean, variance = 0, 1
		}
		for i, v := range []float64{1, 2, 3, 6} {
			if w := (v - mean) / math.Sqrt(variance+1e-5); math.Abs(out[i]-w) > 1e-12 {
				t.Errorf("frozen %v: y[%d] = %v, want %v", frozen, i, out[i], w)
			}
		}
	}
}

// TestStore: initial values depend on the seed and the name alone, are float32
// numbers, and follow InitLike.
func TestStore(t *testing.T) {
	dev := ref.New()
	defer dev.Close()
	read := func(seed uint64, names []string, like map[string]string, want string) []float64 {
		s := NewStore(dev, seed)
		defer s.Free()
		for _, n := range names {
			if _, err := s.Declare(n, device.Desc{Shape: []int{50}}, []int{50}, Gaussian(1)); err != nil {
				t.Fatal(err)
			}
		}
		for n, src := range like {
			s.InitLike(n, src)
		}
		if err := s.Realize(); err != nil {
			t.Fatal(err)
		}
		x := make([]float64, 50)
		if err := s.Get(want, x); err != nil {
			t.Fatal(err)
		}
		return x
	}
	equal := func(a, b []float64) bool {
		for i := range a {
			if a[i] != b[i] {
				return false
			}
		}
		return true
	}
	a := read(1, []string{"a", "b"}, nil, "a")
	if !equal(a, read(1, []string{"b", "a"}, nil, "a")) {
		t.Error("the order of creation changes the initial values")
	}
	if equal(a, read(2, []string{"a"}, nil, "a")) || equal(a, read(1, []string{"b"}, nil, "b")) {
		t.Error("seed or name does not change the initial values")
	}
	if !equal(a, read(1, []string{"a", "b"}, map[string]string{"b": "a"}, "b")) {
		t.Error("InitLike does not give the source's values")
	}
	for _, x := range a {
		if x != float64(float32(x)) {
			t.Fatalf("initial value %v is not a float32", x)
		}
	}

	s := NewStore(dev, 1)
	defer s.Free()
	if _, err := s.Declare("v", device.Desc{Shape: []int{2}}, []int{2}, Constant(3)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Declare("v", device.Desc{Shape: []int{3}}, []int{3}, Constant(3)); err == nil || !strings.Contains(err.Error(), `"v"`) {
		t.Errorf("another shape under the same name: %v", err)
	}
	if err := s.Get("v", make([]float64, 2)); err == nil {
		t.Error("reading before Realize: no error")
	}
	if err := s.Set("w", []float64{1}); err == nil || !strings.Contains(err.Error(), `"w"`) {
		t.Errorf("setting an unknown variable: %v", err)
	}
	if err := s.Get("w", []float64{1}); err == nil {
		t.Error("getting an unknown variable: no error")
	}
	if err := s.Set("v", []float64{1}); err == nil || !strings.Contains(err.Error(), `"v"`) {
		t.Errorf("setting too few elements: %v", err)
	}
	if err := s.Set("v", []float64{5, 6}); err != nil {
		t.Fatal(err)
	}
	if err := s.Realize(); err != nil { // must not overwrite what was set
		t.Fatal(err)
	}
	x := make([]float64, 2)
	if err := s.Get("v", x); err != nil || x[0] != 5 || x[1] != 6 {
		t.Errorf("values set before Realize: %v, %v", x, err)
	}
}

// TestInitStatistics: the standard deviations of the initialisations, from their
// definitions (He et al. 2015; PyTorch's nn.Conv2d and nn.Linear default).
func TestInitStatistics(t *testing.T) {
	shape := []int{64, 32, 3, 3}
	for _, c := range []struct {
		name string
		init Init
		std  float64
	}{
		{"kaiming fan-out", KaimingFanOut, math.Sqrt(2.0 / (64 * 9))},
		{"framework default", FrameworkDefault, 1 / math.Sqrt(32*9) / math.Sqrt(3)},
		{"gaussian", Gaussian(0.01), 0.01},
	} {
		x := make([]float64, 64*32*9)
		c.init(x, shape, NewStream(1, "x"))
		var mean, square float64
		for _, v := range x {
			mean += v / float64(len(x))
			square += v * v / float64(len(x))
		}
		if math.Abs(mean) > 0.03*c.std || math.Abs(math.Sqrt(square)/c.std-1) > 0.02 {
			t.Errorf("%s: mean %v, standard deviation %v, want 0 and %v", c.name, mean, math.Sqrt(square), c.std)
		}
	}
}

// TestGorgoniaMachineRefuses: our operations run on package exec alone.
func TestGorgoniaMachineRefuses(t *testing.T) {
	b := newBench(t)
	y := b.must(ReLU(b.in("x", 3)))
	if _, err := y.Op().Do(); err == nil {
		t.Error("no error")
	}
	if _, err := gorgonia.Grad(y, y); err == nil {
		t.Error("gradient of a vector: no error")
	}
}
