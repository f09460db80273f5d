// Package ref is the reference device: every descriptor of package device in
// plain Go, computed in float64 whatever the graph says. It is slow and easy to
// read; the fast devices are tested against it, and it reproduces trajectories
// recorded in float64.
//
// Float and BF16 elements take 8 bytes (nothing is rounded to bf16), Int32 elements
// 4, Bits and Window elements 1. A filter lies in plain OIHW order. Kernels use several goroutines, but no sum is
// ever split between them: results do not depend on their number.
package ref

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"unsafe"

	"manvision/device"
)

// Device is the reference device. Its memory is ordinary Go memory.
type Device struct {
	threads   int
	mu        sync.Mutex // held by Do
	busy      atomic.Bool
	now, peak atomic.Int64
}

var _ device.Device = (*Device)(nil)

// New returns a device whose kernels use as many goroutines as Go has processors
// (GOMAXPROCS) at the time of the call.
func New() *Device { return NewThreads(runtime.GOMAXPROCS(0)) }

// NewThreads returns a device whose kernels use at most n goroutines; below 1 it
// means 1.
func NewThreads(n int) *Device { return &Device{threads: max(n, 1)} }

// Name implements device.Device.
func (d *Device) Name() string { return "ref" }

// Threads implements device.Device.
func (d *Device) Threads() int { return d.threads }

// Size implements device.Device.
func (d *Device) Size(desc device.Desc) (int64, error) {
	if err := checkDesc(desc); err != nil {
		return 0, err
	}
	return int64(desc.Elems()) * elemSize(desc.DType), nil
}

// Prepare implements device.Device.
func (d *Device) Prepare(op device.Op) (device.Kernel, error) {
	if op == nil {
		return nil, fmt.Errorf("ref: nil operation")
	}
	if err := op.Check(); err != nil {
		return nil, fmt.Errorf("ref: %w", err)
	}
	for _, desc := range append(op.Inputs(), op.Outputs()...) {
		if err := checkDesc(desc); err != nil {
			return nil, fmt.Errorf("%s: %w", op.Kind(), err)
		}
	}
	p, err := d.program(op)
	if err != nil {
		return nil, err
	}
	return &kernel{dev: d, op: op, program: p}, nil
}

// Upload implements device.Device.
func (d *Device) Upload(dst device.Ptr, desc device.Desc, src any) error {
	return transfer("upload", dst, desc, src)
}

// Download implements device.Device.
func (d *Device) Download(dst any, desc device.Desc, src device.Ptr) error {
	return transfer("download", src, desc, dst)
}

// transfer moves data between a tensor at p and a host slice.
func transfer(verb string, p device.Ptr, desc device.Desc, host any) error {
	if p == nil {
		return fmt.Errorf("ref: %s of %v at a nil address", verb, desc)
	}
	if err := checkDesc(desc); err != nil {
		return err
	}
	v := viewOf(p, desc)
	up := verb == "upload"
	n, ok := 0, false
	switch h := host.(type) {
	case []float32:
		n, ok = len(h), desc.DType == device.Float || desc.DType == device.BF16
	case []float64:
		n, ok = len(h), desc.DType == device.Float || desc.DType == device.BF16
	case []int32:
		n, ok = len(h), desc.DType == device.Int32
	}
	if !ok {
		return fmt.Errorf("ref: cannot %s %v with a %T", verb, desc, host)
	}
	if n != desc.Elems() {
		return fmt.Errorf("ref: %s of %v with a slice of %d elements, want %d", verb, desc, n, desc.Elems())
	}
	switch h := host.(type) {
	case []float32:
		for i := range h {
			if up {
				v.f[i] = float64(h[i])
			} else {
				h[i] = float32(v.f[i])
			}
		}
	case []float64:
		if up {
			copy(v.f, h)
		} else {
			copy(h, v.f)
		}
	case []int32:
		if up {
			copy(v.i, h)
		} else {
			copy(h, v.i)
		}
	}
	return nil
}

// Copy implements device.Device. The regions may overlap.
func (d *Device) Copy(dst, src device.Ptr, bytes int64) error {
	if bytes < 0 || bytes > 0 && (dst == nil || src == nil) {
		return fmt.Errorf("ref: copy of %d bytes from %p to %p", bytes, src, dst)
	}
	if bytes > 0 {
		copy(unsafe.Slice((*byte)(dst), bytes), unsafe.Slice((*byte)(src), bytes))
	}
	return nil
}

// Zero implements device.Device.
func (d *Device) Zero(dst device.Ptr, bytes int64) error {
	if bytes < 0 || bytes > 0 && dst == nil {
		return fmt.Errorf("ref: zero %d bytes at %p", bytes, dst)
	}
	if bytes > 0 {
		clear(unsafe.Slice((*byte)(dst), bytes))
	}
	return nil
}

// Do implements device.Device: f runs on the caller's goroutine, one f at a time.
func (d *Device) Do(f func() error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.busy.Store(true)
	defer d.busy.Store(false)
	return f()
}

// Close implements device.Device. There is nothing to give back.
func (d *Device) Close() error { return nil }

func elemSize(t device.DType) int64 {
	switch t {
	case device.Float, device.BF16:
		return 8
	case device.Int32:
		return 4
	}
	return 1
}

func checkDesc(d device.Desc) error {
	if d.DType > device.BF16 {
		return fmt.Errorf("ref: unknown element type %d", d.DType)
	}
	for _, s := range d.Shape {
		if s < 1 {
			return fmt.Errorf("ref: tensor with a size below 1: %v", d)
		}
	}
	if (d.Layout == device.Filter || d.Layout == device.Prepared) && (d.DType != device.Float || len(d.Shape) != 4 || d.Shape[0]%max(d.Groups, 1) != 0) {
		return fmt.Errorf("ref: a filter is a float tensor [O, I/groups, H, W] with O divisible by the groups, not %v", d)
	}
	return nil
}
