package segmentation

import (
	"errors"
	"slices"
	"testing"
)

// slide_inference of mmsegmentation: by hand.
func TestWindowStarts(t *testing.T) {
	for _, c := range []struct {
		n, window, stride int
		want              []int
	}{
		{100, 100, 10, []int{0}}, {60, 100, 10, []int{0}}, {128, 64, 32, []int{0, 32, 64}},
		{129, 64, 32, []int{0, 32, 64, 65}}, {2048, 769, 513, []int{0, 513, 1026, 1279}}, {1024, 769, 513, []int{0, 255}},
	} {
		if got := windowStarts(c.n, c.window, c.stride); !slices.Equal(got, c.want) {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

// The network of the tests needs 100 bytes a pixel; with the input and the logits it
// is 100 + 12 + 5·4/64 a pixel for a run and 5·4/64 for a view.
func TestPlanKeepsToTheLimit(t *testing.T) {
	const perPixel = 100 + 12 + 2*5.0*4/64
	whole := toyViewer(t, ViewOptions{})
	p, err := whole.Plan(512, 256)
	if err != nil {
		t.Fatal(err)
	}
	if want := int64(512 * 256 * perPixel); p.Bytes != want || p.Grids[0].Windows() != 1 {
		t.Errorf("%d bytes, want %d; %+v", p.Bytes, want, p.Grids)
	}
	limit := p.Bytes
	for _, c := range []struct {
		name    string
		o       ViewOptions
		window  [2]int
		windows int
	}{
		{"just fits", ViewOptions{MemoryLimit: limit}, [2]int{512, 256}, 1},
		// Halves: 256x256, stride 170: 0, 170, 256.
		{"a byte short", ViewOptions{MemoryLimit: limit - 1}, [2]int{256, 256}, 3},
		{"named window", ViewOptions{MemoryLimit: limit - 1, Window: [2]int{128, 128}, Stride: [2]int{128, 128}}, [2]int{128, 128}, 8},
		{"named window not needed", ViewOptions{MemoryLimit: limit, Window: [2]int{128, 128}}, [2]int{512, 256}, 1},
		{"whole whatever it needs", ViewOptions{MemoryLimit: 1, Mode: Whole}, [2]int{512, 256}, 1},
	} {
		v := toyViewer(t, c.o)
		p, err := v.Plan(512, 256)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		g := p.Grids[0]
		if [2]int{g.WindowW, g.WindowH} != c.window || g.Windows() != c.windows {
			t.Errorf("%s: %+v", c.name, g)
		}
		if c.o.Mode == Auto && p.Bytes > c.o.MemoryLimit {
			t.Errorf("%s: %d bytes, the limit is %d", c.name, p.Bytes, c.o.MemoryLimit)
		}
		// What is known of a size must not change the choice for another.
		if again, err := v.Plan(511, 255); err != nil || again.Grids[0].Windows() != c.windows {
			t.Errorf("%s: a little smaller: %+v, %v", c.name, again, err)
		}
	}
	for _, o := range []ViewOptions{{MemoryLimit: 1000}, {MemoryLimit: limit / 2, Window: [2]int{512, 256}}} {
		if _, err := toyViewer(t, o).Plan(512, 256); !errors.Is(err, errTooLarge) {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

// The views' logits count: many scales of a picture whose windows just fit.
func TestPlanCountsAllViews(t *testing.T) {
	one, err := toyViewer(t, ViewOptions{}).Plan(640, 640)
	if err != nil {
		t.Fatal(err)
	}
	two, err := toyViewer(t, ViewOptions{Flip: true}).Plan(640, 640)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := two.Bytes-one.Bytes, int64(80*80*5*4); got != want {
		t.Errorf("the mirrored view adds %d bytes, want %d", got, want)
	}
	// Each scale alone keeps to this limit, but not with the others' logits.
	o := ViewOptions{Flip: true, Scales: []float64{1, 0.98, 0.96, 0.94}, MemoryLimit: two.Bytes}
	v := toyViewer(t, o)
	if alone, err := v.grid(640, 640, o.MemoryLimit); err != nil || alone.Windows() != 1 {
		t.Fatalf("%+v, %v", alone, err)
	}
	p, err := v.Plan(640, 640)
	if err != nil || p.Bytes > o.MemoryLimit || p.Grids[0].Windows() == 1 {
		t.Errorf("%+v, %v; limit %d", p, err, o.MemoryLimit)
	}
}
