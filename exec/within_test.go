package exec_test

import (
	"strings"
	"testing"

	"manvision/device"
	"manvision/exec"
	"manvision/nn"
)

// Two programs, for inputs of two sizes, have their results in one tensor within the arena
// that they share, at places of their own; a third reads it after each.
func TestTensorWithin(t *testing.T) {
	s := newStore(t)
	arena := exec.NewArena(s.Device())
	sum, err := exec.NewTensorWithin(arena, device.Desc{Shape: []int{1}})
	ok(t, err)
	compute := func(n int, arena *exec.Arena) (*exec.Program, error) {
		g := nn.NewGraph(s, nn.Train)
		x := make([]float64, n)
		for i := range x {
			x[i] = float64(i) / float64(n)
		}
		y := g.ReLU(g.Leaf("x", newTensor(t, s, []int{1, n}, x...)))
		// The result comes late, behind buffers as large as the input.
		total := project(t, g, "y", g.ReLU(g.Add(y, g.ReLU(y))))
		g.Write(total, sum)
		p, err := g.Compile("sum", arena, total)
		if err == nil {
			t.Cleanup(func() { p.Close() })
		}
		return p, err
	}
	if err := sum.Realize(); err == nil || !strings.Contains(err.Error(), "before the program") {
		t.Errorf("memory before there is a program: %v", err)
	}
	read := newTensor(t, s, []int{1}, 0)
	after, err := exec.Compile(s.Device(), exec.Spec{Name: "read", Posts: []exec.Post{{
		Op: device.SquaredNorm{Of: sum.Desc}, In: []exec.Source{{Tensor: sum}}, Out: []*exec.Tensor{read}}}})
	ok(t, err)
	defer after.Close()
	if err := after.Run(); err == nil {
		t.Error("it was read before a program computed it")
	}
	small, err := compute(3, arena)
	ok(t, err)
	large, err := compute(1000, arena)
	ok(t, err)
	ok(t, s.Realize())
	places := map[device.Ptr]bool{}
	for range 2 {
		for _, p := range []*exec.Program{small, large} {
			ok(t, p.Run())
			want := values(t, sum)[0]
			places[sum.Ptr()] = true
			ok(t, read.Zero())
			ok(t, after.Run())
			if got := values(t, read)[0]; want == 0 || got != want*want {
				t.Errorf("%v was read, want %v", got, want*want)
			}
		}
	}
	if len(places) != 2 {
		t.Errorf("the results lay at %d places", len(places))
	}
	if _, err := compute(3, exec.NewArena(s.Device())); err == nil || !strings.Contains(err.Error(), "another arena") {
		t.Errorf("in another arena: %v", err)
	}
}
