package cpu

import (
	"math/rand"
	"runtime"
	"strings"
	"testing"
	"time"
	"unsafe"

	"manvision/device"
)

// bound is a kernel with memory of its own, filled with random numbers.
type bound struct {
	device.Kernel
	in, out []device.Memory
}

func bind(t testing.TB, d *Device, op device.Op) bound {
	t.Helper()
	k, err := d.Prepare(op)
	if err != nil {
		t.Fatal(err)
	}
	return bindKernel(t, d, op, k)
}

func bindKernel(t testing.TB, d *Device, op device.Op, k device.Kernel) bound {
	t.Helper()
	b := bound{Kernel: k}
	t.Cleanup(k.Close)
	rng := rand.New(rand.NewSource(1))
	var in, out []device.Ptr
	alloc := func(desc device.Desc) device.Memory {
		size, err := d.Size(desc)
		if err != nil {
			t.Fatal(err)
		}
		m, err := d.Alloc(size)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(m.Free)
		if desc.DType == device.Float {
			v := make([]float32, desc.Elems())
			for i := range v {
				v[i] = rng.Float32() - 0.5
			}
			if err := d.Upload(m.Ptr(), desc, v); err != nil {
				t.Fatal(err)
			}
		}
		return m
	}
	for _, desc := range op.Inputs() {
		b.in = append(b.in, alloc(desc))
		in = append(in, b.in[len(b.in)-1].Ptr())
	}
	for _, desc := range op.Outputs() {
		b.out = append(b.out, alloc(desc))
		out = append(out, b.out[len(b.out)-1].Ptr())
	}
	scratch, err := d.Alloc(k.Scratch())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(scratch.Free)
	if err := k.Bind(in, out, scratch.Ptr()); err != nil {
		t.Fatal(err)
	}
	return b
}

func TestRunOutsideDo(t *testing.T) {
	d := newDevice(t, 2)
	b := bind(t, d, device.ReLU{Size: 10})
	if err := b.Run(); err == nil || !strings.Contains(err.Error(), "Device.Do") {
		t.Errorf("Run outside Do: %v", err)
	}
	other := newDevice(t, 2)
	if err := other.Do(b.Run); err == nil {
		t.Error("Run on another device's thread succeeded")
	}
	if err := d.Do(b.Run); err != nil {
		t.Error(err)
	}
}

func TestDoSurvives(t *testing.T) {
	d := newDevice(t, 2)
	func() {
		defer func() {
			if r := recover(); r != "made up" {
				t.Errorf("recovered %v, want the panic of f", r)
			}
		}()
		_ = d.Do(func() error { panic("made up") })
	}()
	left := make(chan struct{})
	go func() {
		defer close(left)
		_ = d.Do(func() error { runtime.Goexit(); return nil })
		t.Error("Do returned although its function left by Goexit")
	}()
	<-left
	b := bind(t, d, device.ReLU{Size: 100000})
	if err := d.Do(b.Run); err != nil {
		t.Errorf("after a Goexit inside Do: %v", err)
	}
	// Prepare and transfers inside Do must not wait for themselves.
	err := d.Do(func() error {
		k, err := d.Prepare(device.ReLU{Size: 4})
		if err != nil {
			return err
		}
		k.Close()
		_, err = d.Size(device.Desc{Layout: device.Filter, Shape: []int{16, 16, 3, 3}})
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestUseAfterClose(t *testing.T) {
	d, err := New(Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := d.Prepare(device.ReLU{Size: 1}); err == nil {
		t.Error("Prepare after Close succeeded")
	}
	if _, err := New(Options{Threads: -1}); err == nil {
		t.Error("a device with -1 threads was made")
	}
}

func TestLargeAllocation(t *testing.T) {
	d := newDevice(t, 1)
	m, err := d.Alloc(5<<20 + 3)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Free()
	if uintptr(m.Ptr())%(2<<20) != 0 {
		t.Errorf("large memory at %p is not aligned to 2 MiB", m.Ptr())
	}
	b := unsafe.Slice((*byte)(m.Ptr()), m.Size())
	for i, v := range b {
		if v != 0 {
			t.Fatalf("byte %d is %d", i, v)
		}
	}
	b[len(b)-1] = 1
}

func abs(x float64) float64 { return max(x, -x) }

// relativeError is the greatest difference as a share of the greatest number wanted; NaN
// where that is 0.
func relativeError(want, got []float32) float64 {
	var worst, most float64
	for i, v := range want {
		worst = max(worst, abs(float64(v)-float64(got[i])))
		most = max(most, abs(float64(v)))
	}
	return worst / most
}

// Preparing all of ResNet-50's training convolutions must stay well within a
// second; equal ones share a primitive.
func TestPrepareTime(t *testing.T) {
	d := newDevice(t, 2)
	start := time.Now()
	n := 0
	for _, c := range resnet50(8, 224, 224) {
		for range c.times {
			for dir := forward; dir <= backwardWeights; dir++ {
				k, err := d.Prepare(operation(c.Conv, dir))
				if err != nil {
					t.Fatal(err)
				}
				k.Close()
				n++
			}
		}
	}
	t.Logf("%d kernels in %v", n, time.Since(start))
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("%d kernels took %v", n, took)
	}
}

func operation(c device.Conv, dir direction) device.Op {
	switch dir {
	case backwardData:
		return device.ConvBackwardData{Conv: c}
	case backwardWeights:
		return device.ConvBackwardWeights{Conv: c}
	}
	return c
}
