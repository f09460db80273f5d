package manpp

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"manvision/backbone"
	"manvision/device/ref"
)

func named(t *testing.T, name string) *backbone.Backbone {
	t.Helper()
	b, err := backbone.New(name, 64)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestPartitionPresets: units of ResNet-50 are the stem, then 3, 4, 6 and 3
// (torchvision), so layer1 ends with unit 3, layer2 with 7, layer3 with 13.
func TestPartitionPresets(t *testing.T) {
	r50, r18 := named(t, "resnet50"), named(t, "resnet18")
	if p := Stages(r50); !slices.Equal(p, Partition{3, 7, 13}) {
		t.Errorf("stages of resnet50: %v", p)
	}
	if p := Stages(r18); !slices.Equal(p, Partition{2, 4, 6}) {
		t.Errorf("stages of resnet18: %v", p)
	}
	if p := EveryUnit(r18); !slices.Equal(p, Partition{1, 2, 3, 4, 5, 6, 7}) {
		t.Errorf("every unit of resnet18: %v", p)
	}
	p, err := Cuts(r50, []string{"layer1.2", "layer3.0"})
	if err != nil || !slices.Equal(p, Partition{3, 8}) {
		t.Errorf("cuts: %v, %v", p, err)
	}
	if got := p.Blocks(r50); !slices.Equal(got, [][2]int{{0, 3}, {4, 8}, {9, 16}}) {
		t.Errorf("blocks: %v", got)
	}
	if got := Partition(nil).Blocks(r18); !slices.Equal(got, [][2]int{{0, 8}}) {
		t.Errorf("blocks without cuts: %v", got)
	}
	for _, name := range backbone.Names() {
		b := named(t, name)
		for _, p := range []Partition{nil, Stages(b), EveryUnit(b), {0}} {
			if err := p.Check(b); err != nil {
				t.Errorf("%s %v: %v", name, p, err)
			}
			next := 0
			for _, s := range p.Blocks(b) {
				if s[0] != next || s[1] < s[0] {
					t.Errorf("%s %v: blocks %v", name, p, p.Blocks(b))
				}
				next = s[1] + 1
			}
			if next != len(b.Units) {
				t.Errorf("%s %v: units from %d on belong to no block", name, p, next)
			}
		}
	}
}

func TestPartitionErrors(t *testing.T) {
	b := named(t, "resnet18")
	for _, p := range []Partition{{8}, {-1}, {9}, {3, 3}, {4, 2}} {
		if err := p.Check(b); err == nil {
			t.Errorf("%v: no error", p)
		}
	}
	for _, names := range [][]string{{"layer9.0"}, {""}, {"layer2.0", "layer1.0"}, {"layer1.0", "layer1.0"}, {"layer4.1"}} {
		if _, err := Cuts(b, names); err == nil {
			t.Errorf("%q: no error", names)
		}
	}
	if _, err := Cuts(b, []string{"layer9.0"}); !strings.Contains(err.Error(), "layer9.0") || !strings.Contains(err.Error(), "layer4.1") {
		t.Errorf("error %v does not name the cut and the units there are", err)
	}
	for _, k := range []int{0, -1, 4} {
		if _, err := Balanced([]int64{1, 2, 3}, k); err == nil {
			t.Errorf("%d blocks of 3 units: no error", k)
		}
	}
}

// TestBalanced compares with all partitions of up to ten units.
func TestBalanced(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cost := rapid.SliceOfN(rapid.Int64Range(0, 50), 1, 10).Draw(t, "cost")
		k := rapid.IntRange(1, len(cost)).Draw(t, "k")
		worst := func(p Partition) int64 {
			var most int64
			first := 0
			for _, end := range append(append(Partition{}, p...), len(cost)-1) {
				var c int64
				for i := first; i <= end; i++ {
					c += cost[i]
				}
				if end+1 < len(cost) {
					c += 2 * cost[end+1] // LB and EMA of the next unit
				}
				most = max(most, c)
				first = end + 1
			}
			return most
		}
		best := int64(-1)
		var try func(p Partition, from int)
		try = func(p Partition, from int) {
			if len(p) == k-1 {
				if w := worst(p); best < 0 || w < best {
					best = w
				}
				return
			}
			for c := from; c < len(cost)-1; c++ {
				try(append(p, c), c+1)
			}
		}
		try(nil, 0)
		p, err := Balanced(cost, k)
		if err != nil {
			t.Fatal(err)
		}
		if len(p) != k-1 {
			t.Fatalf("%d cuts for %d blocks", len(p), k)
		}
		for i, c := range p {
			if c < 0 || c >= len(cost)-1 || i > 0 && c <= p[i-1] {
				t.Fatalf("cuts %v of %d units", p, len(cost))
			}
		}
		if w := worst(p); w != best {
			t.Fatalf("%v costs %d, the best partition %d", p, w, best)
		}
	})
}

// TestUnitCosts plans single units without any memory: all cost something, and
// twice the images cost about twice as much.
func TestUnitCosts(t *testing.T) {
	dev := ref.New()
	defer dev.Close()
	b := named(t, "resnet18")
	one, err := UnitCosts(dev, b, 1, 64, 96)
	if err != nil {
		t.Fatal(err)
	}
	two, err := UnitCosts(dev, b, 2, 64, 96)
	if err != nil {
		t.Fatal(err)
	}
	for i := range one {
		if one[i] <= 0 || two[i] <= one[i] {
			t.Errorf("unit %d costs %d bytes, with two images %d", i, one[i], two[i])
		}
	}
	if now, _ := dev.Allocated(); now != 0 {
		t.Errorf("planning allocated %d bytes", now)
	}
}

func TestStrategies(t *testing.T) {
	for _, s := range []Strategy{E2E, MAN, MANPP} {
		if got, err := ParseStrategy(s.Name); err != nil || got != s {
			t.Errorf("%s: %v, %v", s.Name, got, err)
		}
	}
	if _, err := ParseStrategy("dgl2"); err == nil || !strings.Contains(err.Error(), "manpp") {
		t.Errorf("unknown strategy: %v", err)
	}
	b := named(t, "resnet18")
	for name, m := range map[string]*Model{
		"cuts out of range": {Backbone: b, Partition: Partition{8}, Strategy: MANPP},
		"blocks end to end": {Backbone: b, Partition: Partition{2}, Strategy: E2E},
		"momentum above 1":  {Backbone: b, Partition: Partition{2}, Strategy: MANPP, EMAMomentum: 1.5},
		"negative momentum": {Backbone: b, Partition: Partition{2}, Strategy: MANPP, EMAMomentum: -0.1},
	} {
		if err := m.Check(); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
