package golden

import (
	"fmt"
	"strings"
	"testing"
)

// Deviations collects how far a run is off in everything that was looked at.
type Deviations struct {
	lines  []string
	beyond int // how many are beyond their tolerance
}

// Check notes that what is off by got, where tol is allowed. NaN is beyond.
func (d *Deviations) Check(what string, got, tol float64) {
	line := fmt.Sprintf("%s: %.2g (within %.2g)", what, got, tol)
	if !(got <= tol) {
		line += " BEYOND"
		d.beyond++
	}
	d.lines = append(d.lines, line)
}

// Report logs what is within its tolerance and fails the test where something is not.
func (d *Deviations) Report(t testing.TB) {
	t.Helper()
	for _, line := range d.lines {
		if strings.HasSuffix(line, "BEYOND") {
			t.Error(line)
		} else {
			t.Log(line)
		}
	}
}

// Within is the tolerance x for everything.
func Within(x float64) Deviation {
	return Deviation{Losses: []float64{x}, Grads: x, ParamsAfter: x, BuffersAfter: x, Eval: x}
}

// Times is a multiple of r.
func (r Deviation) Times(x float64) Deviation {
	out := Deviation{Grads: x * r.Grads, ParamsAfter: x * r.ParamsAfter, BuffersAfter: x * r.BuffersAfter, Eval: x * r.Eval}
	for _, l := range r.Losses {
		out.Losses = append(out.Losses, x*l)
	}
	return out
}

// OnThreads fails unless a run in float32 is within its tolerances in everything with
// 1, 2, 3 or 4 threads.
//
// In float32 a value within rounding of zero may fall on either side of a ReLU, and one
// such flip moves a gradient by more than ten times a deviation measured without any.
// Which values flip depends on the order of sums, that is on the number of threads. A
// fault of the port shows in every order.
func OnThreads(t testing.TB, run func(threads int, d *Deviations)) {
	t.Helper()
	var d *Deviations
	for threads := 1; threads <= 4 && (d == nil || d.beyond > 0); threads++ {
		d = &Deviations{}
		run(threads, d)
		t.Logf("%d threads, %d beyond their tolerance:\n%s", threads, d.beyond, strings.Join(d.lines, "\n"))
	}
	d.Report(t)
}
