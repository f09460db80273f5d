package manpp

import (
	"errors"
	"fmt"
	"math"
	"testing"

	"manvision/device"
	"manvision/device/cpu"
	"manvision/optim"
)

// newDevice opens a device with so many threads for the test.
func newDevice(t *testing.T, threads int) device.Device {
	t.Helper()
	dev, err := cpu.New(cpu.Options{Threads: threads})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dev.Close() })
	return dev
}

// newSideRig is a rig whose blocks run in so many lanes.
func newSideRig(t *testing.T, s settings, lanes int) *rig {
	t.Helper()
	r := newRig(t, s)
	if err := r.tr.SideBySide(lanes); err != nil {
		t.Fatal(err)
	}
	return r
}

// sameReports compares all but times.
func sameReports(t *testing.T, step int64, a, b *StepReport) {
	t.Helper()
	for j := range b.Blocks {
		a.Blocks[j].Time, b.Blocks[j].Time = 0, 0
	}
	if x, y := fmt.Sprintf("%+v", *a), fmt.Sprintf("%+v", *b); x != y {
		t.Fatalf("step %d: side by side\n%s\none by one\n%s", step, x, y)
	}
}

// TestSideBySide: blocks that run side by side leave the bits of blocks that run one by
// one on a device with a lane's threads, in all variables, states and reports: with
// every form of auxiliary network and of windows, every order of the EMA, with and
// without clipping, in several parts and sizes.
func TestSideBySide(t *testing.T) {
	sgd := optim.Hyper{Rule: optim.SGD, Momentum: 0.9}
	clip, parts := sgd, sgd
	clip.ClipNorm, parts.Accumulate = 0.5, 2
	adamw := optim.Hyper{Rule: optim.AdamW, Beta1: 0.9, Beta2: 0.99, Eps: 1e-3}
	one, two := newDevice(t, 1), newDevice(t, 2)
	for _, c := range []struct {
		name           string
		strategy       Strategy
		hyper          optim.Hyper
		quirks         Quirks
		lanes, threads int
	}{
		{"two lanes", MANPP, sgd, Fixed, 2, 1},
		{"three lanes", MANPP, sgd, Released, 3, 1},
		{"two lanes of two", MANPP, sgd, ReleasedImageNet, 2, 2},
		{"clipped", MAN, clip, Fixed, 3, 1},
		{"parts", MANPP, parts, Fixed, 3, 1},
		{"adamw", DGL, adamw, Fixed, 5, 1},
		{"windows", MLAAN, sgd, Fixed, 3, 1},
		{"augmented", AugLocal, clip, Fixed, 2, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := settings{dev: one, strategy: c.strategy, hyper: c.hyper, quirks: c.quirks, partition: EveryUnit, layers: []int{2, 2, 1, 1}}
			if c.threads == 2 {
				s.dev = two
			}
			plain := newRig(t, s)
			s.dev = newDevice(t, c.lanes*c.threads)
			side := newSideRig(t, s, c.lanes)
			for step := range int64(6) {
				size := 32 + 32*int(step/2%2)
				for part := range c.hyper.Parts() {
					x := images(step*2+int64(part), 3, size, size)
					for _, r := range []*rig{plain, side} {
						st := r.steps(3, size, size)
						if err := st.Input.Upload(x); err != nil {
							t.Fatal(err)
						}
						if err := r.tr.RunPart(st, step, part, nil, step%2 == 0, &r.rep); err != nil {
							t.Fatal(err)
						}
					}
				}
				sameReports(t, step, &side.rep, &plain.rep)
				if d := differing(side.all(), plain.all()); len(d) > 0 {
					t.Fatalf("step %d: differ: %v", step, d)
				}
			}
			m := side.tr.Memory(side.steps(3, 64, 64))
			most := int64(0)
			for _, b := range m.Blocks {
				most = max(most, b)
			}
			if m.Lanes != c.lanes || m.Arena != int64(c.lanes)*most {
				t.Errorf("%d lanes and %d bytes planned, want %d lanes of %d bytes", m.Lanes, m.Arena, c.lanes, most)
			}
			if now, _ := s.dev.Allocated(); now > m.Total()+1<<16 {
				t.Errorf("%d bytes allocated, %d planned", now, m.Total())
			}
		})
	}
}

// TestSideBySideNotFinite: a loss that is not finite ends the step with the same error
// and leaves the same bits side by side as one by one; the next step goes on from there.
func TestSideBySideNotFinite(t *testing.T) {
	s := settings{dev: newDevice(t, 1), partition: EveryUnit, layers: []int{2, 2, 1, 1}}
	plain := newRig(t, s)
	s.dev = newDevice(t, 4)
	side := newSideRig(t, s, 4)
	for step := range int64(12) {
		j := int(step) % 4
		name := auxName(j) + "head.fc.bias"
		var said [2]string
		for i, r := range []*rig{plain, side} {
			st := r.steps(3, 32, 32)
			if err := st.Input.Upload(images(step, 3, 32, 32)); err != nil {
				t.Fatal(err)
			}
			sound := r.value(name)
			if step%3 == 1 {
				if err := r.store.Set(name, []float64{math.NaN(), 0, 0}); err != nil {
					t.Fatal(err)
				}
			}
			err := r.tr.Run(st, step, nil, false, &r.rep)
			var bad *NotFinite
			if errors.As(err, &bad) != (step%3 == 1) || err != nil && bad.Block != j {
				t.Fatalf("step %d, block %d: %v", step, j, err)
			}
			if err != nil {
				f, err := r.tr.Locate(st, bad)
				if err != nil || f.Block != j {
					t.Fatalf("step %d: found %+v, %v", step, f, err)
				}
				said[i] = bad.Error() + f.Op
				if err := r.store.Set(name, sound); err != nil {
					t.Fatal(err)
				}
			}
		}
		if said[0] != said[1] {
			t.Errorf("step %d: %q, one by one %q", step, said[1], said[0])
		}
		if d := differing(side.all(), plain.all()); len(d) > 0 {
			t.Fatalf("step %d: differ: %v", step, d)
		}
	}
}

// TestSideBySideRefused: what cannot run side by side is an error.
func TestSideBySideRefused(t *testing.T) {
	dev := newDevice(t, 2)
	blocks := settings{dev: dev, hyper: optim.Hyper{Rule: optim.SGD, ClipNorm: 1, ClipBlocks: true}}
	for name, c := range map[string]struct {
		r     *rig
		lanes int
	}{
		"reference device":  {newRig(t, settings{}), 2},
		"one lane":          {newRig(t, settings{dev: dev}), 1},
		"more than blocks":  {newRig(t, settings{dev: dev}), 5},
		"more than threads": {newRig(t, settings{dev: dev}), 3},
		"clipped blocks":    {newRig(t, blocks), 2},
		"end to end":        {newRig(t, settings{dev: dev, strategy: E2E}), 2},
	} {
		if err := c.r.tr.SideBySide(c.lanes); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	r := newRig(t, settings{dev: dev})
	r.steps(3, 32, 32)
	if err := r.tr.SideBySide(2); err == nil {
		t.Error("after the first plan: accepted")
	}
}
