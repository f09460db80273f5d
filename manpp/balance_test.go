package manpp

import (
	"slices"
	"testing"

	"manvision/backbone"
	"manvision/device/ref"
	"manvision/nn"
	"manvision/optim"
)

// TestBalance: the partition found plans no more than the stages, than what units
// alone suggest or than any neighbour, plans it as the trainer does, and the search
// leaves the model and the device alone.
func TestBalance(t *testing.T) {
	dev := ref.New()
	defer dev.Close()
	b := backbone.ResNet(false, []int{2, 2, 3, 2}, 8)
	m := &Model{Store: nn.NewStore(dev, 1), Backbone: b, Strategy: MANPP, EMAMomentum: 0.995, Prefix: "body."}
	heads := func(m *Model, n, h, w int) (Heads, error) { return newToy(dev, n) }
	hyper := optim.Hyper{Rule: optim.SGD, Momentum: 0.9}
	before, _ := dev.Allocated()
	for k := 1; k <= 5; k++ {
		p, err := Balance(m, hyper, heads, 2, 64, 96, k)
		if err != nil {
			t.Fatal(err)
		}
		if len(p) != k-1 || p.Check(b) != nil {
			t.Fatalf("%d blocks: %v", k, p)
		}
		total := func(p Partition) int64 {
			c, err := m.plan(p, hyper, heads, 2, 64, 96)
			if err != nil {
				t.Fatal(err)
			}
			return c.total
		}
		got := total(p)
		units, err := UnitCosts(dev, b, 2, 64, 96)
		if err != nil {
			t.Fatal(err)
		}
		plain, err := Balanced(units, k)
		if err != nil {
			t.Fatal(err)
		}
		others := append(neighbours(p), plain)
		if k == 4 {
			others = append(others, Stages(b))
		}
		for _, q := range others {
			if q.Check(b) == nil && total(q) < got {
				t.Errorf("%d blocks: %v plans %d bytes, %v only %d", k, p, got, q, total(q))
			}
		}
	}
	if len(m.Partition) != 0 || len(m.Store.Vars()) != 0 {
		t.Errorf("the search changed the model: cuts %v, %d variables", m.Partition, len(m.Store.Vars()))
	}
	// The toy's labels are the only storage, freed with their programs.
	if after, _ := dev.Allocated(); after != before {
		t.Errorf("the search left %d bytes allocated", after-before)
	}
	if _, err := Balance(m, hyper, heads, 2, 64, 96, 11); err == nil {
		t.Error("11 blocks of 10 units: no error")
	}
}

func TestNeighbours(t *testing.T) {
	got := neighbours(Partition{2, 5})
	want := []Partition{{1, 5}, {1, 4}, {3, 5}, {3, 6}, {2, 4}, {2, 6}}
	if !slices.EqualFunc(got, want, func(a, b Partition) bool { return slices.Equal(a, b) }) {
		t.Errorf("%v, want %v", got, want)
	}
}
