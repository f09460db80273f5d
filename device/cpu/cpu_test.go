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

// Convolutions multiply floats, and where the CPU can also bf16 numbers.
func TestConformanceBF16(t *testing.T) {
	for _, products := range []bool{false, true} {
		name := "float32"
		if products {
			name = "bf16"
		}
		t.Run(name, func(t *testing.T) {
			if products && bf16Rate() == 0 {
				t.Skip("this CPU has no products of bf16 numbers")
			}
			d := newDevice(t, 2)
			d.products = products
			devicetest.RunBF16(t, d, devicetest.Float32())
		})
	}
}
