package ref

import (
	"fmt"
	"sync/atomic"
	"unsafe"

	"manvision/device"
)

// alignment of allocations, in bytes.
const alignment = 64

// memory keeps a Go slice alive; Go's collector does not move it.
type memory struct {
	dev   *Device
	data  []float64
	ptr   device.Ptr
	size  int64
	freed atomic.Bool
}

// Alloc implements device.Device.
func (d *Device) Alloc(bytes int64) (device.Memory, error) {
	if bytes < 0 {
		return nil, fmt.Errorf("ref: allocation of %d bytes", bytes)
	}
	data := make([]float64, (bytes+7)/8+alignment/8)
	skip := 0
	for uintptr(unsafe.Pointer(&data[skip]))%alignment != 0 {
		skip++
	}
	m := &memory{dev: d, data: data, ptr: unsafe.Pointer(&data[skip]), size: bytes}
	now := d.now.Add(bytes)
	for {
		peak := d.peak.Load()
		if now <= peak || d.peak.CompareAndSwap(peak, now) {
			return m, nil
		}
	}
}

// Allocated implements device.Device.
func (d *Device) Allocated() (now, peak int64) { return d.now.Load(), d.peak.Load() }

func (m *memory) Ptr() device.Ptr { return m.ptr }
func (m *memory) Size() int64     { return m.size }

func (m *memory) Free() {
	if m.freed.CompareAndSwap(false, true) {
		m.dev.now.Add(-m.size)
		m.data, m.ptr = nil, nil
	}
}

// view is one tensor argument as a Go slice: f, i or b by its element type.
type view struct {
	f []float64
	i []int32
	b []byte
}

func viewOf(p device.Ptr, d device.Desc) view {
	n := d.Elems()
	switch d.DType {
	case device.Float, device.BF16:
		return view{f: unsafe.Slice((*float64)(p), n)}
	case device.Int32:
		return view{i: unsafe.Slice((*int32)(p), n)}
	}
	return view{b: unsafe.Slice((*byte)(p), n)}
}
