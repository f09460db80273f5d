package manpp

import (
	"slices"
	"strings"
	"testing"

	"manvision/backbone"
)

// TestDeeperNetworks: a second unit behind the fused one is trained, starts as a copy
// of its own unit and is left out where no unit follows.
func TestDeeperNetworks(t *testing.T) {
	r := newRig(t, settings{layers: []int{1, 2, 1, 1}})
	r.model.Depth = 2
	r.steps(2, 32, 32)
	value := func(name string) []float64 {
		v, ok := r.store.Lookup(name)
		if !ok {
			t.Fatalf("no parameter %s", name)
		}
		x := make([]float64, v.Elems())
		if err := v.Value.Download(x); err != nil {
			t.Fatal(err)
		}
		return x
	}
	// Blocks end with layer1.0, layer2.1, layer3.0; the last has one unit behind it.
	for copied, unit := range map[string]string{"manpp.0.lb1.": "layer2.1.", "manpp.1.lb1.": "layer4.0."} {
		before, same := value(copied+"conv1.weight"), value("body."+unit+"conv1.weight")
		for i, v := range before {
			if v != same[i] {
				t.Fatalf("%s does not start as %s", copied, unit)
			}
		}
	}
	for _, v := range r.store.Vars() {
		if strings.HasPrefix(v.Name, "manpp.2.lb1.") {
			t.Errorf("%s: no unit is left for it", v.Name)
		}
	}
	before := value("manpp.0.lb1.conv1.weight")
	r.train(0, 2, 32, 32)
	moved := false
	for i, v := range value("manpp.0.lb1.conv1.weight") {
		moved = moved || v != before[i]
	}
	if !moved {
		t.Error("the second unit was not trained")
	}
	if got, want := len(r.model.Strategy.Network.clones(r.model, 0)), 3; got != want {
		t.Errorf("block 0 has %d copies of units, want %d", got, want)
	}
}

// TestEMABeforeBackward: the order leaves the first step's losses as they are and
// changes what is learnt, unless the EMA does not move.
func TestEMABeforeBackward(t *testing.T) {
	run := func(before bool, momentum float64) (loss, weight float64) {
		r := newRig(t, settings{})
		r.model.Quirks.EMABeforeBackward, r.model.EMAMomentum = before, momentum
		r.model.Quirks.IndependentClones = true
		loss = r.train(0, 2, 32, 32).Blocks[0].Loss
		x := make([]float64, 4*3*7*7)
		if err := r.store.Get("body.conv1.weight", x); err != nil {
			t.Fatal(err)
		}
		for i, v := range x {
			weight += v * float64(i%7-3)
		}
		return loss, weight
	}
	loss, weight := run(false, 0.9)
	if l, w := run(true, 0.9); l != loss || w == weight {
		t.Errorf("before the backward pass: loss %v, weights %v; after it %v, %v: only the weights may differ", l, w, loss, weight)
	}
	loss, weight = run(false, 1)
	if l, w := run(true, 1); l != loss || w != weight {
		t.Errorf("an EMA that stands still: loss %v, weights %v; after the backward pass %v, %v", l, w, loss, weight)
	}
}

// TestViTStrategies: networks of convolutional units are refused.
func TestViTStrategies(t *testing.T) {
	b, err := backbone.New("vit_ti_16", 12)
	if err != nil {
		t.Fatal(err)
	}
	if p, err := Published(b, "", 4); err != nil || !slices.Equal(p, Partition{3, 6, 9}) {
		t.Errorf("four blocks are cut at %v (%v), want three transformer blocks each", p, err)
	}
	for _, s := range Strategies() {
		m := &Model{Backbone: b, Strategy: s}
		if s.Local {
			m.Partition = Stages(b)
		}
		_, fuses := s.Network.(fusion)
		if err := m.Check(); (err == nil) != (s.Network == nil || fuses) {
			t.Errorf("%s on %s: %v", s.Name, b.Name, err)
		}
	}
}
