package detection

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

// Worked by hand: anchor 10x20 with centre (15, 20), box 20x10 with centre (20, 25).
func TestEncode(t *testing.T) {
	got := BoxCoder{}.Encode([4]float32{10, 10, 20, 30}, [4]float64{10, 20, 30, 30})
	want := [4]float64{0.5, 0.25, math.Ln2, -math.Ln2}
	for k := range want {
		if !near(got[k], want[k], 1e-15) {
			t.Errorf("%v, want %v", got, want)
		}
	}
	got = BoxCoder{Weights: [4]float64{10, 10, 5, 5}}.Encode([4]float32{10, 10, 20, 30}, [4]float64{10, 20, 30, 30})
	want = [4]float64{5, 2.5, 5 * math.Ln2, -5 * math.Ln2}
	for k := range want {
		if !near(got[k], want[k], 1e-15) {
			t.Errorf("weighted: %v, want %v", got, want)
		}
	}
}

// A 0.2-pixel anchor counts as one pixel wide; the box keeps its own width.
func TestEncodeClampsAnchorsOnly(t *testing.T) {
	got := BoxCoder{}.Encode([4]float32{0, 0, 0.2, 4}, [4]float64{0, 0, 0.5, 4})
	if !near(got[2], math.Log(0.5), 1e-15) || got[3] != 0 {
		t.Errorf("%v, want dw = ln(0.5/1), dh = 0", got)
	}
}

func TestDecodeClamp(t *testing.T) {
	a, wild := [4]float32{0, 0, 16, 16}, [4]float64{0, 0, 1e30, -5}
	b := BoxCoder{}.Decode(a, wild)
	if !near(b[2]-b[0], 1000, 1e-9) || !(b[3] > b[1]) { // 16 · 1000/16
		t.Errorf("clamped %v, want a width of 1000", b)
	}
	if b := (BoxCoder{NoClamp: true}).Decode(a, wild); !math.IsInf(b[2], 1) {
		t.Errorf("not clamped %v, want an infinite width", b)
	}
}

func TestDecodeInvertsEncode(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at := rapid.Float64Range(-200, 900)
		side := rapid.Float64Range(0.05, 600)
		x, y := at.Draw(t, "x"), at.Draw(t, "y")
		box := [4]float64{x, y, x + side.Draw(t, "w"), y + side.Draw(t, "h")}
		ax, ay := float32(at.Draw(t, "ax")), float32(at.Draw(t, "ay"))
		anchor := [4]float32{ax, ay, ax + float32(side.Draw(t, "aw")), ay + float32(side.Draw(t, "ah"))}
		c := BoxCoder{NoClamp: true}
		if rapid.Bool().Draw(t, "weights") {
			c.Weights = [4]float64{10, 10, 5, 5}
		}
		got := c.Decode(anchor, c.Encode(anchor, box))
		for k := range box {
			if !near(got[k], box[k], 1e-9) {
				t.Fatalf("anchor %v box %v came back as %v", anchor, box, got)
			}
		}
	})
}

func TestIoU(t *testing.T) {
	for _, c := range []struct {
		a, b [4]float64
		want float64
	}{
		{[4]float64{0, 0, 2, 2}, [4]float64{1, 1, 3, 3}, 1.0 / 7}, // 1 / (4+4-1)
		{[4]float64{0, 0, 2, 2}, [4]float64{0, 0, 2, 2}, 1},
		{[4]float64{0, 0, 2, 2}, [4]float64{2, 0, 4, 2}, 0}, // touching
		{[4]float64{1, 1, 1, 1}, [4]float64{1, 1, 1, 1}, 0}, // no area
	} {
		if got := IoU(c.a, c.b); got != c.want || IoU(c.b, c.a) != c.want {
			t.Errorf("IoU(%v, %v) = %v, want %v", c.a, c.b, got, c.want)
		}
	}
}
