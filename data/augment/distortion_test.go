package augment

import (
	"math"
	"testing"
)

// Expected pixels: testdata/gen_distortion.py, mmsegmentation's steps with OpenCV
// 4.6.0. It goes to HSV and back once for saturation and once for hue; we go once
// for both, so only those cases may differ.
func TestDistortion(t *testing.T) {
	var cases []struct {
		Brightness, Contrast, Saturation float64
		ContrastLast                     bool
		Hue                              int
		RGB                              []float32
	}
	readJSON(t, "testdata/distortion.json", &cases)
	if len(cases) != 12 {
		t.Fatalf("%d cases", len(cases))
	}
	for _, c := range cases {
		d := Distortion{true, c.Brightness, c.Contrast, c.ContrastLast, c.Saturation, c.Hue}
		got := pixels(t, identity(), "testdata/jitter.png", Params{Distortion: d})
		for i := range got {
			got[i] = float32(math.Round(float64(got[i])))
		}
		worst, mean := maxDiff(t, got, c.RGB)
		t.Logf("%+v: worst %v mean %v", d, worst, mean)
		limit, limitMean := 1.0, 0.02 // the last bit of OpenCV's HSV, by processor
		if c.Saturation == 1 && c.Hue == 0 {
			limit, limitMean = 0, 0
		}
		if c.Saturation != 1 && c.Hue != 0 {
			limit, limitMean = 3, 0.4
		}
		if worst > limit || mean > limitMean {
			t.Errorf("%+v: differs by up to %v, mean %v", d, worst, mean)
		}
	}
}

// The draws have mmsegmentation's ranges, and each step is on half the time.
func TestDistortionDraws(t *testing.T) {
	const n = 4000
	var on [5]int
	lo, hi := Distortion{Hue: 99, Contrast: 9, Saturation: 9}, Distortion{}
	r := NewRandom(1)
	for range n {
		d := drawDistortion(&r)
		for i, b := range []bool{d.Brightness != 0, d.Contrast != 1, d.ContrastLast, d.Saturation != 1, d.Hue != 0} {
			if b {
				on[i]++
			}
		}
		lo.Brightness, hi.Brightness = min(lo.Brightness, d.Brightness), max(hi.Brightness, d.Brightness)
		lo.Contrast, hi.Contrast = min(lo.Contrast, d.Contrast), max(hi.Contrast, d.Contrast)
		lo.Saturation, hi.Saturation = min(lo.Saturation, d.Saturation), max(hi.Saturation, d.Saturation)
		lo.Hue, hi.Hue = min(lo.Hue, d.Hue), max(hi.Hue, d.Hue)
	}
	for i, k := range on {
		// Five standard deviations of a fair coin; hue's draw is 0 once in 36.
		want := n / 2.
		if i == 4 {
			want *= 35. / 36
		}
		if math.Abs(float64(k)-want) > 5*math.Sqrt(n)/2 {
			t.Errorf("step %d is on in %d of %d draws, want about %v", i, k, n, want)
		}
	}
	if lo.Brightness < -32 || hi.Brightness > 32 || hi.Brightness-lo.Brightness < 63 ||
		lo.Contrast < 0.5 || hi.Contrast > 1.5 || hi.Contrast-lo.Contrast < 0.98 ||
		lo.Saturation < 0.5 || hi.Saturation > 1.5 || hi.Saturation-lo.Saturation < 0.98 ||
		lo.Hue != -18 || hi.Hue != 17 {
		t.Errorf("ranges from %+v to %+v", lo, hi)
	}
}
