package cpu

import (
	"testing"

	"manvision/device/devicetest"
)

func newDevice(t testing.TB, threads int) *Device {
	t.Helper()
	d, err := New(Options{Threads: threads})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

func TestConformance(t *testing.T) {
	devicetest.Run(t, newDevice(t, 2), devicetest.Float32())
}

// Convolutions multiply floats, at once or in many parts, and where the CPU can also bf16
// numbers.
func TestConformanceBF16(t *testing.T) {
	for _, c := range []struct {
		name     string
		products bool
		wide     int
	}{{"float32", false, wideBytes}, {"float32 in parts", false, 512}, {"bf16", true, wideBytes}} {
		t.Run(c.name, func(t *testing.T) {
			if c.products && bf16Rate() == 0 {
				t.Skip("this CPU has no products of bf16 numbers")
			}
			d := newDevice(t, 2)
			d.products, d.wide = c.products, c.wide
			devicetest.RunBF16(t, d, devicetest.Float32())
		})
	}
}
