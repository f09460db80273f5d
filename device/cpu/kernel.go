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

// place says where a kernel finds a tensor: an argument (inputs then outputs),
// the scratch, or memory of the kernel's own.
type place = C.mv_place

func argument(i int) place { return place{arg: C.int(i)} }

// kernel is a prepared operation: a list of steps in C memory.
type kernel struct {
	d       *Device
	c       *C.mv_kernel
	what    string // for errors
	in, out int
	scratch int64
	args    *unsafe.Pointer // in+out addresses, C memory
	consts  []constant
	moved   map[C.int]place // where arguments lie that a step before has copied
	bound   bool
}

// at follows an argument to where it has been moved.
func (k *kernel) at(p place) place {
	if to, ok := k.moved[p.arg]; ok {
		to.off += p.off
		return to
	}
	return p
}

type constant struct {
	p    unsafe.Pointer
	size int64
}

func (d *Device) newKernel(op device.Op) (*kernel, error) {
	k := &kernel{d: d, what: fmt.Sprintf("%s %+v", op.Kind(), op), in: len(op.Inputs()), out: len(op.Outputs())}
	k.c = C.mv_kernel_new(d.id, d.engine, d.stream)
	if k.c == nil {
		return nil, fmt.Errorf("cpu device: %s: out of memory", k.what)
	}
	k.args = (*unsafe.Pointer)(k.constant(int64(unsafe.Sizeof(uintptr(0))) * int64(k.in+k.out+1)).constant)
	return k, nil
}

// reserve takes bytes of the scratch.
func (k *kernel) reserve(bytes int64) place {
	p := place{arg: C.MV_ARG_SCRATCH, off: C.int64_t(k.scratch)}
	k.scratch += (bytes + 63) / 64 * 64
	return p
}

// constant allocates zeroed memory that lives as long as the kernel.
func (k *kernel) constant(bytes int64) place {
	p := C.mv_alloc(C.int64_t(bytes))
	if p == nil {
		panic("cpu device: out of memory preparing a kernel")
	}
	k.consts = append(k.consts, constant{p, bytes})
	return place{arg: C.MV_ARG_CONST, constant: p}
}

func (k *kernel) floats(v []float32) place {
	p := k.constant(4 * int64(len(v)))
	copy(unsafe.Slice((*float32)(p.constant), len(v)), v)
	return p
}

func (k *kernel) ints(v []int32) place {
	p := k.constant(4 * int64(len(v)))
	copy(unsafe.Slice((*int32)(p.constant), len(v)), v)
	return p
}

func (k *kernel) check(status C.int) error { return k.d.check(status, k.what) }

// memory makes a oneDNN memory object and returns its index.
func (k *kernel) memory(md *C.dnnl_memory_desc_t, p place) (C.int, error) {
	var i C.int
	return i, k.check(C.mv_kernel_memory(k.c, md, k.at(p), &i))
}

// tensor is an argument of a primitive.
type tensor struct {
	id C.int // DNNL_ARG_*
	md C.dnnl_memory_desc_t
	at place
}

// primitive adds a step that executes pd, with its scratchpad in the scratch.
func (k *kernel) primitive(pd C.dnnl_primitive_desc_t, tensors ...tensor) error {
	var pad C.dnnl_memory_desc_t
	C.mv_query_md(pd, C.dnnl_query_scratchpad_md, 0, &pad)
	if size := int64(C.dnnl_memory_desc_get_size(&pad)); size > 0 {
		// Scratchpads of different steps are never alive together, but steps
		// are few and only the convolution's is large.
		tensors = append(tensors, tensor{C.DNNL_ARG_SCRATCHPAD, pad, k.reserve(size)})
	}
	ids, mems := make([]C.int, len(tensors)), make([]C.int, len(tensors))
	for i := range tensors {
		m, err := k.memory(&tensors[i].md, tensors[i].at)
		if err != nil {
			return err
		}
		ids[i], mems[i] = tensors[i].id, m
	}
	return k.check(C.mv_kernel_primitive(k.c, pd, C.int(len(ids)), &ids[0], &mems[0]))
}

// reorder adds a step that copies from one layout to another.
func (k *kernel) reorder(from C.dnnl_memory_desc_t, src place, to C.dnnl_memory_desc_t, dst place) error {
	var pd C.dnnl_primitive_desc_t
	if err := k.check(C.mv_reorder_pd(k.d.engine, &from, &to, &pd)); err != nil {
		return err
	}
	defer C.dnnl_primitive_desc_destroy(pd)
	return k.primitive(pd, tensor{C.DNNL_ARG_FROM, from, src}, tensor{C.DNNL_ARG_TO, to, dst})
}

// loop adds a step that calls a C loop with the addresses, sizes and constants.
func (k *kernel) loop(fn unsafe.Pointer, places []place, n []int, f ...float64) error {
	np, nn, nf := append(places[:len(places):len(places)], place{}), make([]C.int64_t, len(n)+1), make([]C.double, len(f)+1)
	for i, p := range places {
		np[i] = k.at(p)
	}
	for i, v := range n {
		nn[i] = C.int64_t(v)
	}
	for i, v := range f {
		nf[i] = C.double(v)
	}
	return k.check(C.mv_kernel_loop(k.c, C.mv_loop(fn), C.int(len(places)), &np[0], C.int(len(n)), &nn[0], C.int(len(f)), &nf[0]))
}

// arguments lists the places of all inputs and outputs in order.
func (k *kernel) arguments() []place {
	list := make([]place, k.in+k.out)
	for i := range list {
		list[i] = argument(i)
	}
	return list
}

// Scratch implements device.Kernel.
func (k *kernel) Scratch() int64 { return k.scratch }

// Bind implements device.Kernel.
func (k *kernel) Bind(in, out []device.Ptr, scratch device.Ptr) error {
	if k.c == nil {
		return fmt.Errorf("cpu device: %s: bound after Close", k.what)
	}
	if len(in) != k.in || len(out) != k.out {
		return fmt.Errorf("cpu device: %s: bound to %d inputs and %d outputs, want %d and %d", k.what, len(in), len(out), k.in, k.out)
	}
	args := unsafe.Slice(k.args, k.in+k.out+1)
	for i, p := range in {
		if p == nil {
			return fmt.Errorf("cpu device: %s: input %d is nil", k.what, i)
		}
		args[i] = p
	}
	for i, p := range out {
		if p == nil {
			return fmt.Errorf("cpu device: %s: output %d is nil", k.what, i)
		}
		args[k.in+i] = p
	}
	if k.scratch > 0 && scratch == nil {
		return fmt.Errorf("cpu device: %s: needs %d bytes of scratch", k.what, k.scratch)
	}
	err := k.d.here(func() error { return k.check(C.mv_kernel_bind(k.c, k.args, (*C.char)(scratch))) })
	k.bound = err == nil
	return err
}

// Run implements device.Kernel.
func (k *kernel) Run() error {
	if !k.bound {
		return fmt.Errorf("cpu device: %s: run before Bind", k.what)
	}
	if status := C.mv_kernel_run(k.c); status != 0 {
		return k.check(status)
	}
	return nil
}

// Close implements device.Kernel.
func (k *kernel) Close() {
	// After Device.Close the thread is gone; freeing is harmless anywhere.
	k.free()
}

func (k *kernel) free() {
	if k.c == nil {
		return
	}
	C.mv_kernel_free(k.c)
	for _, c := range k.consts {
		C.mv_free(c.p, C.int64_t(c.size))
	}
	k.c, k.consts, k.bound = nil, nil, false
}
