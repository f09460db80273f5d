package exec_test

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"manvision/device"
	"manvision/device/ref"
	"manvision/exec"
	"manvision/nn"
)

func newStore(t testing.TB) *nn.Store {
	dev := ref.NewThreads(1)
	s := nn.NewStore(dev, 5)
	t.Cleanup(func() {
		s.Free()
		dev.Close()
	})
	return s
}

func newTensor(t testing.TB, s *nn.Store, shape []int, values ...float64) *exec.Tensor {
	t.Helper()
	x, err := exec.NewTensor(s.Device(), device.Desc{Shape: shape})
	if err != nil {
		t.Fatal(err)
	}
	if values != nil {
		if err := x.Upload(values); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(x.Free)
	return x
}

func values(t testing.TB, x *exec.Tensor) []float64 {
	t.Helper()
	v := make([]float64, x.Desc.Elems())
	if err := x.Download(v); err != nil {
		t.Fatal(err)
	}
	return v
}

// TestPostsFollowLastReader: the update of w runs after the kernel that still
// needs the old w for the gradient of x, and right after it; what is computed is
// what a program without updates computes.
func TestPostsFollowLastReader(t *testing.T) {
	s := newStore(t)
	hyper := newTensor(t, s, []int{device.HyperSlots}, 0.5, 1, 1, 1, 1)
	build := func(update bool) (*exec.Program, []*gorgonia.Node, []nn.Gradient) {
		g := nn.NewGraph(s, nn.Train)
		x := g.Weight("x", []int{2, 3}, nn.UniformIn(1))
		y := g.ReLU(g.FC(x, "a", 4, nn.FrameworkDefault))
		loss := project(t, g, "y", g.FC(y, "b", 3, nn.FrameworkDefault))
		grads, err := g.Gradients(loss)
		ok(t, err)
		keep := []*gorgonia.Node{loss}
		for _, gr := range grads {
			keep = append(keep, gr.Node)
			if v := gr.Var.Value; update && gr.Var.Name != "x" {
				g.Post(exec.Post{Op: device.SGD{Of: v.Desc, LRScale: 1}, In: []exec.Source{{Node: gr.Node}, {Tensor: hyper}}, Out: []*exec.Tensor{v, v}})
			}
		}
		p, err := g.Compile("p", nil, keep...)
		ok(t, err)
		t.Cleanup(func() { p.Close() })
		return p, keep, grads
	}
	plain, keep, grads := build(false)
	ok(t, s.Realize())
	want := read(t, plain, keep)
	old := map[string][]float64{}
	for _, gr := range grads {
		old[gr.Var.Name] = values(t, gr.Var.Value)
	}
	updating, keep, _ := build(true)
	got := read(t, updating, keep)
	for i := range want {
		if !slices.Equal(got[i], want[i]) {
			t.Errorf("kept value %d: %v with updates, %v without", i, got[i], want[i])
		}
	}
	for i, gr := range grads {
		lr := 0.5
		if gr.Var.Name == "x" {
			lr = 0
		}
		for k, v := range values(t, gr.Var.Value) {
			if w := old[gr.Var.Name][k] - lr*want[i+1][k]; math.Abs(v-w) > 1e-15 {
				t.Errorf("%s[%d] = %v, want %v", gr.Var.Name, k, v, w)
			}
		}
	}
	var kinds []string
	for _, op := range updating.Schedule() {
		kinds = append(kinds, op.Kind())
	}
	// b.weight is updated before the backward pass goes on into layer a.
	first := slices.Index(kinds, "sgd")
	if first < 0 || !slices.Contains(kinds[first:], "relu.backward") {
		t.Errorf("updates wait for the end: %v", kinds)
	}
}

// TestPostOrder: posts on one tensor run in the order given, even where a later
// one's inputs exist earlier.
func TestPostOrder(t *testing.T) {
	s := newStore(t)
	a, x := newTensor(t, s, []int{1}, 1), newTensor(t, s, []int{1}, 3)
	sum := newTensor(t, s, []int{1}, 0)
	g := nn.NewGraph(s, nn.Train)
	late := g.ReLU(g.ReLU(g.Leaf("x", x)))
	// a = 0.5·a + 0.5·late = 2; sum += a² = 4; a = 0.5·a + 0.5·x = 2.5; sum += a² = 10.25
	ema := device.EMA{Of: a.Desc, Momentum: 0.5}
	norm := device.SquaredNorm{Of: a.Desc}
	g.Post(exec.Post{Op: ema, In: []exec.Source{{Node: late}}, Out: []*exec.Tensor{a}})
	g.Post(exec.Post{Op: norm, In: []exec.Source{{Tensor: a}}, Out: []*exec.Tensor{sum}})
	g.Post(exec.Post{Op: ema, In: []exec.Source{{Tensor: x}}, Out: []*exec.Tensor{a}})
	g.Post(exec.Post{Op: norm, In: []exec.Source{{Tensor: a}}, Out: []*exec.Tensor{sum}})
	p, err := g.Compile("p", nil)
	ok(t, err)
	defer p.Close()
	ok(t, p.Run())
	if v := values(t, a)[0]; v != 2.5 {
		t.Errorf("a = %v, want 2.5", v)
	}
	if v := values(t, sum)[0]; v != 10.25 {
		t.Errorf("sum = %v, want 10.25", v)
	}
}

// TestSkip: posts of a group can be switched off and on again.
func TestSkip(t *testing.T) {
	s := newStore(t)
	a, x := newTensor(t, s, []int{1}, 0), newTensor(t, s, []int{1}, 3)
	p, err := exec.Compile(s.Device(), exec.Spec{Name: "p", Posts: []exec.Post{
		{Op: device.SquaredNorm{Of: x.Desc}, In: []exec.Source{{Tensor: x}}, Out: []*exec.Tensor{a}, Group: "report"},
	}})
	ok(t, err)
	defer p.Close()
	for i, off := range []bool{false, true, false} {
		if !p.Skip("report", off) {
			t.Fatal("no group report")
		}
		ok(t, p.Run())
		if v, want := values(t, a)[0], []float64{9, 9, 18}[i]; v != want {
			t.Errorf("run %d: %v, want %v", i, v, want)
		}
	}
	if p.Skip("other", true) {
		t.Error("there is a group other")
	}
}

// TestBoundResults: an interior node, a view and an op's second output are
// computed straight into given storage, and readers read them there.
func TestBoundResults(t *testing.T) {
	s := newStore(t)
	x := newTensor(t, s, []int{2, 2}, -1, 2, 3, -4)
	mid, end, mean := newTensor(t, s, []int{2, 2}), newTensor(t, s, []int{4}), newTensor(t, s, []int{2})
	g := nn.NewGraph(s, nn.Train)
	leaf := g.Leaf("x", x)
	r := g.ReLU(leaf)
	twice := g.Add(r, r)
	flat := g.Reshape(twice, 4)
	_, m, _, err := nn.BatchNormTrain(leaf, g.Leaf("one", newTensor(t, s, []int{2}, 1, 1)), g.Leaf("zero", newTensor(t, s, []int{2}, 0, 0)), 1e-5, false)
	ok(t, err)
	g.Write(r, mid)
	g.Write(flat, end)
	g.Write(m, mean)
	p, err := g.Compile("p", nil, twice)
	ok(t, err)
	defer p.Close()
	ok(t, p.Run())
	for _, c := range []struct {
		name string
		t    *exec.Tensor
		want []float64
	}{{"relu", mid, []float64{0, 2, 3, 0}}, {"view of the sum", end, []float64{0, 4, 6, 0}}, {"mean", mean, []float64{1, -1}}} {
		if got := values(t, c.t); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
	var got [4]float64
	ok(t, p.Download(got[:], twice))
	if got != [4]float64{0, 4, 6, 0} {
		t.Errorf("kept node bound through its view: %v", got)
	}
	if !slices.Equal(values(t, x), []float64{-1, 2, 3, -4}) {
		t.Error("the input was overwritten")
	}
}

// TestSharedArena: programs of one arena alternate; when a larger one makes the
// arena grow, the smaller one is bound to the new memory.
func TestSharedArena(t *testing.T) {
	s := newStore(t)
	arena := exec.NewArena(s.Device())
	build := func(n int) (*exec.Program, *gorgonia.Node) {
		g := nn.NewGraph(s, nn.Train)
		x := newTensor(t, s, []int{n})
		v := make([]float64, n)
		for i := range v {
			v[i] = float64(i - 3)
		}
		ok(t, x.Upload(v))
		l := g.Leaf("x", x)
		y := g.Add(g.ReLU(l), l)
		p, err := g.Compile("p", arena, y)
		ok(t, err)
		t.Cleanup(func() { p.Close() })
		return p, y
	}
	check := func(p *exec.Program, y *gorgonia.Node) {
		t.Helper()
		for i, v := range read(t, p, []*gorgonia.Node{y})[0] {
			if x := float64(i - 3); v != x+max(x, 0) {
				t.Fatalf("y[%d] = %v", i, v)
			}
		}
	}
	a, ya := build(40)
	check(a, ya)
	size := arena.Bytes()
	b, yb := build(4000)
	if arena.Bytes() <= size {
		t.Fatal("the arena does not grow")
	}
	check(a, ya)
	check(b, yb)
	if err := a.Download(make([]float64, 40), ya); err == nil {
		t.Error("a value lost by reallocation was read without an error")
	}
	check(a, ya)
	arena.Free()
	check(b, yb)
	check(a, ya)
	if now, _ := s.Device().Allocated(); now < arena.Bytes() {
		t.Errorf("%d bytes allocated, arena %d", now, arena.Bytes())
	}
}

// TestTensorsInArena: the tensors of a set lie side by side, sets lie on top of
// each other, and a set's content survives as long as the other is not used.
func TestTensorsInArena(t *testing.T) {
	s := newStore(t)
	arena := exec.NewArena(s.Device())
	set := func(sizes ...int) []*exec.Tensor {
		var out []*exec.Tensor
		for _, n := range sizes {
			x, err := exec.NewTensorIn(arena, device.Desc{Shape: []int{n}}, out...)
			ok(t, err)
			out = append(out, x)
		}
		return out
	}
	small := set(3, 9, 1)
	if want := int64(64 + 128 + 8); arena.Bytes() != want { // 24, 72 and 8 bytes, each from a multiple of 64
		t.Errorf("arena of %d bytes, want %d", arena.Bytes(), want)
	}
	for i, x := range small {
		v := make([]float64, x.Desc.Elems())
		for k := range v {
			v[k] = float64(10*i + k)
		}
		ok(t, x.Upload(v))
	}
	between, err := exec.NewTensorIn(arena, device.Desc{Shape: []int{16}}, small[0], small[2])
	ok(t, err)
	if d := uintptr(between.Ptr()) - uintptr(small[0].Ptr()); d != 64 {
		t.Errorf("a tensor that fits between two others lies at %d, want 64", d)
	}
	large := set(50, 60)
	for i, x := range small { // planning the larger set moves nothing
		for k, v := range values(t, x) {
			if v != float64(10*i+k) {
				t.Fatalf("tensor %d [%d] = %v", i, k, v)
			}
		}
	}
	if large[0].Realized() {
		t.Error("a tensor beyond the allocation counts as allocated")
	}
	ok(t, large[1].Zero())
	if now, _ := s.Device().Allocated(); now != arena.Bytes() {
		t.Errorf("%d bytes allocated, arena %d", now, arena.Bytes())
	}
	for _, x := range append(small, large...) {
		if uintptr(x.Ptr())%64 != 0 {
			t.Errorf("address %v is not aligned", x.Ptr())
		}
	}
	small[0].Free() // stays with the arena
	if !small[0].Realized() {
		t.Error("freeing a tensor of an arena freed the arena")
	}
	arena.Free()
	if now, _ := s.Device().Allocated(); now != 0 {
		t.Errorf("%d bytes left", now)
	}
}

// TestFreedTensorIsBoundAnew: a program notices that a tensor's memory moved.
func TestFreedTensorIsBoundAnew(t *testing.T) {
	s := newStore(t)
	x := newTensor(t, s, []int{2}, 1, 2)
	g := nn.NewGraph(s, nn.Train)
	l := g.Leaf("x", x)
	y := g.Add(l, l)
	p, err := g.Compile("p", nil, y)
	ok(t, err)
	defer p.Close()
	for _, v := range [][]float64{{1, 2}, {3, 4}, {5, 6}} {
		x.Free()
		ok(t, x.Upload(v))
		if got := read(t, p, []*gorgonia.Node{y})[0]; got[0] != 2*v[0] || got[1] != 2*v[1] {
			t.Fatalf("%v of %v", got, v)
		}
	}
	x.Free()
	if got := read(t, p, []*gorgonia.Node{y})[0]; got[0] != 0 {
		t.Errorf("%v of a freed input, want zeros", got)
	}
}

// breaking is a device that refuses one kind of operation and counts kernels.
type breaking struct {
	*ref.Device
	refuse string
	open   int
}

func (d *breaking) Prepare(op device.Op) (device.Kernel, error) {
	if op.Kind() == d.refuse {
		return nil, errors.New("not on this device")
	}
	k, err := d.Device.Prepare(op)
	if err == nil {
		d.open++
		k = &counted{k, d}
	}
	return k, err
}

type counted struct {
	device.Kernel
	dev *breaking
}

func (k *counted) Close() { k.dev.open--; k.Kernel.Close() }

// TestCompileErrors: what cannot be compiled names the program and the node, and
// leaves no kernel behind.
func TestCompileErrors(t *testing.T) {
	for _, c := range []struct {
		name  string
		want  []string
		build func(t *testing.T, g *nn.Graph, x *gorgonia.Node, spec *exec.Spec)
	}{
		{"nil kept node", []string{"nil"}, func(t *testing.T, g *nn.Graph, x *gorgonia.Node, spec *exec.Spec) {
			spec.Keep = []*gorgonia.Node{nil}
		}},
		{"leaf without storage", []string{`"loose"`, "storage"}, func(t *testing.T, g *nn.Graph, x *gorgonia.Node, spec *exec.Spec) {
			l := gorgonia.NewTensor(g.E, tensor.Float32, 2, gorgonia.WithShape(2, 3), gorgonia.WithName("loose"))
			y, err := nn.Add(x, l)
			ok(t, err)
			spec.Keep = []*gorgonia.Node{y}
		}},
		{"foreign operation", []string{"exec can run"}, func(t *testing.T, g *nn.Graph, x *gorgonia.Node, spec *exec.Spec) {
			spec.Keep = []*gorgonia.Node{gorgonia.Must(gorgonia.HadamardProd(x, x))}
		}},
		{"two tensors for one value", []string{"two tensors"}, func(t *testing.T, g *nn.Graph, x *gorgonia.Node, spec *exec.Spec) {
			y := g.ReLU(x)
			spec.Bind[y] = newTensor(t, g.Store, []int{2, 3})
			spec.Bind[g.Reshape(y, 6)] = newTensor(t, g.Store, []int{6})
		}},
		{"result over an input", []string{"relu", `"x"`}, func(t *testing.T, g *nn.Graph, x *gorgonia.Node, spec *exec.Spec) {
			spec.Bind[g.ReLU(x)] = spec.Bind[x]
		}},
		{"two results in one tensor", []string{"another result"}, func(t *testing.T, g *nn.Graph, x *gorgonia.Node, spec *exec.Spec) {
			s := newTensor(t, g.Store, []int{2, 3})
			spec.Bind[g.ReLU(x)], spec.Bind[g.Add(x, x)] = s, s
		}},
		{"result of another size", []string{"relu", "want", "have"}, func(t *testing.T, g *nn.Graph, x *gorgonia.Node, spec *exec.Spec) {
			spec.Bind[g.ReLU(x)] = newTensor(t, g.Store, []int{2, 2})
		}},
		{"post arguments", []string{"ema", "inputs"}, func(t *testing.T, g *nn.Graph, x *gorgonia.Node, spec *exec.Spec) {
			s := spec.Bind[x]
			spec.Posts = []exec.Post{{Op: device.EMA{Of: s.Desc}, Out: []*exec.Tensor{s}}}
		}},
		{"post without outputs", []string{"ema", "outputs"}, func(t *testing.T, g *nn.Graph, x *gorgonia.Node, spec *exec.Spec) {
			spec.Posts = []exec.Post{{Op: device.EMA{Of: spec.Bind[x].Desc}, In: []exec.Source{{Node: x}}}}
		}},
		{"post of another size", []string{"ema", "want"}, func(t *testing.T, g *nn.Graph, x *gorgonia.Node, spec *exec.Spec) {
			s := newTensor(t, g.Store, []int{7})
			spec.Posts = []exec.Post{{Op: device.EMA{Of: s.Desc}, In: []exec.Source{{Node: x}}, Out: []*exec.Tensor{s}}}
		}},
		{"tensor in the program's arena", []string{"arena"}, func(t *testing.T, g *nn.Graph, x *gorgonia.Node, spec *exec.Spec) {
			spec.Arena = exec.NewArena(g.Store.Device())
			s, err := exec.NewTensorIn(spec.Arena, device.Desc{Shape: []int{2, 3}})
			ok(t, err)
			spec.Bind[g.ReLU(x)] = s
		}},
		{"device refuses", []string{"maxpool", "not on this device"}, func(t *testing.T, g *nn.Graph, x *gorgonia.Node, spec *exec.Spec) {
			y := g.Reshape(g.ReLU(x), 1, 2, 3, 1)
			spec.Keep = []*gorgonia.Node{g.MaxPool(y, nn.PoolOptions{Size: 2})}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dev := &breaking{Device: ref.NewThreads(1), refuse: "maxpool"}
			s := nn.NewStore(dev, 1)
			g := nn.NewGraph(s, nn.Train)
			x, st := g.Input("x", device.Desc{Shape: []int{2, 3}})
			spec := exec.Spec{Name: "block 7", Graph: g.E, Bind: map[*gorgonia.Node]*exec.Tensor{x: st}}
			c.build(t, g, x, &spec)
			ok(t, g.Err())
			_, err := exec.Compile(dev, spec)
			if err == nil {
				t.Fatal("no error")
			}
			for _, w := range append(c.want, "block 7") {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("error %q does not say %q", err, w)
				}
			}
			if dev.open != 0 {
				t.Errorf("%d kernels left open", dev.open)
			}
		})
	}
}

// TestRunErrors: a kernel's failure names program and kernel; a value that was
// not kept, or is read too early, is an error.
func TestRunErrors(t *testing.T) {
	s := newStore(t)
	g := nn.NewGraph(s, nn.Train)
	x, in := g.Input("logits", device.Desc{Shape: []int{2, 3}})
	l, labels := g.Input("labels", device.Desc{DType: device.Int32, Shape: []int{2}})
	r := g.ReLU(x)
	loss := g.CrossEntropy(r, l, 255)
	p, err := g.Compile("block 2", nil, loss)
	ok(t, err)
	defer p.Close()
	var out [1]float64
	if err := p.Download(out[:], loss); err == nil || !strings.Contains(err.Error(), "block 2") {
		t.Errorf("read before the first run: %v", err)
	}
	ok(t, in.Zero())
	ok(t, labels.Upload([]int32{1, 9}))
	if err := p.Run(); err == nil || !strings.Contains(err.Error(), "block 2") || !strings.Contains(err.Error(), "crossentropy") {
		t.Errorf("a label out of range: %v", err)
	}
	ok(t, labels.Upload([]int32{1, 255}))
	ok(t, p.Run())
	ok(t, p.Download(out[:], loss))
	if math.Abs(out[0]-math.Log(3)) > 1e-15 { // equal logits
		t.Errorf("loss %v, want log 3", out[0])
	}
	if err := p.Download(make([]float64, 6), r); err == nil || !strings.Contains(err.Error(), "relu") {
		t.Errorf("reading a node that was not kept: %v", err)
	}
	if err := p.Download(make([]float64, 6), nil); err == nil {
		t.Error("reading a nil node: no error")
	}
	if err := p.Download(make([]float64, 2), loss); err == nil {
		t.Error("reading into a slice of another length: no error")
	}
}

// TestDeadNodes: what no result needs is not computed.
func TestDeadNodes(t *testing.T) {
	s := newStore(t)
	g := nn.NewGraph(s, nn.Train)
	x, _ := g.Input("x", device.Desc{Shape: []int{3}})
	y := g.ReLU(x)
	g.Add(y, y)
	p, err := g.Compile("p", nil, y)
	ok(t, err)
	defer p.Close()
	if p.Steps() != 1 || len(p.Tensors()) != 1 {
		t.Errorf("%d steps and %d tensors, want 1 and 1", p.Steps(), len(p.Tensors()))
	}
}

// TestVM drives a program as the gorgonia.VM it is.
func TestVM(t *testing.T) {
	s := newStore(t)
	g := nn.NewGraph(s, nn.Train)
	x, in := g.Input("x", device.Desc{Shape: []int{3}})
	y := g.ReLU(x)
	ok(t, in.Upload([]float64{-1, 0, 2}))
	p, err := g.Compile("p", nil, y)
	ok(t, err)
	var vm gorgonia.VM = p
	ok(t, vm.RunAll())
	vm.Reset()
	ok(t, vm.RunAll())
	got := make([]float64, 3)
	ok(t, p.Download(got, y))
	if !slices.Equal(got, []float64{0, 0, 2}) {
		t.Errorf("got %v", got)
	}
	p.Profile(true)
	ok(t, vm.RunAll())
	if times := p.Times(); len(times) != 1 || times[0].Op.Kind() != "relu" {
		t.Errorf("profile %+v", times)
	}
	ok(t, vm.Close())
	ok(t, vm.Close())
}
