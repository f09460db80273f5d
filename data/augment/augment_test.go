package augment

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"

	"manvision/internal/testdata"
)

// identity normalises v to v, so that a canvas holds plain pixel values.
func identity() Config {
	return Config{Std: [3]float32{1. / 255, 1. / 255, 1. / 255}}
}

func readJSON(t *testing.T, path string, v any) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, v); err != nil {
		t.Fatal(err)
	}
}

// pixels renders an image at its own size.
func pixels(t *testing.T, cfg Config, path string, p Params) []float32 {
	t.Helper()
	r, err := NewRenderer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	w, h, err := r.Open(path, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	if p.InW == 0 {
		p.SrcW, p.SrcH, p.InW, p.InH = w, h, w, h
	}
	dst := make([]float32, p.InW*p.InH*3)
	if err := r.Draw(p, dst, p.InH, p.InW); err != nil {
		t.Fatal(err)
	}
	return dst
}

func maxDiff(t *testing.T, got, want []float32) (worst, mean float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d values, want %d", len(got), len(want))
	}
	for i := range got {
		d := math.Abs(float64(got[i] - want[i]))
		worst, mean = math.Max(worst, d), mean+d/float64(len(got))
	}
	return worst, mean
}

type expected struct {
	Images map[string][]float32
	Jitter []struct {
		Brightness, Contrast, Saturation, Hue float64
		RGB                                   []float32
	}
}

// Expected pixels: torchvision 0.14.1 on Pillow, which rounds after each of the
// four steps and truncates blends; ours rounds once.
func TestColour(t *testing.T) {
	var want expected
	readJSON(t, "testdata/expected.json", &want)
	for _, c := range want.Jitter {
		p := Params{Colour: Colour{true, c.Brightness, c.Contrast, c.Saturation, c.Hue}}
		got := pixels(t, identity(), "testdata/jitter.png", p)
		worst, mean := maxDiff(t, got, c.RGB)
		limit, limitMean := 1.5, 0.8
		if c.Hue != 0 {
			limit, limitMean = 18, 3 // 8-bit HSV of OpenCV and of Pillow round differently
		}
		t.Logf("%+v: worst %v mean %v", p.Colour, worst, mean)
		if worst > limit || mean > limitMean {
			t.Errorf("brightness %v contrast %v saturation %v hue %v: differs by up to %v, mean %v", c.Brightness, c.Contrast, c.Saturation, c.Hue, worst, mean)
		}
	}
}

func TestResizeSizes(t *testing.T) {
	for _, c := range []struct {
		r          Resize
		w, h, W, H int
	}{
		{Resize{}, 33, 44, 33, 44},
		{Resize{ShortSides: []int{600}, LongMax: 1000}, 640, 480, 800, 600},
		{Resize{ShortSides: []int{600}, LongMax: 1000}, 480, 640, 600, 800},
		{Resize{ShortSides: []int{600}, LongMax: 1000}, 640, 360, 1000, 563}, // 562.5 up
		{Resize{ShortSides: []int{600}, LongMax: 1000}, 640, 427, 899, 600},  // 899.297
		{Resize{ShortSides: []int{320}}, 5000, 2, 800000, 320},
		{Resize{LongMax: 100}, 200, 50, 100, 25},
		{Resize{LongMax: 100}, 90, 50, 90, 50},
		{Resize{LongMax: 100}, 1000, 2, 100, 1}, // 0.2 is held at 1
		{Resize{Width: 64, Height: 32}, 7, 9, 64, 32},
	} {
		if w, h := c.r.Size(c.w, c.h, 0); w != c.W || h != c.H {
			t.Errorf("%+v of %dx%d: %dx%d, want %dx%d", c.r, c.w, c.h, w, h, c.W, c.H)
		}
	}
}

func TestBoxes(t *testing.T) {
	p := Params{SrcW: 100, SrcH: 50, InW: 200, InH: 200}
	got, ok := p.Box([4]float32{10, 10, 30, 20}, 1)
	if want := [4]float32{20, 40, 60, 80}; got != want || !ok {
		t.Errorf("got %v, want %v", got, want)
	}
	p.Flip = true
	got, ok = p.Box([4]float32{10, 10, 30, 20}, 1)
	if want := [4]float32{140, 40, 180, 80}; got != want || !ok {
		t.Errorf("flipped: got %v, want %v", got, want)
	}
	if back := p.Unbox(got); back != [4]float32{10, 10, 30, 20} {
		t.Errorf("back: %v", back)
	}
	if _, ok := p.Box([4]float32{10, 10, 10.4, 20}, 1); ok {
		t.Error("a box of 0.8 pixels is kept")
	}
	if got, ok := p.Box([4]float32{-10, -10, 5, 60}, 1); !ok || got != [4]float32{190, 0, 200, 200} {
		t.Errorf("clipped: %v", got)
	}
}

// The fast conversion equals the plain formula for every width, mirrored or not.
func TestNormalize(t *testing.T) {
	r, err := NewRenderer(Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, _, err := r.Open("testdata/plain.png", 0, 0); err != nil {
		t.Fatal(err)
	}
	for w := 1; w <= 37; w++ {
		for _, flip := range []bool{false, true} {
			for _, offset := range []int{0, 1} { // aligned to vectors and not
				const cw, ch, h = 40, 11, 9
				buf := make([]float32, cw*ch*3+8)
				for i := range buf {
					buf[i] = 7
				}
				dst := buf[offset : offset+cw*ch*3]
				if err := r.Draw(Params{InW: w, InH: h, Flip: flip}, dst, ch, cw); err != nil {
					t.Fatal(err)
				}
				src := pixels(t, identity(), "testdata/plain.png", Params{InW: w, InH: h})
				for y := 0; y < ch; y++ {
					for x := 0; x < cw; x++ {
						for c := 0; c < 3; c++ {
							want := 0.0
							if y < h && x < w {
								sx := x
								if flip {
									sx = w - 1 - x
								}
								v := math.Round(float64(src[(y*w+sx)*3+c]))
								want = (v/255 - float64(ImageNetMean[c])) / float64(ImageNetStd[c])
							}
							if got := float64(dst[(y*cw+x)*3+c]); math.Abs(got-want) > 1e-6 {
								t.Fatalf("width %d flip %v: pixel %d,%d,%d is %v, want %v", w, flip, y, x, c, got, want)
							}
						}
					}
				}
				if buf[offset+cw*ch*3] != 7 {
					t.Fatal("wrote past the canvas")
				}
			}
		}
	}
}

// Real images against PyTorch 1.13: Pillow decode, interpolate(bilinear), ImageNet
// normalisation, in float; ours resamples in 8 bits: half a level is 0.0087, and
// OpenCV's fixed-point weights shift the mean by up to an eighth of a level.
func TestResizeRealImages(t *testing.T) {
	dir := testdata.Shared(t, "coco/train2017")
	var rows []struct {
		File      string
		H, W      int
		Mean, Std [3]float64
		At        [][5]float64
	}
	readJSON(t, "testdata/coco600.json", &rows)
	if len(rows) != 128 {
		t.Fatalf("%d rows", len(rows))
	}
	cfg := Config{Resize: Resize{ShortSides: []int{600}, LongMax: 1000}}
	r, err := NewRenderer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	worstStat, worstPixel := 0.0, 0.0
	for _, row := range rows {
		w, h, err := r.Open(filepath.Join(dir, row.File), 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		rng := NewRandom(1)
		p := cfg.Plan(&rng, w, h)
		if p.InW != row.W || p.InH != row.H {
			t.Fatalf("%s: %dx%d, want %dx%d", row.File, p.InW, p.InH, row.W, row.H)
		}
		dst := make([]float32, p.InW*p.InH*3)
		if err := r.Draw(p, dst, p.InH, p.InW); err != nil {
			t.Fatal(err)
		}
		for c := 0; c < 3; c++ {
			sum, sq, n := 0.0, 0.0, float64(p.InW*p.InH)
			for i := c; i < len(dst); i += 3 {
				sum += float64(dst[i])
				sq += float64(dst[i]) * float64(dst[i])
			}
			mean := sum / n
			std := math.Sqrt((sq - n*mean*mean) / (n - 1))
			worstStat = math.Max(worstStat, math.Max(math.Abs(mean-row.Mean[c]), math.Abs(std-row.Std[c])))
			for _, at := range row.At {
				worstPixel = math.Max(worstPixel, math.Abs(float64(dst[(int(at[0])*p.InW+int(at[1]))*3+c])-at[2+c]))
			}
		}
	}
	t.Logf("worst difference of a mean or std %.5f, of a pixel %.5f", worstStat, worstPixel)
	if worstStat > 0.003 || worstPixel > 0.02 {
		t.Errorf("differs from PyTorch: mean or std by %v (limit 0.003), a pixel by %v (limit 0.02)", worstStat, worstPixel)
	}
}

func TestRandom(t *testing.T) {
	a, b := NewRandom(1, 2, 3), NewRandom(1, 2, 3)
	for range 10 {
		if a.Uint64() != b.Uint64() {
			t.Fatal("equal keys, different numbers")
		}
	}
	seen := map[uint64]string{}
	for i := uint64(0); i < 50; i++ {
		for j := uint64(0); j < 50; j++ {
			for _, r := range []Random{NewRandom(i, j), NewRandom(i, j, 0)} {
				v := r.Uint64()
				if seen[v] != "" {
					t.Fatalf("keys %d,%d and %s give the same number", i, j, seen[v])
				}
				seen[v] = fmt.Sprint(i, j)
			}
		}
	}
	r := NewRandom(9)
	n, mean, sq, nm, ns := 100000, 0.0, 0.0, 0.0, 0.0
	for range n {
		u, v := r.Float64(), r.Normal()
		if u < 0 || u >= 1 {
			t.Fatal(u)
		}
		mean, sq, nm, ns = mean+u, sq+u*u, nm+v, ns+v*v
	}
	// Five standard errors of mean (0.00091, 0.0032) and second moment.
	N := float64(n)
	if math.Abs(mean/N-0.5) > 0.0046 || math.Abs(sq/N-1./3) > 0.005 || math.Abs(nm/N) > 0.016 || math.Abs(ns/N-1) > 0.023 {
		t.Errorf("moments %v %v %v %v", mean/N, sq/N, nm/N, ns/N)
	}
}

func TestPlanDrawsInRange(t *testing.T) {
	cfg := Config{Resize: Resize{ShortSides: []int{10, 20}}, FlipProb: 0.5, Jitter: Jitter{0.5, 2, 0.1, 0.2}}
	flips, sizes := 0, map[int]int{}
	for i := uint64(0); i < 2000; i++ {
		r := NewRandom(i)
		p := cfg.Plan(&r, 30, 40)
		if p.Flip {
			flips++
		}
		sizes[p.InW]++
		c := p.Colour
		if c.Brightness < 0.5 || c.Brightness > 1.5 || c.Contrast < 0 || c.Contrast > 3 || c.Saturation < 0.9 || c.Saturation > 1.1 || math.Abs(c.Hue) > 0.2 {
			t.Fatalf("%+v", c)
		}
	}
	if flips < 890 || flips > 1110 || sizes[10] < 890 || sizes[20] < 890 {
		t.Errorf("%d flips, sizes %v", flips, sizes)
	}
}

func TestValidate(t *testing.T) {
	for _, c := range []Config{
		{FlipProb: 1.5}, {FlipProb: math.NaN()}, {Interpolation: 5}, {Std: [3]float32{1, 0, 1}},
		{Jitter: Jitter{Hue: 0.6}}, {Jitter: Jitter{Contrast: math.NaN()}}, {Jitter: Jitter{Brightness: -1}},
		{Resize: Resize{Width: 3}}, {Resize: Resize{ShortSides: []int{5}, LongMax: 4}}, {Resize: Resize{Width: 1, Height: 1, ShortSides: []int{1}}},
		{Resize: Resize{ShortSides: []int{4}, LongMax: 8, Truncate: true}}, {Resize: Resize{Width: 4, Height: 4, Truncate: true}},
		{Crop: Crop{Pad: 4}}, {Crop: Crop{Center: true}}, {Crop: Crop{W: 8, H: 8, Pad: -1}}, {Crop: Crop{W: 8, H: 8, Reflect: true}},
		{Crop: Crop{W: 8, H: 8, Pad: 2, Center: true}}, {Crop: Crop{W: 8, H: 8, Pad: 2, MaxShare: 0.5}},
		{Part: RandomPart{W: 8}}, {Part: RandomPart{Scale: [2]float64{0.5, 1}}}, {Part: RandomPart{W: 8, H: 8, Scale: [2]float64{0, 1}}},
		{Part: RandomPart{W: 8, H: 8, Ratio: [2]float64{2, 1}}}, {Part: RandomPart{W: 8, H: 8}, Crop: Crop{W: 8, H: 8}},
		{Part: RandomPart{W: 8, H: 8}, Resize: Resize{ShortSides: []int{16}}}, {Part: RandomPart{W: 8, H: 8}, Scale: [2]float64{1, 2}},
	} {
		if _, err := NewRenderer(c); err == nil {
			t.Errorf("%+v: no error", c)
		}
	}
}

func TestPictureUndoesNormalisation(t *testing.T) {
	var want expected
	readJSON(t, "testdata/expected.json", &want)
	canvas := pixels(t, Config{}, "testdata/plain.png", Params{})
	img, err := Config{}.Picture(canvas, 20, 20, 14)
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range want.Images["plain.png"] {
		if got := img.Pix[i/3*4+i%3]; float32(got) != v {
			t.Fatalf("value %d is %d, want %v", i, got, v)
		}
	}
	if _, err := (Config{}).Picture(canvas, 20, 21, 14); err == nil {
		t.Error("wider than the canvas: no error")
	}
}
