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

func TestConformanceBF16(t *testing.T) {
	d := newDevice(t, 2)
	if err := d.SupportsBF16(); err != nil {
		t.Skip(err)
	}
	devicetest.RunBF16(t, d, devicetest.Float32())
}
