package backbone

import (
	"strings"
	"testing"

	"manvision/device"
	"manvision/device/ref"
	"manvision/nn"
)

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
