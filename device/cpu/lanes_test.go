package cpu

import (
	"slices"
	"strings"
	"sync"
	"testing"

	"manvision/device"
)

// TestLanes: jobs of a device with lanes run at once, each with the numbers of a device
// of a lane's threads, in turn with jobs of the device that it was made of.
func TestLanes(t *testing.T) {
	whole, half := newDevice(t, 4), newDevice(t, 2)
	made, err := whole.Lanes(2, 2)
	if err != nil {
		t.Fatal(err)
	}
	lanes := made.(*Device)
	defer lanes.Close()
	if lanes.Threads() != 2 {
		t.Errorf("%d threads, want 2", lanes.Threads())
	}
	c := square(3, 17, 19, 16, 32, 3, 1)
	grad := device.ConvBackwardWeights{Conv: c}
	read := func(d *Device, b bound) []float32 {
		t.Helper()
		out := make([]float32, grad.Outputs()[0].Elems())
		if err := d.Download(out, grad.Outputs()[0], b.out[0].Ptr()); err != nil {
			t.Fatal(err)
		}
		return out
	}
	alone := bind(t, half, grad)
	if err := half.Do(alone.Run); err != nil {
		t.Fatal(err)
	}
	want, before := read(half, alone), bind(t, whole, grad)
	sides := []bound{bind(t, lanes, grad), bind(t, lanes, grad)}
	for range 5 {
		if err := whole.Do(before.Run); err != nil {
			t.Fatal(err)
		}
		var met, jobs sync.WaitGroup
		met.Add(len(sides))
		for _, b := range sides {
			if err := lanes.Zero(b.out[0].Ptr(), b.out[0].Size()); err != nil {
				t.Fatal(err)
			}
			jobs.Go(func() {
				if err := lanes.Do(func() error {
					met.Done()
					met.Wait() // for the other job: both are inside Do
					return b.Run()
				}); err != nil {
					t.Error(err)
				}
			})
		}
		jobs.Wait()
		for i, b := range sides {
			if !slices.Equal(read(lanes, b), want) {
				t.Fatalf("lane %d: not the numbers of a device of 2 threads", i)
			}
		}
	}
}

// TestLanesRefused: impossible lanes, and kernels asked for within a job, are errors.
func TestLanesRefused(t *testing.T) {
	d := newDevice(t, 3)
	for _, c := range [][2]int{{0, 1}, {1, 0}, {2, 2}, {4, 1}} {
		if l, err := d.Lanes(c[0], c[1]); err == nil {
			l.Close()
			t.Errorf("%d lanes of %d threads on 3 threads: accepted", c[0], c[1])
		}
	}
	l, err := d.Lanes(3, 1)
	if err != nil {
		t.Fatal(err)
	}
	err = l.Do(func() error {
		_, err := l.Prepare(square(1, 8, 8, 16, 16, 3, 1))
		return err
	})
	if err == nil || !strings.Contains(err.Error(), "prepare it before") {
		t.Errorf("prepared within a job: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := l.Do(func() error { return nil }); err == nil {
		t.Error("a closed device ran a job")
	}
	if err := d.Do(func() error { return nil }); err != nil {
		t.Errorf("after its lanes are closed: %v", err)
	}
}
