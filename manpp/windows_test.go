package manpp

import (
	"math"
	"slices"
	"strings"
	"testing"

	"manvision/backbone"
	"manvision/optim"
)

// TestLeaps: the leap tables of MLAAN's code for ResNet-32 (METHOD §5.1), stem
// included.
func TestLeaps(t *testing.T) {
	b := published(t, "cifar_resnet32")
	m := &Model{Backbone: b, Partition: EveryUnit(b).WithStem(), Strategy: MLAAN}
	for j, want := range map[int]string{
		0: "layer2.0 layer3.0 layer3.2 layer3.4", 1: "layer2.0 layer3.0 layer3.2 layer3.4", 5: "layer2.0 layer3.0 layer3.2 layer3.4",
		6: "layer3.0 layer3.2 layer3.3 layer3.4", 10: "layer3.0 layer3.2 layer3.3 layer3.4",
		11: "layer3.1 layer3.2 layer3.4", 12: "layer3.2 layer3.3 layer3.4", 13: "layer3.3 layer3.4", 14: "layer3.4",
	} {
		var got []string
		for _, u := range (leap{}).positions(m, j) {
			got = append(got, b.Units[u].Name)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("module %d: %v, want %s", j, got, want)
		}
	}
	for _, name := range append(backbone.Names(), backbone.CIFARNames()...) {
		b := published(t, name)
		m := &Model{Backbone: b, Partition: EveryUnit(b).WithStem()}
		for j := range m.Partition {
			at := (leap{}).positions(m, j)
			if !slices.IsSorted(at) || at[0] <= m.Partition[j] || at[len(at)-1] != len(b.Units)-1 || len(at) > 5 {
				t.Errorf("%s, module %d: units %v", name, j, at)
			}
			channels := b.Units[m.Partition[j]].Out
			for _, u := range at {
				if b.Units[u].In != channels {
					t.Errorf("%s, module %d: unit %s reads %d channels of %d", name, j, b.Units[u].Name, b.Units[u].In, channels)
				}
				channels = b.Units[u].Out
			}
		}
	}
}

// TestWindowGradients compares MLAAN's gradients with central differences: a block's
// parameters follow its own loss, that of the window it ends and that of the window it
// begins, each from an input that stays, and nothing else. h = 1e-5 in float64:
// rounding about 1e-10, truncation h² times the third derivative; accepted 1e-6 of a
// tensor's largest gradient plus 1e-7.
func TestWindowGradients(t *testing.T) {
	const h = 1e-5
	r := newRig(t, settings{strategy: MLAAN, hyper: optim.Hyper{Rule: optim.SGD, ClipNorm: huge}, schedule: optim.Schedule{Base: 1e-30}})
	r.train(0, 3, 32, 32)
	start, grads := r.all(), r.grads()
	names := []string{"body.conv1.weight", "body.bn1.bias", "body.layer1.0.conv2.weight", "body.layer2.0.downsample.0.weight", "body.layer2.1.bn2.weight",
		"body.layer3.0.conv1.weight", "body.layer4.0.conv1.weight", "head.fc.weight", "manpp.0.own.fc.weight", "manpp.1.aug.0.conv1.weight", "manpp.2.aug.0.bn1.weight", "manpp.1.head.fc.bias"}
	for _, name := range names {
		g := grads[name]
		if g == nil {
			t.Errorf("no gradient of %s", name)
			continue
		}
		j, largest := r.block(name), 0.0
		for _, v := range g {
			largest = max(largest, math.Abs(v))
		}
		loss := func(i int, by float64) float64 {
			for n, x := range start {
				if _, ok := r.store.Lookup(n); ok {
					x = slices.Clone(x)
					if n == name {
						x[i] += by
					}
					if err := r.store.Set(n, x); err != nil {
						t.Fatal(err)
					}
				}
			}
			rep := r.train(0, 3, 32, 32)
			sum := rep.Blocks[j].Loss
			if j+1 < len(rep.Blocks) && !strings.HasPrefix(name, AuxPrefix) {
				terms := rep.Blocks[j+1].Terms // own, window; the final block has its window's alone
				sum += terms[len(terms)-1]
			}
			return sum
		}
		for k := range 3 {
			i := k * (len(g) - 1) / 2
			want := (loss(i, h) - loss(i, -h)) / (2 * h)
			if math.Abs(g[i]-want) > 1e-6*largest+1e-7 {
				t.Errorf("%s[%d]: gradient %v, central difference %v", name, i, g[i], want)
			}
		}
	}
}

// TestWindowUpdates: gradients that add up over blocks give the same update whether
// they wait for clipping or not, and a batch counts once in the running statistics.
func TestWindowUpdates(t *testing.T) {
	plain := newRig(t, settings{strategy: MLAAN, hyper: optim.Hyper{Rule: optim.SGD, Momentum: 0.9}})
	clipped := newRig(t, settings{strategy: MLAAN, hyper: optim.Hyper{Rule: optim.SGD, Momentum: 0.9, ClipNorm: huge}})
	greedy := newRig(t, settings{strategy: Greedy})
	for step := range int64(2) {
		plain.train(step, 3, 32, 32)
		clipped.train(step, 3, 32, 32)
		if step == 0 {
			greedy.train(step, 3, 32, 32)
			for _, name := range []string{"body.bn1.running_mean", "body.layer1.0.bn2.running_var", "body.layer3.0.bn1.running_mean"} {
				a, b := plain.value(name), greedy.value(name)
				for i := range a {
					if math.Abs(a[i]-b[i]) > 1e-12 {
						t.Fatalf("%s is %v, one pass gives %v", name, a[i], b[i])
					}
				}
			}
		}
	}
	if d := differing(plain.all(), clipped.all()); len(d) > 0 {
		t.Errorf("updates with and without clipping differ in %v", d)
	}
	if plain.opt.GradBytes() == 0 || plain.opt.GradBytes() >= clipped.opt.GradBytes() {
		t.Errorf("kept gradients: %d bytes without clipping, %d with", plain.opt.GradBytes(), clipped.opt.GradBytes())
	}
}
