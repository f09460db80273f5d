package backbone

import (
	"math"
	"strings"
	"testing"

	"gorgonia.org/gorgonia"

	"manvision/device"
	"manvision/device/ref"
	"manvision/nn"
)

// all lists every backbone that New knows.
func all() []string { return append(Names(), CIFARNames()...) }

// narrow is a small width that the backbone can have.
func narrow(name string) int {
	switch name {
	case "resnext50_32x4d":
		return 16
	case "resnext101_32x8d":
		return 8
	}
	return 4
}

// TestEveryBackboneLearns runs a narrow version of every backbone at an odd size:
// shapes follow the units' strides (each rounds up, as its padding makes it), and
// every parameter gets a finite gradient that is not zero.
func TestEveryBackboneLearns(t *testing.T) {
	for _, name := range all() {
		t.Run(name, func(t *testing.T) {
			dev := ref.New()
			defer dev.Close()
			store := nn.NewStore(dev, 1)
			defer store.Free()
			b, err := New(name, narrow(name))
			if err != nil {
				t.Fatal(err)
			}
			g := nn.NewGraph(store, nn.Train)
			y, in := g.Input("input", device.Desc{Shape: []int{2, 45, 67, 3}})
			h, w := 45, 67
			for _, u := range b.Units {
				if y.Shape()[3] != u.In {
					t.Errorf("unit %q reads %d channels, says %d", u.Name, y.Shape()[3], u.In)
				}
				y = u.Forward(g, y, "p.")
				if g.Err() != nil {
					t.Fatal(g.Err())
				}
				h, w = (h+u.Stride-1)/u.Stride, (w+u.Stride-1)/u.Stride
				if s := y.Shape(); s[0] != 2 || s[1] != h || s[2] != w || s[3] != u.Out {
					t.Errorf("unit %q gives %v, want [2 %d %d %d]", u.Name, s, h, w, u.Out)
				}
			}
			l, labels := g.Input("labels", device.Desc{DType: device.Int32, Shape: []int{2}})
			loss := g.CrossEntropy(Classifier(g, y, "p.", 5), l, -1)
			grads, err := g.Gradients(loss)
			if err != nil {
				t.Fatal(err)
			}
			keep := []*gorgonia.Node{loss}
			for _, gr := range grads {
				keep = append(keep, gr.Node)
			}
			p, err := g.Compile(name, nil, keep...)
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			x := make([]float64, 2*45*67*3)
			nn.UniformIn(1)(x, nil, nn.NewStream(1, "image"))
			for _, err := range []error{store.Realize(), in.Upload(x), labels.Upload([]int32{1, 3}), p.Run()} {
				if err != nil {
					t.Fatal(err)
				}
			}
			trainable := 0
			for _, v := range store.Vars() {
				if !strings.HasPrefix(v.Name, "p.") {
					t.Errorf("%s lacks the prefix", v.Name)
				}
				if v.Trainable {
					trainable++
				}
			}
			if len(grads) != trainable {
				t.Errorf("%d gradients of %d parameters", len(grads), trainable)
			}
			for _, gr := range grads {
				d := make([]float64, gr.Var.Elems())
				if err := p.Download(d, gr.Node); err != nil {
					t.Fatal(err)
				}
				sum := 0.0
				for _, v := range d {
					sum += math.Abs(v)
				}
				if sum == 0 || math.IsNaN(sum) || math.IsInf(sum, 0) {
					t.Errorf("the gradient of %s sums to %v", gr.Var.Name, sum)
				}
			}
		})
	}
}

// TestStructure: units, stages and channels of the torchvision models.
func TestStructure(t *testing.T) {
	for name, want := range map[string]struct{ units, features, stages, stride int }{
		"resnet18": {9, 512, 4, 32}, "resnet34": {17, 512, 4, 32}, "resnet50": {17, 2048, 4, 32}, "resnet101": {34, 2048, 4, 32}, "resnet152": {51, 2048, 4, 32},
		"resnext50_32x4d": {17, 2048, 4, 32}, "resnext101_32x8d": {34, 2048, 4, 32}, "wide_resnet50_2": {17, 2048, 4, 32},
		"cifar_resnet20": {10, 64, 3, 4}, "cifar_resnet20_a": {10, 64, 3, 4}, "cifar_resnet32": {16, 64, 3, 4}, "cifar_resnet44_a": {22, 64, 3, 4},
		"cifar_resnet56": {28, 64, 3, 4}, "cifar_resnet110": {55, 64, 3, 4},
	} {
		b, err := New(name, PublishedWidth(name))
		if err != nil {
			t.Fatal(err)
		}
		if len(b.Units) != want.units || b.Features() != want.features {
			t.Errorf("%s: %d units, %d features, want %+v", name, len(b.Units), b.Features(), want)
		}
		stride, stage := 1, 0
		for i, u := range b.Units {
			stride *= u.Stride
			if u.Stage < stage || u.Stage > stage+1 {
				t.Errorf("%s: unit %d is of stage %d after %d", name, i, u.Stage, stage)
			}
			stage = u.Stage
			if i > 0 && u.In != b.Units[i-1].Out {
				t.Errorf("%s: unit %d reads %d channels of %d", name, i, u.In, b.Units[i-1].Out)
			}
		}
		if ends := b.StageEnds(); stride != want.stride || stage != want.stages || len(ends) != want.stages+1 || ends[0] != 0 || ends[want.stages] != len(b.Units)-1 {
			t.Errorf("%s: stride %d, last stage %d, stage ends %v", name, stride, stage, ends)
		}
	}
	for _, width := range []int{0, -4} {
		for _, name := range []string{"resnet18", "cifar_resnet20"} {
			if _, err := New(name, width); err == nil {
				t.Errorf("%s of width %d: no error", name, width)
			}
		}
	}
	if _, err := New("resnext50_32x4d", 40); err == nil || !strings.Contains(err.Error(), "multiple of 16") {
		t.Errorf("groups of half a channel: %v", err)
	}
	if _, err := New("resnext101_32x8d", 20); err == nil || !strings.Contains(err.Error(), "multiple of 8") {
		t.Errorf("groups of two and a half channels: %v", err)
	}
	if w := PublishedWidth("resnet17"); w != 0 {
		t.Errorf("width of an unknown backbone: %d", w)
	}
	if _, err := New("resnet17", 64); err == nil || !strings.Contains(err.Error(), "resnet18") {
		t.Errorf("unknown backbone: %v", err)
	}
}

// TestClone: a clone has the unit's architecture under other names.
func TestClone(t *testing.T) {
	b, err := New("resnet50", 8)
	if err != nil {
		t.Fatal(err)
	}
	dev := ref.New()
	defer dev.Close()
	g := nn.NewGraph(nn.NewStore(dev, 1), nn.Train)
	u := b.Units[4] // layer2.0, with a projection
	x, _ := g.Input("x", device.Desc{Shape: []int{1, 8, 8, u.In}})
	if y, z := u.Forward(g, x, "a."), u.Clone(g, x, "b."); !y.Shape().Eq(z.Shape()) {
		t.Errorf("shapes %v and %v", y.Shape(), z.Shape())
	}
	if g.Err() != nil {
		t.Fatal(g.Err())
	}
	names := map[string]int{}
	for _, v := range g.Store.Vars() {
		tail := strings.TrimPrefix(strings.TrimPrefix(v.Name, "a.layer2.0."), "b.")
		names[tail] += v.Elems()
		if other, ok := g.Store.Lookup("b." + tail); !ok || other.Elems() != v.Elems() {
			t.Errorf("%s has no twin", v.Name)
		}
	}
	if len(names) != 20 { // 4 convolutions, 4 norms of weight, bias, mean, variance
		t.Errorf("%d tensors, want 20", len(names))
	}
}
