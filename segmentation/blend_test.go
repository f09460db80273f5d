package segmentation

import (
	"math"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

// benchBlend makes the views of a picture of h x w pixels at output stride 8: smooth
// logits, as of a trained network, or noise, where no two cells agree.
func benchBlend(h, w, views int, noise bool) *blend {
	r := rand.New(rand.NewPCG(1, 2))
	b := &blend{classes: 19}
	for range views {
		v := viewLogits{rows: h / 8, cols: w / 8, logits: make([]float32, h/8*w/8*19)}
		for i := range v.logits {
			c, x, y := i%19, i/19%v.cols, i/19/v.cols
			v.logits[i] = float32(5 * math.Sin(float64(x*(c+3))/90+float64(c)) * math.Cos(float64(y*(c+5))/70))
			if noise {
				v.logits[i] = r.Float32()
			}
		}
		v.y = newAxis(h, h, []int{0}, h, 8, false)
		v.x = newAxis(w, w, []int{0}, w, 8, false)
		b.views = append(b.views, v)
	}
	return b
}

func BenchmarkBlend(b *testing.B) {
	for _, c := range []struct {
		name        string
		h, w, views int
		noise       bool
	}{
		{"512x1024 smooth", 512, 1024, 1, false}, {"512x1024 noise", 512, 1024, 1, true},
		{"1024x2048 smooth", 1024, 2048, 1, false}, {"1024x2048 smooth 12 views", 1024, 2048, 12, false},
	} {
		b.Run(c.name, func(b *testing.B) {
			m := benchBlend(c.h, c.w, c.views, c.noise)
			dst := make([]uint8, c.h*c.w)
			for b.Loop() {
				m.labels(dst, c.h, c.w, 4)
			}
		})
	}
}

// The weights of a pixel are those of a mean, whatever the sizes.
func TestAxisIsAMean(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pixels := rapid.IntRange(1, 300).Draw(t, "pixels")
		out := rapid.IntRange(1, 300).Draw(t, "out")
		window := rapid.IntRange(1, pixels).Draw(t, "window")
		stride := rapid.IntRange(1, window).Draw(t, "stride")
		cell := rapid.SampledFrom([]int{1, 4, 8, 16, 32}).Draw(t, "cell")
		starts := windowStarts(pixels, window, stride)
		a := newAxis(pixels, out, starts, window, cell, rapid.Bool().Draw(t, "mirrored"))
		cells := len(starts) * cellsOf(window, cell)
		for i := range out {
			sum, last := 0.0, int32(-1)
			index, weight := a.taps(i)
			for k, c := range index {
				if c <= last || int(c) >= cells || !(weight[k] > 0) {
					t.Fatalf("pixel %d: cells %v with weights %v", i, index, weight)
				}
				last = c
				sum += float64(weight[k])
			}
			if math.Abs(sum-1) > 1e-6 {
				t.Fatalf("pixel %d: weights sum to %v", i, sum)
			}
		}
	})
}
