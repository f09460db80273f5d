package cpu

/*
#include "engine.h"
*/
import "C"

import (
	"fmt"
	"unsafe"

	"manvision/device"
)

// filter is the storage of one kind of convolution weight.
type filter struct {
	md, plain C.dnnl_memory_desc_t
	size      int64
}

// filterOf returns the storage of a filter: what oneDNN's direct convolution
// (blocks of 16 input and output channels with AVX-512) wants for NHWC activations
// of a typical size, or plain OIHW where it has no opinion. It depends on the
// filter's shape and groups only. The brgemm family's own layouts differ from
// stride to stride and some reorders between them run at 0.3 GB/s, so they are
// avoided.
func (d *Device) filterOf(desc device.Desc) (*filter, error) {
	if len(desc.Shape) != 4 || desc.DType != device.Float {
		return nil, fmt.Errorf("cpu device: %v: a filter is a float tensor [O,I/groups,H,W]", desc)
	}
	o, i, h, w, g := desc.Shape[0], desc.Shape[1], desc.Shape[2], desc.Shape[3], max(desc.Groups, 1)
	if o < 1 || i < 1 || h < 1 || w < 1 || o%g != 0 {
		return nil, fmt.Errorf("cpu device: %v: impossible filter", desc)
	}
	key := desc.String()
	if f := d.filters[key]; f != nil {
		return f, nil
	}
	f := new(filter)
	C.mv_filter_md(&f.plain, C.int64_t(o), C.int64_t(i), C.int64_t(h), C.int64_t(w), C.int64_t(g))
	f.md = f.plain
	// Stride 1, no padding, 28x28 outputs.
	c := C.mv_conv{
		n: 1, ic: C.int64_t(i * g), oc: C.int64_t(o), h: C.int64_t(h + 27), w: C.int64_t(w + 27), oh: 28, ow: 28,
		kh: C.int64_t(h), kw: C.int64_t(w), sh: 1, sw: 1, dh: 1, dw: 1, g: C.int64_t(g),
	}
	var pd C.dnnl_primitive_desc_t
	var impl [64]C.char
	if C.mv_conv_pd(d.engine, &c, C.MV_FORWARD, C.MV_JIT, C.MV_NHWC, nil, &pd, &impl[0]) == 0 {
		C.mv_query_md(pd, C.dnnl_query_weights_md, 0, &f.md)
		C.dnnl_primitive_desc_destroy(pd)
	}
	f.size = int64(C.dnnl_memory_desc_get_size(&f.md))
	d.filters[key] = f
	return f, nil
}

// Size implements device.Device. Filters may be padded; a Bits tensor takes one
// bit an element, each row of the last axis rounded up to two bytes.
func (d *Device) Size(desc device.Desc) (int64, error) {
	for _, s := range desc.Shape {
		if s < 0 {
			return 0, fmt.Errorf("cpu device: %v: negative size", desc)
		}
	}
	n := int64(desc.Elems())
	switch {
	case desc.DType == device.Float && desc.Layout == device.Filter:
		var size int64
		err := d.here(func() error {
			f, err := d.filterOf(desc)
			if err == nil {
				size = f.size
			}
			return err
		})
		return size, err
	case desc.DType == device.Float && desc.Layout == device.Prepared:
		var size int64
		err := d.here(func() error {
			f, err := d.form(desc, desc.Form)
			if err == nil {
				size = f.size
			}
			return err
		})
		return size, err
	case desc.Layout != device.Dense:
		return 0, fmt.Errorf("cpu device: %v: unknown layout %d", desc, desc.Layout)
	case desc.DType == device.Float, desc.DType == device.Int32:
		return 4 * n, nil
	case desc.DType == device.BF16:
		return 2 * n, nil
	case desc.DType == device.Window:
		return n, nil
	case desc.DType == device.Bits:
		last := int64(1)
		if len(desc.Shape) > 0 {
			last = int64(desc.Shape[len(desc.Shape)-1])
		}
		if n == 0 {
			return 0, nil
		}
		return n / last * ((last + 15) / 16 * 2), nil
	}
	return 0, fmt.Errorf("cpu device: tensor of unknown type %d", desc.DType)
}

// moveFilter moves a filter between its storage and plain OIHW order.
func (d *Device) moveFilter(p device.Ptr, desc device.Desc, h []float32, up bool) error {
	f, err := d.filterOf(desc)
	if err != nil {
		return err
	}
	// A copy outside the Go heap: oneDNN keeps addresses in its own objects,
	// which must not hold Go pointers.
	tmp := C.mv_alloc(C.int64_t(4 * len(h)))
	if tmp == nil {
		return fmt.Errorf("cpu device: out of memory moving %v", desc)
	}
	defer C.mv_free(tmp, C.int64_t(4*len(h)))
	mem := unsafe.Slice((*float32)(tmp), len(h))
	if up {
		copy(mem, h)
		return d.check(C.mv_reorder_now(d.engine, d.stream, &f.plain, tmp, &f.md, p), "upload of "+desc.String())
	}
	if err := d.check(C.mv_reorder_now(d.engine, d.stream, &f.md, p, &f.plain, tmp), "download of "+desc.String()); err != nil {
		return err
	}
	copy(h, mem)
	return nil
}
