// Package exec compiles a Gorgonia expression graph into a plan (schedule,
// liveness, one arena, in-place sharing, prepared kernels) and runs it on a
// device. A Program is a gorgonia.VM whose steady-state run allocates nothing
// and whose memory is known before anything runs.
package exec

import (
	"cmp"
	"fmt"
	"slices"
	"unsafe"

	"manvision/device"
)

// Tensor is storage that outlives a run: a parameter, an optimizer state, an
// input, the boundary between two blocks. Its memory is allocated by Realize, so
// that plans can be made without any.
type Tensor struct {
	Desc device.Desc
	dev  device.Device
	mem  device.Memory
	size int64
	gen  int // counts allocations and their ends

	writes int // counts uploads, clearings and runs of programs that write it

	arena  *Arena // set when the storage is a part of an arena
	within bool   // see NewTensorWithin
	offset int64  // -1 before a program has settled it
}

// NewTensor describes storage on dev without allocating it.
func NewTensor(dev device.Device, d device.Desc) (*Tensor, error) {
	size, err := dev.Size(d)
	if err != nil {
		return nil, fmt.Errorf("tensor %v: %w", d, err)
	}
	return &Tensor{Desc: d, dev: dev, size: size}, nil
}

// NewTensorIn describes storage at the lowest place of the arena that tensors,
// those alive at the same time, leave free. Tensors that are not named may be
// overlapped: so sets that are never alive together (one set a canvas size) share
// an arena.
func NewTensorIn(arena *Arena, d device.Desc, tensors ...*Tensor) (*Tensor, error) {
	t, err := NewTensor(arena.dev, d)
	if err != nil {
		return nil, err
	}
	t.arena = arena
	taken := slices.Clone(tensors)
	slices.SortStableFunc(taken, func(a, b *Tensor) int { return cmp.Compare(a.offset, b.offset) })
	for _, o := range taken {
		if t.offset+t.size <= o.offset {
			break
		}
		t.offset = max(t.offset, (o.offset+o.size+align-1)/align*align)
	}
	arena.reserve(t.offset + t.size)
	return t, nil
}

// Bytes is the size of the storage, allocated or not.
func (t *Tensor) Bytes() int64 { return t.size }

// Realized reports whether the storage is allocated.
func (t *Tensor) Realized() bool {
	if t.arena != nil {
		return t.offset >= 0 && t.arena.mem != nil && t.arena.mem.Size() >= t.offset+t.size
	}
	return t.mem != nil
}

// Realize allocates the storage, zeroed; it does nothing when that has been done.
func (t *Tensor) Realize() error {
	if t.within && !t.Realized() {
		return fmt.Errorf("tensor %v: used before the program that computes it ran", t.Desc)
	}
	if t.arena != nil {
		return t.arena.realize(t.offset + t.size)
	}
	if t.mem != nil {
		return nil
	}
	mem, err := t.dev.Alloc(t.size)
	if err != nil {
		return fmt.Errorf("tensor %v: %w", t.Desc, err)
	}
	t.mem = mem
	t.gen++
	return nil
}

// Ptr is the device address; nil before Realize.
func (t *Tensor) Ptr() device.Ptr {
	if !t.Realized() {
		return nil
	}
	if t.arena != nil {
		return unsafe.Add(t.arena.mem.Ptr(), t.offset)
	}
	return t.mem.Ptr()
}

// Upload writes host values (see device.Device.Upload), allocating if needed.
func (t *Tensor) Upload(src any) error {
	if err := t.Realize(); err != nil {
		return err
	}
	t.writes++
	return t.dev.Upload(t.Ptr(), t.Desc, src)
}

// Download reads the values into dst (see device.Device.Download).
func (t *Tensor) Download(dst any) error {
	if !t.Realized() {
		return fmt.Errorf("tensor %v: read before it was allocated", t.Desc)
	}
	return t.dev.Download(dst, t.Desc, t.Ptr())
}

// Zero clears the storage, allocating if needed.
func (t *Tensor) Zero() error {
	if err := t.Realize(); err != nil {
		return err
	}
	t.writes++
	return t.dev.Zero(t.Ptr(), t.size)
}

// Free gives the storage back; that of a tensor in an arena stays with the arena.
func (t *Tensor) Free() {
	if t.mem != nil {
		t.mem.Free()
		t.mem = nil
		t.gen++
	}
}
