package cpu

import (
	"io"
	"runtime/pprof"
	"testing"
	"time"
)

// TestSignals: a profiler's signals, hundreds a second and to whichever thread is
// running, leave the products of a wide dilated convolution (and the heap) alone.
func TestSignals(t *testing.T) {
	d := newDevice(t, 3)
	c := square(1, 32, 32, 512, 128, 3, 1)
	c.DH, c.DW, c.PH, c.PW = 4, 4, 4, 4
	b := bind(t, d, c)
	read := func() []float32 {
		if err := d.Do(b.Run); err != nil {
			t.Fatal(err)
		}
		out := make([]float32, c.Y().Elems())
		if err := d.Download(out, c.Y(), b.out[0].Ptr()); err != nil {
			t.Fatal(err)
		}
		return out
	}
	want := read()
	if err := pprof.StartCPUProfile(io.Discard); err != nil {
		t.Skip("another profile is running: ", err)
	}
	defer pprof.StopCPUProfile()
	for start := time.Now(); time.Since(start) < time.Second; {
		for i, v := range read() {
			if v != want[i] {
				t.Fatalf("value %d is %v under signals, %v without", i, v, want[i])
			}
		}
	}
}
