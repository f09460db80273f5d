package exec_test

import (
	"testing"

	"manvision/device"
	"manvision/nn"
)

// A profile counts runs, tells when the last began and how much work a kernel has,
// and is gone when it is switched off.
func TestProfile(t *testing.T) {
	s := newStore(t)
	g := nn.NewGraph(s, nn.Train)
	x, in := g.Input("x", device.Desc{Shape: []int{300}})
	y := g.ReLU(x)
	ok(t, in.Zero())
	p, err := g.Compile("p", nil, y)
	ok(t, err)
	defer p.Close()
	ok(t, p.Run())
	if got := p.Times(); got != nil {
		t.Errorf("measured without being asked: %+v", got)
	}
	p.Profile(true)
	for range 3 {
		ok(t, p.Run())
	}
	got := p.Times()
	if len(got) != 1 {
		t.Fatalf("%d kernels, want 1: %+v", len(got), got)
	}
	k := got[0]
	size, err := s.Device().Size(device.Desc{Shape: []int{300}})
	ok(t, err)
	// Zeros stay zeros: 300 comparisons, one array read and one written.
	if want := (device.Work{FLOPs: 300, Least: 300, Bytes: 2 * float64(size)}); k.Work != want || !k.Counted {
		t.Errorf("work %+v (counted: %v), want %+v", k.Work, k.Counted, want)
	}
	if k.Program != "p" || k.Runs != 3 || k.Device != s.Device() || k.Start.IsZero() || k.Last < 0 || k.Time < 0 || 3*k.Time+3 < k.Last {
		t.Errorf("%+v", k)
	}
	p.Profile(false)
	ok(t, p.Run())
	if got := p.Times(); got != nil {
		t.Errorf("measured after it was switched off: %+v", got)
	}
}
