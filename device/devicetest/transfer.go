package devicetest

import (
	"slices"
	"testing"

	"manvision/device"
)

// filters are filter descriptions with odd channel counts, small and large
// kernels, and groups.
func filters() []device.Desc {
	var list []device.Desc
	for _, s := range [][5]int{ // O, I/groups, H, W, groups
		{1, 1, 1, 1, 1}, {64, 3, 7, 7, 1}, {16, 3, 3, 3, 1}, {5, 3, 3, 3, 1}, {17, 5, 5, 3, 1}, {36, 256, 3, 3, 1}, {45, 17, 1, 1, 1},
		{720, 16, 3, 3, 1}, {16, 16, 3, 3, 1}, {64, 64, 1, 1, 1}, {256, 64, 1, 1, 1}, {1, 45, 3, 3, 1},
		{32, 1, 3, 3, 32}, {17, 1, 3, 3, 17}, {32, 1, 3, 3, 16}, {64, 2, 3, 3, 32}, {9, 2, 3, 3, 3}, {10, 1, 5, 5, 5}, {72, 9, 3, 3, 4}, {256, 8, 3, 3, 32},
	} {
		list = append(list, device.Desc{Layout: device.Filter, Shape: s[:4:4], Groups: s[4]})
	}
	return list
}

// testTransfer checks that Download gives back what Upload wrote, within its
// bounds, for every kind of description.
func testTransfer(t *testing.T, dev device.Device) {
	floats := append([]device.Desc{dense(), dense(1), dense(3), dense(17), dense(2, 7, 9, 5), dense(1000, 33)}, filters()...)
	for _, d := range floats {
		t.Run(d.String(), func(t *testing.T) {
			size, err := dev.Size(d)
			if err != nil {
				t.Fatal(err)
			}
			buf := newBuffer(t, dev, size, 0)
			defer buf.mem.Free()
			want := seeded(d.String()).of(d)
			want32 := make([]float32, len(want))
			for i, v := range want {
				want32[i] = float32(v)
			}
			for _, src := range []any{want, want32} {
				buf.reset(t)
				buf.put(t, d, src)
				got, got32 := make([]float64, len(want)), make([]float32, len(want))
				if err := dev.Download(got, d, buf.ptr); err != nil {
					t.Fatal(err)
				}
				if err := dev.Download(got32, d, buf.ptr); err != nil {
					t.Fatal(err)
				}
				if !slices.Equal(got, want) || !slices.Equal(got32, want32) {
					t.Errorf("uploaded as %T, other numbers came back", src)
				}
				buf.read(t, "tensor")
				if d.Layout == device.Filter {
					checkPadding(t, dev, buf, d, want)
				}
			}
		})
	}
	t.Run("int32", func(t *testing.T) {
		d := raw(17)
		if size, err := dev.Size(d); err != nil || size != 17*4 {
			t.Fatalf("size of %v is %d (%v), want 68", d, size, err)
		}
		buf := newBuffer(t, dev, 17*4, 0)
		defer buf.mem.Free()
		want := make([]int32, 17)
		for i := range want {
			want[i] = int32(i*i) - 40
		}
		want[3], want[4] = 1<<31-1, -1<<31
		buf.reset(t)
		buf.put(t, d, want)
		got := make([]int32, 17)
		if err := dev.Download(got, d, buf.ptr); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
		buf.read(t, "tensor")
	})
}
