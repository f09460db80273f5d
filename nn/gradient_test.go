package nn

import (
	"math"
	"testing"

	"gorgonia.org/gorgonia"

	"manvision/device"
	"manvision/device/ref"
)

// The finite-difference suite: every operation's gradient at graph level, on the
// reference device in float64. Central differences (f(x+h)−f(x−h))/2h with h =
// fdStep: their error is of order h², 1e-10 times the third derivative, and the rounding of f, some
// 1e-15/h = 1e-10. Every gradient must agree within fdTolerance of the largest
// gradient of its tensor plus fdTolerance.
const (
	fdStep      = 1e-5
	fdTolerance = 1e-7
	fdProbes    = 48 // elements tried of each tensor, spread evenly
)

// bench holds a graph under test: inputs are parameters, so that every gradient
// can be asked for.
type bench struct {
	t     *testing.T
	g     *Graph
	names []string
}

func newBench(t *testing.T) *bench {
	t.Helper()
	dev := ref.NewThreads(1)
	store := NewStore(dev, 7)
	t.Cleanup(func() {
		store.Free()
		dev.Close()
	})
	return &bench{t: t, g: NewGraph(store, Train)}
}

// in is an activation or dense parameter of numbers uniform in [−1, 1).
func (b *bench) in(name string, shape ...int) *gorgonia.Node {
	b.names = append(b.names, name)
	return b.g.Weight(name, shape, UniformIn(1))
}

// positive is the same in [0.5, 1.5).
func (b *bench) positive(name string, shape ...int) *gorgonia.Node {
	b.names = append(b.names, name)
	return b.g.Weight(name, shape, func(dst []float64, _ []int, rng *Stream) {
		for i := range dst {
			dst[i] = 0.5 + rng.Uniform()
		}
	})
}

func (b *bench) filter(name string, groups int, shape ...int) *gorgonia.Node {
	b.names = append(b.names, name)
	return b.g.Filter(name, shape, groups, UniformIn(1))
}

// fixed is storage without gradient.
func (b *bench) fixed(name string, shape []int, values any) *gorgonia.Node {
	d := device.Desc{Shape: shape}
	if _, ok := values.([]int32); ok {
		d.DType = device.Int32
	}
	n, t := b.g.Input(name, d)
	if b.g.Err() != nil {
		b.t.Fatal(b.g.Err())
	}
	b.t.Cleanup(t.Free)
	if err := t.Upload(values); err != nil {
		b.t.Fatal(err)
	}
	return n
}

func random(n int, stream string) []float64 {
	x := make([]float64, n)
	UniformIn(1)(x, nil, NewStream(3, stream))
	return x
}

// project returns Σ r·y with fixed random r, as a scalar.
func (b *bench) project(name string, y *gorgonia.Node) *gorgonia.Node {
	b.t.Helper()
	if b.g.Err() != nil {
		b.t.Fatal(b.g.Err())
	}
	n := y.Shape().TotalSize()
	r := b.fixed("r."+name, []int{1, n}, random(n, name))
	row := b.g.Reshape(y, 1, n)
	out := b.g.try("", func() (*gorgonia.Node, error) { return Linear(row, r, nil) })
	return b.g.Reshape(out)
}

// must unwraps what an operation returns.
func (b *bench) must(n *gorgonia.Node, err error) *gorgonia.Node {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
	return n
}

// verify differentiates the losses' sum both ways.
func (b *bench) verify(losses ...*gorgonia.Node) {
	t := b.t
	t.Helper()
	grads, err := b.g.Gradients(losses...)
	if err != nil {
		t.Fatal(err)
	}
	if len(grads) != len(b.names) {
		t.Fatalf("%d gradients of %d inputs", len(grads), len(b.names))
	}
	keep := append([]*gorgonia.Node{}, losses...)
	for _, g := range grads {
		keep = append(keep, g.Node)
	}
	p, err := b.g.Compile("gradient check", nil, keep...)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if err := b.g.Store.Realize(); err != nil {
		t.Fatal(err)
	}
	value := func() float64 {
		if err := p.Run(); err != nil {
			t.Fatal(err)
		}
		sum := 0.0
		for _, l := range losses {
			var x [1]float64
			if err := p.Download(x[:], l); err != nil {
				t.Fatal(err)
			}
			sum += x[0]
		}
		return sum
	}
	value()
	symbolic := map[string][]float64{}
	for _, g := range grads {
		x := make([]float64, g.Var.Elems())
		if err := p.Download(x, g.Node); err != nil {
			t.Fatal(err)
		}
		symbolic[g.Var.Name] = x
	}
	for _, g := range grads {
		sym := symbolic[g.Var.Name]
		x := make([]float64, len(sym))
		if err := g.Var.Value.Download(x); err != nil {
			t.Fatal(err)
		}
		largest := 0.0
		for _, s := range sym {
			largest = math.Max(largest, math.Abs(s))
		}
		if largest == 0 {
			t.Errorf("the gradient of %s is all zero: nothing is tested", g.Var.Name)
		}
		at := func(i int, v float64) float64 {
			old := x[i]
			x[i] = v
			if err := g.Var.Value.Upload(x); err != nil {
				t.Fatal(err)
			}
			x[i] = old
			return value()
		}
		stride := max(1, len(x)/fdProbes)
		for i := 0; i < len(x); i += stride {
			numeric := (at(i, x[i]+fdStep) - at(i, x[i]-fdStep)) / (2 * fdStep)
			if d := math.Abs(numeric - sym[i]); !(d <= fdTolerance*(largest+1)) {
				t.Errorf("%s[%d]: symbolic %.12g, numeric %.12g, difference %.2g", g.Var.Name, i, sym[i], numeric, d)
			}
		}
		if err := g.Var.Value.Upload(x); err != nil {
			t.Fatal(err)
		}
	}
}

func TestGradients(t *testing.T) {
	conv := func(c ConvOptions, bias bool, h, w, in, out, k int) func(b *bench) *gorgonia.Node {
		return func(b *bench) *gorgonia.Node {
			groups := max(c.Groups, 1)
			x, f := b.in("x", 2, h, w, in), b.filter("w", groups, out, in/groups, k, k)
			var bi *gorgonia.Node
			if bias {
				bi = b.in("b", out)
			}
			return b.project("y", b.must(Conv2D(x, f, bi, c)))
		}
	}
	norm := func(relu, global bool, shape ...int) func(b *bench) *gorgonia.Node {
		return func(b *bench) *gorgonia.Node {
			c := shape[len(shape)-1]
			x, gamma, beta := b.in("x", shape...), b.positive("gamma", c), b.in("beta", c)
			if global {
				variance := random(c, "variance")
				for i := range variance {
					variance[i] = 0.5 + math.Abs(variance[i])
				}
				m, v := b.fixed("mean", []int{c}, random(c, "mean")), b.fixed("variance", []int{c}, variance)
				return b.project("y", b.must(BatchNormGlobal(x, gamma, beta, m, v, 1e-5, relu)))
			}
			y, _, _, err := BatchNormTrain(x, gamma, beta, 1e-5, relu)
			return b.project("y", b.must(y, err))
		}
	}
	resize := func(h, w int, m device.ResizeMode) func(b *bench) *gorgonia.Node {
		return func(b *bench) *gorgonia.Node {
			return b.project("y", b.must(Resize(b.in("x", 2, 3, 4, 2), h, w, m)))
		}
	}
	pool := func(f func(*gorgonia.Node, PoolOptions) (*gorgonia.Node, error), o PoolOptions) func(b *bench) *gorgonia.Node {
		return func(b *bench) *gorgonia.Node { return b.project("y", b.must(f(b.in("x", 2, 7, 6, 3), o))) }
	}
	cases := []struct {
		name  string
		build func(b *bench) *gorgonia.Node
	}{
		{"conv", conv(ConvOptions{Pad: 1}, false, 5, 4, 3, 4, 3)},
		{"conv/1x1", conv(ConvOptions{}, false, 3, 3, 4, 5, 1)},
		{"conv/bias", conv(ConvOptions{}, true, 5, 4, 3, 4, 3)},
		{"conv/stride", conv(ConvOptions{Stride: 2, Pad: 1}, true, 7, 6, 3, 4, 3)},
		{"conv/stride-1x1", conv(ConvOptions{Stride: 2}, false, 5, 6, 3, 4, 1)},
		{"conv/dilation", conv(ConvOptions{Dilation: 2, Pad: 2}, true, 6, 5, 2, 3, 3)},
		{"conv/groups", conv(ConvOptions{Groups: 2, Pad: 1}, true, 4, 5, 4, 6, 3)},
		{"conv/depthwise", conv(ConvOptions{Groups: 4, Stride: 2, Pad: 1}, false, 5, 5, 4, 4, 3)},
		{"conv/relu", conv(ConvOptions{ReLU: true, Pad: 1}, true, 5, 4, 3, 4, 3)},
		{"conv/relu-stride-dilation-groups", conv(ConvOptions{ReLU: true, Stride: 2, Pad: 3, Dilation: 2, Groups: 2}, true, 9, 8, 4, 4, 3)},
		{"bn/train", norm(false, false, 2, 3, 4, 3)},
		{"bn/train-relu", norm(true, false, 2, 3, 4, 3)},
		{"bn/train-2d", norm(false, false, 6, 4)},
		{"bn/train-2d-relu", norm(true, false, 6, 4)},
		{"bn/global", norm(false, true, 2, 3, 4, 3)},
		{"bn/global-relu", norm(true, true, 2, 3, 4, 3)},
		{"bn/global-2d-relu", norm(true, true, 6, 4)},
		{"relu", func(b *bench) *gorgonia.Node { return b.project("y", b.must(ReLU(b.in("x", 2, 5, 3)))) }},
		{"maxpool", pool(MaxPool, PoolOptions{Size: 3, Stride: 2, Pad: 1})},
		{"maxpool/ceil", pool(MaxPool, PoolOptions{Size: 2, Ceil: true})},
		{"avgpool", pool(AvgPool, PoolOptions{Size: 3, Stride: 2, Pad: 1})},
		{"avgpool/count-pad", pool(AvgPool, PoolOptions{Size: 3, Stride: 2, Pad: 1, CountPad: true})},
		{"avgpool/ceil", pool(AvgPool, PoolOptions{Size: 2, Ceil: true})},
		{"gap", func(b *bench) *gorgonia.Node { return b.project("y", b.must(GlobalAvgPool(b.in("x", 2, 3, 5, 4)))) }},
		{"add", func(b *bench) *gorgonia.Node {
			return b.project("y", b.must(Add(b.in("a", 2, 3, 4), b.in("b", 2, 3, 4))))
		}},
		{"add/self", func(b *bench) *gorgonia.Node {
			x := b.in("x", 2, 3, 4)
			return b.project("y", b.must(Add(x, x)))
		}},
		{"add/relu", func(b *bench) *gorgonia.Node {
			return b.project("y", b.must(AddReLU(b.in("a", 2, 3, 4), b.in("b", 2, 3, 4))))
		}},
		{"fuse", func(b *bench) *gorgonia.Node {
			return b.project("y", b.must(Fuse(b.positive("s", 1), b.in("lb", 2, 3, 3, 2), b.in("ema", 2, 3, 3, 2))))
		}},
		{"resize/nearest", resize(6, 7, device.Nearest)},
		{"resize/nearest-down", resize(2, 3, device.Nearest)},
		{"resize/bilinear", resize(6, 7, device.Bilinear)},
		{"resize/bilinear-down", resize(2, 3, device.Bilinear)},
		{"resize/aligned", resize(6, 7, device.BilinearAligned)},
		{"resize/aligned-1x1", resize(1, 1, device.BilinearAligned)},
		{"concat/0", func(b *bench) *gorgonia.Node {
			return b.project("y", b.must(Concat(0, b.in("a", 1, 3, 2), b.in("b", 2, 3, 2), b.in("c", 3, 3, 2))))
		}},
		{"concat/1", func(b *bench) *gorgonia.Node {
			return b.project("y", b.must(Concat(1, b.in("a", 2, 3, 2), b.in("b", 2, 1, 2))))
		}},
		{"concat/last", func(b *bench) *gorgonia.Node {
			return b.project("y", b.must(Concat(3, b.in("a", 2, 3, 2, 1), b.in("b", 2, 3, 2, 4))))
		}},
		{"concat/twice-the-same", func(b *bench) *gorgonia.Node {
			a := b.in("a", 2, 3)
			return b.project("y", b.must(Concat(1, a, a)))
		}},
		{"slice", func(b *bench) *gorgonia.Node { return b.project("y", b.must(Slice(b.in("x", 2, 5, 3), 1, 1, 4))) }},
		{"slice/last", func(b *bench) *gorgonia.Node { return b.project("y", b.must(Slice(b.in("x", 2, 5, 3), 2, 0, 2))) }},
		{"reshape", func(b *bench) *gorgonia.Node {
			x := b.must(Reshape(b.in("x", 2, 3, 4), 6, 4))
			return b.project("y", b.must(Linear(x, b.in("w", 3, 4), nil)))
		}},
		{"linear", func(b *bench) *gorgonia.Node {
			return b.project("y", b.must(Linear(b.in("x", 3, 5), b.in("w", 4, 5), nil)))
		}},
		{"linear/bias", func(b *bench) *gorgonia.Node {
			return b.project("y", b.must(Linear(b.in("x", 3, 5), b.in("w", 4, 5), b.in("b", 4))))
		}},
		{"focal", func(b *bench) *gorgonia.Node {
			l := b.fixed("labels", []int{6}, []int32{2, device.Background, device.Ignore, 0, device.Background, 1})
			return b.must(FocalLoss(b.in("x", 2, 3, 3), l, b.fixed("norm", []int{1}, []float64{3}), 0.25, 2))
		}},
		{"focal/gamma-1.5", func(b *bench) *gorgonia.Node {
			l := b.fixed("labels", []int{3}, []int32{1, device.Background, 0})
			return b.must(FocalLoss(b.in("x", 3, 2), l, b.fixed("norm", []int{1}, []float64{2}), 0.4, 1.5))
		}},
		{"smoothl1", func(b *bench) *gorgonia.Node {
			l := b.fixed("labels", []int{6}, []int32{2, device.Background, device.Ignore, 0, 5, 1})
			target := b.fixed("target", []int{2, 3, 4}, random(24, "target"))
			return b.must(SmoothL1(b.in("x", 2, 3, 4), target, l, b.fixed("norm", []int{1}, []float64{4}), 0.5))
		}},
		{"smoothl1/beta-0", func(b *bench) *gorgonia.Node {
			l := b.fixed("labels", []int{3}, []int32{2, 0, device.Background})
			target := b.fixed("target", []int{3, 4}, random(12, "target"))
			return b.must(SmoothL1(b.in("x", 3, 4), target, l, b.fixed("norm", []int{1}, []float64{2}), 0))
		}},
		{"crossentropy", func(b *bench) *gorgonia.Node {
			l := b.fixed("labels", []int{5}, []int32{2, 0, 255, 1, 2})
			return b.must(CrossEntropy(b.in("x", 5, 3), l, 255))
		}},
		{"crossentropy/map", func(b *bench) *gorgonia.Node {
			l := b.fixed("labels", []int{8}, []int32{2, 0, 255, 1, 2, 2, 0, 255})
			return b.must(CrossEntropy(b.in("x", 2, 2, 2, 3), l, 255))
		}},
		{"pixel-crossentropy", func(b *bench) *gorgonia.Node {
			l := b.fixed("labels", []int{2, 3, 4}, mapLabels(24))
			return b.must(PixelCrossEntropy(b.in("x", 2, 3, 4, 3), l, PixelLoss{Ignore: 255, Weight: 0.4}))
		}},
		{"pixel-crossentropy/upsampled", func(b *bench) *gorgonia.Node {
			l := b.fixed("labels", []int{2, 9, 11}, mapLabels(198))
			return b.must(PixelCrossEntropy(b.in("x", 2, 3, 4, 3), l, PixelLoss{Ignore: 255, Weight: 1}))
		}},
		{"pixel-crossentropy/mined", func(b *bench) *gorgonia.Node {
			l := b.fixed("labels", []int{1, 9, 11}, mapLabels(99))
			return b.must(PixelCrossEntropy(b.in("x", 1, 3, 4, 3), l, PixelLoss{Ignore: 255, Weight: 1, OHEM: OHEM{Threshold: 0.2, MinKept: 30}}))
		}},
		{"sigmoid-bce", func(b *bench) *gorgonia.Node {
			target := random(24, "target")
			for i := range target {
				target[i] = math.Abs(target[i])
			}
			return b.must(SigmoidBCE(b.in("x", 2, 3, 4), b.fixed("target", []int{2, 3, 4}, target), 2))
		}},
		{"dropout", func(b *bench) *gorgonia.Node {
			return b.project("y", b.g.Dropout(b.in("x", 2, 5, 3), "drop", 0.4))
		}},
		{"dropout/twice", func(b *bench) *gorgonia.Node {
			x := b.in("x", 2, 5, 3)
			return b.project("y", b.g.Add(b.g.Dropout(x, "one", 0.4), b.g.Dropout(x, "two", 0.2)))
		}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t)
			loss := c.build(b)
			if b.g.Err() != nil {
				t.Fatal(b.g.Err())
			}
			b.verify(loss)
		})
	}
}

// mapLabels are n labels of three classes, every fifth ignored.
func mapLabels(n int) []int32 {
	l := make([]int32, n)
	for i := range l {
		if l[i] = int32(i*i%7) % 3; i%5 == 4 {
			l[i] = 255
		}
	}
	return l
}

// TestGradientOfResidualUnit goes through a whole unit with a projection and a
// batch norm in each of its modes.
func TestGradientOfResidualUnit(t *testing.T) {
	for _, frozen := range []bool{false, true} {
		b := newBench(t)
		g := b.g
		g.FrozenNorm = frozen
		x := b.in("x", 2, 5, 6, 3)
		y := g.ConvNorm(x, "conv1", "bn1", Layer{Out: 4, Kernel: 3, ConvOptions: ConvOptions{Stride: 2, Pad: 1}}, true)
		y = g.ConvNorm(y, "conv2", "bn2", Layer{Out: 4, Kernel: 3, ConvOptions: ConvOptions{Pad: 1}}, false)
		s := g.ConvNorm(x, "down.0", "down.1", Layer{Out: 4, Kernel: 1, ConvOptions: ConvOptions{Stride: 2}}, false)
		loss := b.project("y", g.AddReLU(y, s))
		b.names = nil
		for _, p := range g.params {
			b.names = append(b.names, p.Name)
		}
		b.verify(loss)
	}
}

// TestGradientOfPyramid shares one head over three levels of a pyramid and
// several losses, so that gradients meet in Gorgonia's own sums: dense biases,
// filters, and activations with two and three readers.
func TestGradientOfPyramid(t *testing.T) {
	b := newBench(t)
	g := b.g
	feature := Layer{Out: 3, Kernel: 3, Bias: true, Init: UniformIn(0.5), BiasInit: UniformIn(0.5), ConvOptions: ConvOptions{Pad: 1}}
	down := feature
	down.Stride = 2
	c3 := b.in("x", 1, 5, 6, 3)
	c4 := g.Conv(c3, "down", down)
	p4 := g.Conv(c4, "lateral", feature)
	p3 := g.Add(g.Conv(c3, "lateral", feature), g.Resize(p4, 5, 6, device.Nearest))
	p5 := g.Conv(g.ReLU(p4), "down", down)
	head := feature
	head.ReLU = true
	out := Layer{Out: 4, Kernel: 1, Bias: true, Init: UniformIn(1), BiasInit: UniformIn(1)}
	norm := b.fixed("norm", []int{1}, []float64{2})
	var losses []*gorgonia.Node
	var all []*gorgonia.Node
	for i, p := range []*gorgonia.Node{p3, p4, p5} {
		y := g.Conv(g.Conv(p, "head", head), "out", out)
		n := y.Shape().TotalSize() / 4
		y = g.Reshape(y, 1, n, 4)
		labels := make([]int32, n)
		for k := range labels {
			labels[k] = int32(k%6) - 2
		}
		l := b.fixed("labels"+string(rune('3'+i)), []int{n}, labels)
		losses = append(losses, g.FocalLoss(y, l, norm, 0.25, 2))
		all = append(all, y)
	}
	losses = append(losses, b.project("all", g.Concat(1, all...)))
	b.names = nil
	for _, p := range g.params {
		b.names = append(b.names, p.Name)
	}
	b.verify(losses...)
}

func TestGradientsOfPadding(t *testing.T) {
	b := newBench(t)
	x := b.in("x", 2, 3, 5, 4)
	y := b.g.PadChannels(b.g.Subsample(x, 2), 3, 9)
	if s := y.Shape(); s[1] != 2 || s[2] != 3 || s[3] != 9 {
		t.Fatalf("shape %v", s)
	}
	b.verify(b.project("pad", y))
	for _, bad := range [][2]int{{-1, 9}, {6, 9}, {0, 3}} {
		if _, err := PadChannels(x, bad[0], bad[1]); err == nil {
			t.Errorf("%v: no error", bad)
		}
	}
}

func TestGradientsOfClassLosses(t *testing.T) {
	b := newBench(t)
	labels := b.fixed("labels", []int{5}, []int32{0, 2, 0, 1, 2})
	target := b.fixed("target", []int{5, 4}, random(20, "target"))
	b.verify(
		b.g.SoftCrossEntropy(b.in("soft", 5, 4), target, 0.7),
		b.g.SupCon(b.in("con", 5, 6), labels, 0.5, 0.3),
		b.g.Similarity(b.in("sim", 5, 3, 2, 4), labels, 3, 2),
	)
	x := b.in("x", 5, 4)
	for name, f := range map[string]func() (*gorgonia.Node, error){
		"soft cross-entropy of other shapes": func() (*gorgonia.Node, error) { return SoftCrossEntropy(x, labels, 1) },
		"a negative weight":                  func() (*gorgonia.Node, error) { return SoftCrossEntropy(x, target, -1) },
		"a temperature of 0":                 func() (*gorgonia.Node, error) { return SupCon(x, labels, 0, 1) },
		"similarity of vectors":              func() (*gorgonia.Node, error) { return Similarity(x, labels, 3, 1) },
		"no features":                        func() (*gorgonia.Node, error) { return SupCon(nil, labels, 1, 1) },
	} {
		if _, err := f(); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
