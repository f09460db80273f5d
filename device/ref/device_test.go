package ref

import (
	"testing"
	"unsafe"

	"manvision/device"
)

func TestMemory(t *testing.T) {
	d := New()
	m, err := d.Alloc(1000)
	if err != nil {
		t.Fatal(err)
	}
	if uintptr(m.Ptr())%alignment != 0 || m.Size() != 1000 {
		t.Errorf("Alloc(1000): address %p, size %d", m.Ptr(), m.Size())
	}
	if now, peak := d.Allocated(); now != 1000 || peak != 1000 {
		t.Errorf("Allocated() = %d, %d, want 1000, 1000", now, peak)
	}
	m.Free()
	m.Free()
	if now, peak := d.Allocated(); now != 0 || peak != 1000 {
		t.Errorf("after two Free: Allocated() = %d, %d, want 0, 1000", now, peak)
	}
	if _, err := d.Alloc(-1); err == nil {
		t.Error("Alloc(-1) succeeded")
	}
}

// run computes op on host slices (float arguments only) and returns the outputs.
func run(t testing.TB, d *Device, op device.Op, inputs ...[]float64) [][]float64 {
	t.Helper()
	put := func(desc device.Desc) device.Memory {
		size, err := d.Size(desc)
		if err != nil {
			t.Fatal(err)
		}
		m, err := d.Alloc(size)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	var in, out []device.Ptr
	for i, desc := range op.Inputs() {
		m := put(desc)
		if err := d.Upload(m.Ptr(), desc, inputs[i]); err != nil {
			t.Fatal(err)
		}
		in = append(in, m.Ptr())
	}
	for _, desc := range op.Outputs() {
		out = append(out, put(desc).Ptr())
	}
	k, err := d.Prepare(op)
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	scratch, err := d.Alloc(k.Scratch())
	if err != nil {
		t.Fatal(err)
	}
	if err := k.Bind(in, out, scratch.Ptr()); err != nil {
		t.Fatal(err)
	}
	if err := d.Do(k.Run); err != nil {
		t.Fatal(err)
	}
	var results [][]float64
	for i, desc := range op.Outputs() {
		r := make([]float64, desc.Elems())
		if err := d.Download(r, desc, out[i]); err != nil {
			t.Fatal(err)
		}
		results = append(results, r)
	}
	return results
}

func TestMisuse(t *testing.T) {
	d := New()
	if _, err := d.Prepare(device.Linear{M: 0, K: 1, N: 1}); err == nil {
		t.Error("Prepare took a linear layer without rows")
	}
	k, err := d.Prepare(device.ReLU{Size: 3})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Do(k.Run); err == nil {
		t.Error("Run before Bind succeeded")
	}
	m, _ := d.Alloc(24)
	if err := k.Bind([]device.Ptr{m.Ptr()}, nil, nil); err == nil {
		t.Error("Bind without outputs succeeded")
	}
	if err := k.Bind([]device.Ptr{nil}, []device.Ptr{m.Ptr()}, nil); err == nil {
		t.Error("Bind to a nil address succeeded")
	}
	if err := k.Bind([]device.Ptr{m.Ptr()}, []device.Ptr{m.Ptr()}, nil); err != nil {
		t.Error(err)
	}
	if err := k.Run(); err == nil {
		t.Error("Run outside Do succeeded")
	}
}

func TestLabelsOutOfRange(t *testing.T) {
	d := New()
	op := device.CrossEntropy{Rows: 1, Classes: 2, IgnoreIndex: 255}
	k, err := d.Prepare(op)
	if err != nil {
		t.Fatal(err)
	}
	m, _ := d.Alloc(256)
	at := func(i uintptr) device.Ptr { return unsafe.Add(m.Ptr(), i) }
	if err := d.Upload(at(64), op.Inputs()[1], []int32{2}); err != nil {
		t.Fatal(err)
	}
	if err := k.Bind([]device.Ptr{at(0), at(64)}, []device.Ptr{at(128)}, at(192)); err != nil {
		t.Fatal(err)
	}
	if err := d.Do(k.Run); err == nil {
		t.Error("label 2 of 2 classes was accepted")
	}
}
