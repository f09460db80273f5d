package cpu

import (
	"slices"
	"testing"

	"manvision/device"
)

// In all threads denormal numbers count as zero, as results and as arguments; 2^-126 is the
// least number of full precision.
func TestDenormalsAreZero(t *testing.T) {
	d := newDevice(t, 2)
	const n = 1 << 18 // enough for both threads
	for _, c := range []struct {
		name  string
		s, a  float32
		wants float32
	}{
		{"result", 0x1p-40, 0x1p-100, 0},
		{"argument", 0x1p40, 0x1p-140, 0},
		{"neither", 0x1p-26, 0x1p-100, 0x1p-126},
	} {
		op := device.Fuse{Size: n} // s·a + (2−s)·b
		b := bind(t, d, op)
		for i, v := range [][]float32{{c.s}, slices.Repeat([]float32{c.a}, n), make([]float32, n)} {
			if err := d.Upload(b.in[i].Ptr(), op.Inputs()[i], v); err != nil {
				t.Fatal(err)
			}
		}
		if err := d.Do(b.Run); err != nil {
			t.Fatal(err)
		}
		y := make([]float32, n)
		if err := d.Download(y, op.Outputs()[0], b.out[0].Ptr()); err != nil {
			t.Fatal(err)
		}
		for i, v := range y {
			if v != c.wants {
				t.Fatalf("%s: y[%d] = %g, want %g", c.name, i, v, c.wants)
			}
		}
	}
}
