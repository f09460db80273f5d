package exec_test

import (
	"fmt"
	"math"
	"testing"

	"gorgonia.org/gorgonia"
	"pgregory.net/rapid"

	"manvision/backbone"
	"manvision/device"
	"manvision/device/cpu"
	"manvision/device/ref"
	"manvision/exec"
	"manvision/nn"
)

// fataler is what *testing.T and *rapid.T share.
type fataler interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

func ok(t fataler, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// project returns Σ r·y with fixed random r, as a scalar.
func project(t fataler, g *nn.Graph, name string, y *gorgonia.Node) *gorgonia.Node {
	t.Helper()
	ok(t, g.Err())
	n := y.Shape().TotalSize()
	r, s := g.Input("r."+name, device.Desc{Shape: []int{1, n}})
	ok(t, g.Err())
	x := make([]float64, n)
	nn.UniformIn(1)(x, nil, nn.NewStream(3, name))
	ok(t, s.Upload(x))
	out, err := nn.Linear(g.Reshape(y, 1, n), r, nil)
	ok(t, err)
	return g.Reshape(out)
}

// randomGraph draws a network of up to a dozen operations over [2,4,4,4] maps, with
// fan-out, views, several outputs and shared weights, and returns its losses.
func randomGraph(t *rapid.T, g *nn.Graph) []*gorgonia.Node {
	const n, h, w, c = 2, 4, 4, 4
	one := func(y *gorgonia.Node, err error) *gorgonia.Node {
		t.Helper()
		ok(t, err)
		return y
	}
	live := []*gorgonia.Node{g.Weight("x0", []int{n, h, w, c}, nn.UniformIn(1)), g.Weight("x1", []int{n, h, w, c}, nn.UniformIn(1))}
	used := map[*gorgonia.Node]bool{}
	pick := func(label string) *gorgonia.Node {
		x := live[rapid.IntRange(0, len(live)-1).Draw(t, label)]
		used[x] = true
		return x
	}
	steps := rapid.IntRange(1, 12).Draw(t, "steps")
	for i := range steps {
		var y *gorgonia.Node
		switch k := rapid.IntRange(0, 9).Draw(t, "kind"); k {
		case 0:
			y = g.ReLU(pick("x"))
		case 1:
			y = g.Add(pick("a"), pick("b"))
		case 2:
			y = g.AddReLU(pick("a"), pick("b"))
		case 3: // one of two filters, so that filters are shared and their gradients summed
			l := nn.Layer{Out: c, Kernel: 3, Bias: true, Init: nn.UniformIn(0.3), ConvOptions: nn.ConvOptions{Pad: 1, ReLU: rapid.Bool().Draw(t, "relu")}}
			y = g.Conv(pick("x"), fmt.Sprintf("conv%d", i%2), l)
		case 4:
			y = one(batchNorm(g, pick("x"), fmt.Sprintf("bn%d", i), rapid.Bool().Draw(t, "relu")))
		case 5:
			y = g.Resize(g.MaxPool(pick("x"), nn.PoolOptions{Size: 2}), h, w, device.Bilinear)
		case 6:
			y = g.Fuse(g.Weight("s", []int{1}, nn.Constant(0.7)), pick("a"), pick("b"))
		case 7:
			y = one(nn.Slice(g.Concat(3, pick("a"), pick("b")), 3, 2, 2+c))
		case 8:
			y = g.Reshape(g.ReLU(g.Reshape(pick("x"), n*h, w*c)), n, h, w, c)
		case 9:
			y = one(nn.AvgPool(pick("x"), nn.PoolOptions{Size: 3, Stride: 1, Pad: 1}))
		}
		ok(t, g.Err())
		live = append(live, y)
	}
	var losses []*gorgonia.Node
	for i, y := range live { // nothing without a reader, so that every parameter is used
		if !used[y] {
			losses = append(losses, project(t, g, fmt.Sprint("loss", i), y))
		}
	}
	return losses
}

func batchNorm(g *nn.Graph, x *gorgonia.Node, name string, relu bool) (*gorgonia.Node, error) {
	gamma, beta := g.Weight(name+".g", []int{4}, nn.UniformIn(1)), g.Weight(name+".b", []int{4}, nn.UniformIn(1))
	y, _, _, err := nn.BatchNormTrain(x, gamma, beta, 1e-5, relu)
	return y, err
}

// read runs a program and downloads nodes.
func read(t fataler, p *exec.Program, nodes []*gorgonia.Node) [][]float64 {
	t.Helper()
	ok(t, p.Run())
	var out [][]float64
	for _, n := range nodes {
		x := make([]float64, n.Shape().TotalSize())
		ok(t, p.Download(x, n))
		out = append(out, x)
	}
	return out
}

func checkSpans(t fataler, p *exec.Program) {
	t.Helper()
	spans := p.Spans()
	top := int64(0)
	for i, a := range spans {
		if a.Offset < 0 || a.Offset%64 != 0 || a.First > a.Last {
			t.Fatalf("span %+v", a)
		}
		top = max(top, a.Offset+a.Size)
		for _, b := range spans[:i] {
			if a.First <= b.Last && b.First <= a.Last && a.Offset < b.Offset+b.Size && b.Offset < a.Offset+a.Size {
				t.Fatalf("spans %+v and %+v overlap in time and memory", a, b)
			}
		}
	}
	if top != p.Bytes() {
		t.Fatalf("the plan says %d bytes, its spans end at %d", p.Bytes(), top)
	}
	if p.Bytes() < p.LowerBound() {
		t.Fatalf("%d bytes, less than the lower bound %d", p.Bytes(), p.LowerBound())
	}
}

// TestPlanKeepsValues runs random graphs with a plan and again with a plan that
// keeps every value, in which nothing shares memory: the same bits must come out,
// whatever lay in the arena before.
func TestPlanKeepsValues(t *testing.T) {
	t.Run("ref", func(t *testing.T) { planKeepsValues(t, ref.NewThreads(1)) })
	t.Run("cpu", func(t *testing.T) {
		dev, err := cpu.New(cpu.Options{Threads: 2})
		ok(t, err)
		planKeepsValues(t, dev)
	})
}

func planKeepsValues(t *testing.T, dev device.Device) {
	defer dev.Close()
	var plans, tight, inPlace int
	rapid.Check(t, func(t *rapid.T) {
		store := nn.NewStore(dev, 5)
		defer store.Free()
		g := nn.NewGraph(store, nn.Train)
		losses := randomGraph(t, g)
		grads, err := g.Gradients(losses...)
		ok(t, err)
		keep := append([]*gorgonia.Node{}, losses...)
		for _, gr := range grads {
			keep = append(keep, gr.Node)
		}
		ok(t, store.Realize())

		planned, err := g.Compile("planned", nil, keep...)
		ok(t, err)
		defer planned.Close()
		var all []*gorgonia.Node
		for _, n := range g.E.AllNodes() {
			all = append(all, n)
		}
		whole, err := g.Compile("whole", nil, all...)
		ok(t, err)
		defer whole.Close()
		checkSpans(t, planned)
		checkSpans(t, whole)
		if n := whole.Shared(); n != 0 {
			t.Fatalf("%d values in place although every value is kept", n)
		}
		plans++
		inPlace += planned.Shared()
		if planned.Bytes() == planned.LowerBound() {
			tight++
		}

		ok(t, planned.Realize())
		mem := planned.Arena().Memory()
		for i := range mem {
			mem[i] = 0xff // NaN
		}
		want := read(t, whole, keep)
		for range 2 { // the second run starts from the first one's leavings
			for i, got := range read(t, planned, keep) {
				for k := range got {
					if math.Float64bits(got[k]) != math.Float64bits(want[i][k]) {
						t.Fatalf("%v [%d]: %v with the plan, %v with every value kept", keep[i], k, got[k], want[i][k])
					}
				}
			}
		}
	})
	t.Logf("%d plans, %d of them as small as the lower bound, %d values in place", plans, tight, inPlace)
	if tight*10 < plans*7 {
		t.Errorf("only %d of %d plans are as small as the lower bound", tight, plans)
	}
	if inPlace == 0 {
		t.Error("nothing was ever computed in place")
	}
}

// TestPlanOfResNet: the greedy placement of a real network's training step stays
// within 3 % of what is alive at the worst moment.
func TestPlanOfResNet(t *testing.T) {
	for _, name := range []string{"resnet18", "resnet50"} {
		dev := ref.New()
		store := nn.NewStore(dev, 1)
		g := nn.NewGraph(store, nn.Train)
		b, err := backbone.New(name, 64)
		ok(t, err)
		in, err := exec.NewTensor(dev, device.Desc{Shape: []int{8, 224, 224, 3}})
		ok(t, err)
		y := g.Leaf("input", in)
		for _, u := range b.Units {
			y = u.Forward(g, y, "")
		}
		labels, _ := g.Input("labels", device.Desc{DType: device.Int32, Shape: []int{8}})
		loss := g.CrossEntropy(backbone.Classifier(g, y, "", 1000), labels, -1)
		grads, err := g.Gradients(loss)
		ok(t, err)
		hyper, err := exec.NewTensor(dev, device.Hyper())
		ok(t, err)
		for _, gr := range grads {
			v := gr.Var.Value
			g.Post(exec.Post{Op: device.SGD{Of: v.Desc, LRScale: 1}, In: []exec.Source{{Node: gr.Node}, {Tensor: hyper}}, Out: []*exec.Tensor{v, v}})
		}
		p, err := g.Compile(name, nil, loss)
		ok(t, err)
		checkSpans(t, p)
		t.Logf("%s: %d steps, %d bytes, lower bound %d, %d values in place", name, p.Steps(), p.Bytes(), p.LowerBound(), p.Shared())
		if float64(p.Bytes()) > 1.03*float64(p.LowerBound()) {
			t.Errorf("%s: %d bytes, lower bound %d", name, p.Bytes(), p.LowerBound())
		}
		if now, _ := dev.Allocated(); now != 0 {
			t.Errorf("planning allocated %d bytes on the device", now)
		}
		p.Close()
		dev.Close()
	}
}

// TestPlannedBytesAreTouched: a run writes up to the plan's last byte's buffer and
// nothing beyond the plan, seen by a canary in an arena that is larger.
func TestPlannedBytesAreTouched(t *testing.T) {
	dev := ref.NewThreads(2)
	defer dev.Close()
	store := nn.NewStore(dev, 5)
	defer store.Free()
	arena := exec.NewArena(dev)
	build := func(name string, size int) (*exec.Program, *gorgonia.Node) {
		g := nn.NewGraph(store, nn.Train)
		x, in := g.Input("x", device.Desc{Shape: []int{2, size, size, 8}})
		y := g.ConvNorm(x, "conv", "bn", nn.Layer{Out: 8, Kernel: 3, ConvOptions: nn.ConvOptions{Pad: 1}}, true)
		loss := project(t, g, name, g.AddReLU(y, g.Conv(y, "conv2", nn.Layer{Out: 8, Kernel: 3, ConvOptions: nn.ConvOptions{Pad: 1}})))
		grads, err := g.Gradients(loss)
		ok(t, err)
		keep := []*gorgonia.Node{loss}
		for _, gr := range grads {
			keep = append(keep, gr.Node)
		}
		p, err := g.Compile(name, arena, keep...)
		ok(t, err)
		ok(t, in.Zero())
		return p, loss
	}
	small, _ := build("small", 9)
	large, _ := build("large", 16)
	defer small.Close()
	defer large.Close()
	ok(t, store.Realize())
	if arena.Bytes() != large.Bytes() || small.Bytes() >= large.Bytes() {
		t.Fatalf("arena %d, programs %d and %d", arena.Bytes(), small.Bytes(), large.Bytes())
	}
	for _, p := range []*exec.Program{small, large} {
		ok(t, p.Realize())
		mem := arena.Memory()
		if int64(len(mem)) != arena.Bytes() {
			t.Fatalf("the arena has %d bytes, the plan says %d", len(mem), arena.Bytes())
		}
		for i := range mem {
			mem[i] = 0xa5
		}
		ok(t, p.Run())
		high := int64(len(mem))
		for high > 0 && mem[high-1] == 0xa5 {
			high--
		}
		var last exec.Span
		for _, s := range p.Spans() {
			if s.Offset+s.Size > last.Offset+last.Size || s.Offset+s.Size == last.Offset+last.Size && s.Offset > last.Offset {
				last = s
			}
		}
		t.Logf("planned %d, touched %d", p.Bytes(), high)
		if high > p.Bytes() {
			t.Errorf("touched byte %d, the plan ends at %d", high, p.Bytes())
		}
		if high <= last.Offset {
			t.Errorf("touched only %d bytes: the plan's last buffer %+v was never used", high, last)
		}
	}
}

// TestPeakEqualsPlan: the device's own count agrees with what was planned: arena
// plus tensors.
func TestPeakEqualsPlan(t *testing.T) {
	dev := ref.NewThreads(1)
	defer dev.Close()
	store := nn.NewStore(dev, 5)
	g := nn.NewGraph(store, nn.Train)
	x, in := g.Input("x", device.Desc{Shape: []int{2, 9, 9, 8}})
	y := g.ConvNorm(x, "conv", "bn", nn.Layer{Out: 8, Kernel: 3, ConvOptions: nn.ConvOptions{Pad: 1}}, true)
	p, err := g.Compile("p", nil, y)
	ok(t, err)
	ok(t, store.Realize())
	for range 3 {
		ok(t, p.Run())
	}
	want := p.Bytes() + store.Bytes() + in.Bytes()
	if now, peak := dev.Allocated(); now != want || peak != want {
		t.Errorf("allocated %d, peak %d, planned %d", now, peak, want)
	}
	p.Close()
	store.Free()
	in.Free()
	if now, _ := dev.Allocated(); now != 0 {
		t.Errorf("%d bytes still allocated after everything was freed", now)
	}
}
