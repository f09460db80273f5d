// Package devicetest is the conformance suite of devices: Run puts every
// descriptor of package device, over many shapes, through a device and through
// the reference device (device/ref) and compares the two within stated
// tolerances. The reference itself is proven by this package's own tests, against
// PyTorch's numbers and against finite differences.
//
// Besides values the suite checks that a kernel
//   - gives the same bits in every run, whatever lay in its outputs and scratch
//     (they are filled with NaN first) and wherever it is bound;
//   - writes neither beyond its outputs and scratch nor into its inputs;
//   - keeps the padding of filter storage zero;
//   - gives the same values for each in-place pair that its descriptor allows.
//
// It assumes that an Int32 element takes 4 bytes on every device, through which
// it reads and writes raw memory.
package devicetest

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"manvision/device"
	"manvision/device/ref"
)

// Run runs the whole suite on dev. Subtests are named after the operation's kind
// and then its shape. A table of the largest error of each kind is logged at the
// end (visible with -v).
func Run(t *testing.T, dev device.Device, tol Tolerances) {
	t.Run("memory", func(t *testing.T) { testMemory(t, dev) })
	t.Run("transfer", func(t *testing.T) { testTransfer(t, dev) })
	t.Run("misuse", func(t *testing.T) { testMisuse(t, dev) })

	before, _ := dev.Allocated()
	slow := ref.New()
	worst := map[string]extreme{}
	cases := Cases()
	for len(cases) > 0 {
		kind := cases[0].Op.Kind()
		n := slices.IndexFunc(cases, func(c Case) bool { return c.Op.Kind() != kind })
		if n < 0 {
			n = len(cases)
		}
		t.Run(kind, func(t *testing.T) {
			for _, c := range cases[:n] {
				t.Run(c.Name, func(t *testing.T) { conform(t, dev, slow, c, tol, worst) })
			}
		})
		cases = cases[n:]
	}
	t.Run("prepared", func(t *testing.T) { testPrepared(t, dev, slow, tol, worst) })
	if now, _ := dev.Allocated(); now != before {
		t.Errorf("the device counts %d bytes allocated after all was freed, %d before", now, before)
	}
	logWorst(t, worst)
}

// RunKinds runs the cases of some kinds on several devices: on one that computes them in
// several ways, made to take each.
func RunKinds(t *testing.T, devs map[string]device.Device, tol Tolerances, kinds ...string) {
	slow := ref.New()
	worst := map[string]extreme{}
	for _, c := range Cases() {
		if !slices.Contains(kinds, c.Op.Kind()) {
			continue
		}
		want := compute(t, slow, c, nil, 1)
		for name, dev := range devs {
			t.Run(c.Op.Kind()+"/"+c.Name+"/"+name, func(t *testing.T) { compare(t, c, compute(t, dev, c, nil, 1), want, tol, worst) })
		}
	}
	logWorst(t, worst)
}

// extreme is the largest error of a kind as a share of its tolerance.
type extreme struct {
	share, err float64
	name       string
}

func logWorst(t *testing.T, worst map[string]extreme) {
	kinds := make([]string, 0, len(worst))
	for k := range worst {
		kinds = append(kinds, k)
	}
	slices.Sort(kinds)
	var b strings.Builder
	fmt.Fprintf(&b, "largest error of each kind, relative to the output's largest magnitude:\n")
	for _, k := range kinds {
		w := worst[k]
		fmt.Fprintf(&b, "%-24s %9.2e  %3.0f%% of tolerance  %s\n", k, w.err, 100*w.share, w.name)
	}
	t.Log(b.String())
}

// conform runs one case on dev, plainly and for each in-place pair, and compares
// it with the reference.
func conform(t *testing.T, dev, slow device.Device, c Case, tol Tolerances, worst map[string]extreme) {
	if tol.MayRefuse != nil && tol.MayRefuse(c.Op) {
		k, err := dev.Prepare(c.Op)
		if err != nil {
			t.Skipf("the device refuses it, as it may: %v", err)
		}
		k.Close()
	}
	want := compute(t, slow, c, nil, 1)
	compare(t, c, compute(t, dev, c, nil, 3), want, tol, worst)
	for _, pair := range c.Op.InPlace() {
		t.Run(fmt.Sprintf("output %d on input %d", pair[0], pair[1]), func(t *testing.T) {
			compare(t, c, compute(t, dev, c, &pair, 2), want, tol, worst)
		})
	}
}

// compare checks every output that has values (not Bits and Window).
func compare(t testing.TB, c Case, got, want [][]float64, tol Tolerances, worst map[string]extreme) {
	t.Helper()
	kind := c.Op.Kind()
	limit := tol.limit(c)
	for i := range want {
		scale := c.Floor[i]
		for _, v := range want[i] {
			scale = math.Max(scale, math.Abs(v))
		}
		at, largest := -1, 0.0
		for j, v := range want[i] {
			d := math.Abs(got[i][j] - v)
			if at < 0 || d > largest || math.IsNaN(d) {
				at, largest = j, d
			}
			if math.IsNaN(d) {
				break
			}
		}
		if at < 0 {
			continue
		}
		if !(largest <= limit*scale) {
			t.Errorf("output %d, element %d: %v, want %v: off by %.3g, allowed %.3g (%.2g of the largest magnitude %.3g)",
				i, at, got[i][at], want[i][at], largest, limit*scale, limit, scale)
		}
		if scale == 0 {
			continue
		}
		e := extreme{err: largest / scale, name: c.Name}
		if limit > 0 {
			e.share = e.err / limit
		}
		if old, seen := worst[kind]; !seen || e.share > old.share {
			worst[kind] = e
		}
	}
}
