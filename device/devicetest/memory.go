package devicetest

import (
	"errors"
	"testing"
	"unsafe"

	"manvision/device"
)

// testMemory checks allocation, its counters, Copy, Zero and Do.
func testMemory(t *testing.T, dev device.Device) {
	if dev.Name() == "" || dev.Threads() < 1 {
		t.Errorf("name %q, %d threads", dev.Name(), dev.Threads())
	}
	start, _ := dev.Allocated()
	for _, size := range []int64{1, 63, 64, 1000, 1 << 20} {
		m, err := dev.Alloc(size)
		if err != nil {
			t.Fatal(err)
		}
		if m.Size() < size || uintptr(m.Ptr())%64 != 0 {
			t.Errorf("Alloc(%d): size %d at %p, want that size and 64-byte alignment", size, m.Size(), m.Ptr())
		}
		if now, peak := dev.Allocated(); now < start+size || peak < now {
			t.Errorf("Alloc(%d): %d bytes allocated, %d before, peak %d", size, now, start, peak)
		}
		m.Free()
		m.Free()
		if now, _ := dev.Allocated(); now != start {
			t.Errorf("after freeing %d bytes twice %d are allocated, %d before", size, now, start)
		}
	}
	if _, err := dev.Alloc(-1); err == nil {
		t.Error("Alloc(-1) succeeded")
	}

	d := raw(256)
	ones := make([]int32, 256)
	for i := range ones {
		ones[i] = int32(i + 1)
	}
	// Memory that was used and freed comes back zeroed.
	for range 3 {
		m, err := dev.Alloc(1024)
		if err != nil {
			t.Fatal(err)
		}
		got := make([]int32, 256)
		if err := dev.Download(got, d, m.Ptr()); err != nil {
			t.Fatal(err)
		}
		for i, v := range got {
			if v != 0 {
				t.Fatalf("fresh memory holds %d at word %d", v, i)
			}
		}
		if err := dev.Upload(m.Ptr(), d, ones); err != nil {
			t.Fatal(err)
		}
		m.Free()
	}

	m, err := dev.Alloc(1024)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Free()
	n, err := dev.Alloc(1024)
	if err != nil {
		t.Fatal(err)
	}
	defer n.Free()
	fail := errors.New("a made-up failure")
	if err := dev.Do(func() error { return fail }); !errors.Is(err, fail) {
		t.Errorf("Do returned %v instead of its function's error", err)
	}
	err = dev.Do(func() error { // transfers are allowed inside Do too
		if err := dev.Upload(m.Ptr(), d, ones); err != nil {
			return err
		}
		if err := dev.Copy(n.Ptr(), m.Ptr(), 1024); err != nil {
			return err
		}
		return dev.Zero(unsafe.Add(n.Ptr(), 256), 128)
	})
	if err != nil {
		t.Fatal(err)
	}
	got := make([]int32, 256)
	if err := dev.Download(got, d, n.Ptr()); err != nil {
		t.Fatal(err)
	}
	for i, v := range got {
		want := ones[i]
		if i >= 64 && i < 96 {
			want = 0
		}
		if v != want {
			t.Fatalf("after Copy and Zero word %d is %d, want %d", i, v, want)
		}
	}
}
