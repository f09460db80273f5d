package cpu

/*
#include "engine.h"
#include <string.h>
*/
import "C"

import (
	"fmt"
	"sync"
	"unsafe"

	"manvision/device"
)

type memory struct {
	d    *Device
	mu   sync.Mutex
	p    unsafe.Pointer
	size int64
}

// Ptr implements device.Memory; nil after Free.
func (m *memory) Ptr() device.Ptr { return m.p }

// Size implements device.Memory.
func (m *memory) Size() int64 { return m.size }

// Free implements device.Memory.
func (m *memory) Free() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.p == nil {
		return
	}
	C.mv_free(m.p, C.int64_t(m.size))
	m.p = nil
	m.d.now.Add(-m.size)
}

// Alloc implements device.Device: 64-byte aligned, from 2 MiB on aligned to and
// backed by huge pages where the system has them.
func (d *Device) Alloc(bytes int64) (device.Memory, error) {
	if bytes < 0 {
		return nil, fmt.Errorf("cpu device: allocation of %d bytes", bytes)
	}
	p := C.mv_alloc(C.int64_t(bytes))
	if p == nil {
		return nil, fmt.Errorf("cpu device: out of memory: %d bytes wanted, %d in use", bytes, d.now.Load())
	}
	now := d.now.Add(bytes)
	for {
		peak := d.peak.Load()
		if now <= peak || d.peak.CompareAndSwap(peak, now) {
			break
		}
	}
	return &memory{d: d, p: p, size: bytes}, nil
}

// Allocated implements device.Device.
func (d *Device) Allocated() (now, peak int64) { return d.now.Load(), d.peak.Load() }

// Copy implements device.Device. The regions may overlap.
func (d *Device) Copy(dst, src device.Ptr, bytes int64) error {
	if bytes < 0 || bytes > 0 && (dst == nil || src == nil) {
		return fmt.Errorf("cpu device: copy of %d bytes from %p to %p", bytes, src, dst)
	}
	if bytes == 0 {
		return nil
	}
	return d.here(func() error {
		C.memmove(dst, src, C.size_t(bytes))
		return nil
	})
}

// Zero implements device.Device.
func (d *Device) Zero(dst device.Ptr, bytes int64) error {
	if bytes < 0 || bytes > 0 && dst == nil {
		return fmt.Errorf("cpu device: zeroing %d bytes at %p", bytes, dst)
	}
	if bytes == 0 {
		return nil
	}
	return d.here(func() error {
		C.memset(dst, 0, C.size_t(bytes))
		return nil
	})
}

// Upload implements device.Device.
func (d *Device) Upload(dst device.Ptr, desc device.Desc, src any) error {
	return d.transfer(dst, desc, src, true)
}

// Download implements device.Device.
func (d *Device) Download(dst any, desc device.Desc, src device.Ptr) error {
	return d.transfer(src, desc, dst, false)
}

func (d *Device) transfer(p device.Ptr, desc device.Desc, host any, up bool) error {
	verb := "download"
	if up {
		verb = "upload"
	}
	n := desc.Elems()
	fits := func(have int) error {
		if have != n {
			return fmt.Errorf("cpu device: %s of %v: the slice has %d elements, want %d", verb, desc, have, n)
		}
		if n > 0 && p == nil {
			return fmt.Errorf("cpu device: %s of %v: nil address", verb, desc)
		}
		return nil
	}
	switch h := host.(type) {
	case []int32:
		if desc.DType != device.Int32 {
			break
		}
		if err := fits(len(h)); err != nil || n == 0 {
			return err
		}
		return d.here(func() error {
			if mem := unsafe.Slice((*int32)(p), n); up {
				copy(mem, h)
			} else {
				copy(h, mem)
			}
			return nil
		})
	case []float32:
		if desc.DType != device.Float && desc.DType != device.BF16 {
			break
		}
		if err := fits(len(h)); err != nil || n == 0 {
			return err
		}
		return d.here(func() error { return d.floats(p, desc, h, up) })
	case []float64:
		if desc.DType != device.Float && desc.DType != device.BF16 {
			break
		}
		if err := fits(len(h)); err != nil || n == 0 {
			return err
		}
		narrow := make([]float32, n)
		if up {
			for i, v := range h {
				narrow[i] = float32(v)
			}
		}
		err := d.here(func() error { return d.floats(p, desc, narrow, up) })
		if err == nil && !up {
			for i, v := range narrow {
				h[i] = float64(v)
			}
		}
		return err
	}
	return fmt.Errorf("cpu device: %s of %v: a %T does not fit", verb, desc, host)
}

// floats moves a float tensor, on the device's thread.
func (d *Device) floats(p device.Ptr, desc device.Desc, h []float32, up bool) error {
	if desc.Layout == device.Filter {
		return d.moveFilter(p, desc, h, up)
	}
	if desc.DType == device.BF16 {
		moveBF16(unsafe.Slice((*uint16)(p), len(h)), h, up)
		return nil
	}
	if mem := unsafe.Slice((*float32)(p), len(h)); up {
		copy(mem, h)
	} else {
		copy(h, mem)
	}
	return nil
}
