package manpp

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"manvision/backbone"
)

// TestPublished: units by block as METHOD §1.4 and §1.5 list them, counted by hand.
func TestPublished(t *testing.T) {
	ones := func(n int) string { return strings.TrimSuffix(strings.Repeat("1,", n), ",") }
	for _, c := range []struct {
		name, variant string
		k             int
		units         string // by block, the stem not counted
	}{
		{"cifar_resnet32", "", 8, "1,2,2,2,2,2,2,2"},
		{"cifar_resnet32_a", "", 8, "1,2,2,2,2,2,2,2"},
		{"cifar_resnet32", "", 16, ones(15)},
		{"cifar_resnet32", "", 4, "3,4,4,4"},
		{"cifar_resnet110", "", 32, "2,1,2,1,2,2,2,2,1,2,1,2,1,2,1,2,2,2,2,1,2,1,2,2,1,2,1,2,2,2,2,2"},
		{"cifar_resnet110", "", 55, ones(54)},
		{"cifar_resnet110", "balanced", 4, "7,8,12,27"},
		{"resnet101", "", 2, "4,29"}, {"resnet101", "", 4, "6,10,8,9"},
		{"resnet152", "", 2, "9,41"}, {"resnet152", "", 4, "10,15,12,13"},
		{"resnext101_32x8d", "", 2, "4,29"}, {"resnext101_32x8d", "", 4, "6,10,8,9"}, {"resnext101_32x8d", "infopro", 2, "6,27"},
	} {
		b := published(t, c.name)
		p, err := Published(b, c.variant, c.k)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, s := range p.Blocks(b) {
			n := s[1] - s[0] + 1
			if s[0] == 0 {
				n-- // the stem
			}
			got = append(got, fmt.Sprint(n))
		}
		if g := strings.Join(got, ","); g != c.units {
			t.Errorf("%s %s K=%d: units %s, want %s", c.name, c.variant, c.k, g, c.units)
		}
	}
	for name, variant := range map[string]string{"resnet50": "", "resnet101": "balanced"} {
		if _, err := Published(published(t, name), variant, 4); err == nil || !strings.Contains(err.Error(), "resnet152") {
			t.Errorf("%s %s: %v", name, variant, err)
		}
	}
	if _, err := Published(published(t, "resnet101"), "", 3); err == nil || !strings.Contains(err.Error(), "[2 4]") {
		t.Errorf("an unpublished K: %v", err)
	}
}

func published(t *testing.T, name string) *backbone.Backbone {
	t.Helper()
	b, err := backbone.New(name, backbone.PublishedWidth(name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestStemBlock: the stem as the first block, by name and added to other cuts.
func TestStemBlock(t *testing.T) {
	b := published(t, "cifar_resnet20")
	p, err := Cuts(b, []string{"stem", "layer1.2"})
	if err != nil || !slices.Equal(p, Partition{0, 3}) || !slices.Equal(p.Names(b), []string{"stem", "layer1.2"}) {
		t.Errorf("%v %v %v", p, p.Names(b), err)
	}
	if !slices.Equal(p.WithStem(), p) || !slices.Equal(p[1:].WithStem(), p) || !slices.Equal(Partition(nil).WithStem(), Partition{0}) {
		t.Error("WithStem")
	}
	for _, name := range backbone.CIFARNames() {
		b := published(t, name)
		for _, p := range []Partition{Stages(b), EveryUnit(b), EveryUnit(b).WithStem()} {
			if err := p.Check(b); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if n := len(Stages(b)); n != 2 {
			t.Errorf("%s: %d cuts by stages", name, n)
		}
	}
}

// TestAugLocalPositions: round(l + n·(L−l−1)/d) for n = 1..d, d falling from 4 to 3
// (round(4·(1−t·r) + t·r) at r = 1, t = 1/2 is round(2.5) = 3) over 15 modules of a
// ResNet-32, whose L = 16 units (METHOD §5.5, computed by hand).
func TestAugLocalPositions(t *testing.T) {
	b := published(t, "cifar_resnet32")
	m := &Model{Backbone: b, Partition: EveryUnit(b).WithStem(), Strategy: AugLocal, Depth: 4}
	for j, want := range map[int][]int{0: {4, 8, 11, 15}, 7: {10, 12, 15}, 13: {14, 15}, 14: {15}} {
		if got := (augmented{}).positions(m, j); !slices.Equal(got, want) {
			t.Errorf("module %d: units %v, want %v", j, got, want)
		}
	}
}

// TestStrategiesTrain: with every strategy two steps move every variable of the toy
// model but the fixed s of MAN, also where the stem is a block.
func TestStrategiesTrain(t *testing.T) {
	for _, s := range Strategies() {
		for _, stem := range []bool{false, true} {
			if stem && !s.Local {
				continue
			}
			t.Run(fmt.Sprintf("%s/%v", s.Name, stem), func(t *testing.T) {
				r := newRig(t, settings{strategy: s, partition: func(b *backbone.Backbone) Partition {
					if p := Stages(b); stem {
						return p.WithStem()
					} else {
						return p
					}
				}})
				r.steps(2, 32, 32)
				before := r.all()
				r.train(0, 2, 32, 32) // copies start as the units and s has no gradient yet
				r.train(1, 2, 32, 32)
				moved := map[string]bool{}
				for _, n := range changed(before, r.all()) {
					moved[n] = true
				}
				for _, v := range r.store.Vars() {
					if fixed := s.Name == "man" && strings.HasSuffix(v.Name, ".s"); fixed == moved[v.Name] {
						t.Errorf("%s moved: %v", v.Name, moved[v.Name])
					}
				}
				if err := r.model.CopyClones(); err != nil {
					t.Error(err)
				}
				if want := 1 + len(r.model.Partition); len(r.rep.Blocks) != want {
					t.Errorf("%d blocks, want %d", len(r.rep.Blocks), want)
				}
			})
		}
	}
}
