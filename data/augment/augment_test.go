package augment

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"gocv.io/x/gocv"

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

// Expected pixels: Pillow 9.4 (testdata/gen_images.py).
func TestDecodeForms(t *testing.T) {
	var want expected
	readJSON(t, "testdata/expected.json", &want)
	for name, px := range want.Images {
		tolerance := 0.51 // rounding of the division by 255
		if name == "cmyk.jpg" {
			tolerance = 2 // CMYK has no one conversion
		}
		got := pixels(t, identity(), filepath.Join("testdata", name), Params{})
		if worst, _ := maxDiff(t, got, px); worst > tolerance {
			t.Errorf("%s: differs by %v", name, worst)
		}
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

func TestOrientation(t *testing.T) {
	plain := pixels(t, identity(), "testdata/plain.jpg", Params{})
	stored := pixels(t, identity(), "testdata/exif6.jpg", Params{})
	if worst, _ := maxDiff(t, stored, plain); worst != 0 {
		t.Errorf("as stored: differs by %v from the file without EXIF", worst)
	}
	cfg := identity()
	cfg.ApplyOrientation = true
	turned := pixels(t, cfg, "testdata/exif6.jpg", Params{})
	const w, h = 20, 14
	for y := 0; y < h; y++ {
		for x := 0; x < w; x++ { // a quarter clockwise: row y becomes column h-1-y
			if got, want := turned[(x*h+h-1-y)*3], plain[(y*w+x)*3]; got != want {
				t.Fatalf("turned: pixel %d,%d is %v, want %v", y, x, got, want)
			}
		}
	}
	r, _ := NewRenderer(identity())
	defer r.Close()
	if _, _, err := r.Open("testdata/exif6.jpg", h, w); err == nil || !strings.Contains(err.Error(), "EXIF orientation is 6") {
		t.Errorf("turned annotations: %v", err)
	}
	if h, err := headerOf("testdata/exif6.jpg"); err != nil || h.Orientation != 6 || h.Width != w {
		t.Errorf("header %+v %v", h, err)
	}
}

func headerOf(path string) (Header, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return Header{}, err
	}
	return ReadHeader(b)
}

// Every prefix of a valid file is refused, and so is other damage: never a
// panic, never grey rows.
func TestTruncated(t *testing.T) {
	dir := t.TempDir()
	r, _ := NewRenderer(identity())
	defer r.Close()
	for _, name := range []string{"plain.jpg", "progressive.jpg", "exif6.jpg", "cmyk.jpg", "plain.png", "palette.png"} {
		whole, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, name)
		for n := 1; n < len(whole); n += 1 + n/40 {
			if err := os.WriteFile(path, whole[:n], 0o644); err != nil {
				t.Fatal(err)
			}
			_, _, err := r.Open(path, 0, 0)
			var ie *ImageError
			if !errors.As(err, &ie) || ie.File != path || ie.Bytes != int64(n) {
				// PNG: the last 4 bytes are IEND's checksum.
				t.Fatalf("%s cut to %d of %d bytes: %v", name, n, len(whole), err)
			}
		}
	}
}

func TestBadFiles(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, b []byte) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, b, 0o644); err != nil {
			t.Fatal(err)
		}
		return p
	}
	jpg, _ := os.ReadFile("testdata/plain.jpg")
	png, _ := os.ReadFile("testdata/plain.png")
	huge := bytes.Clone(jpg)
	sof := bytes.Index(huge, []byte{0xff, 0xc0})
	copy(huge[sof+5:], []byte{0xff, 0xff, 0xff, 0xff}) // 65535 x 65535
	flipped := bytes.Clone(png)
	flipped[len(flipped)/2] ^= 0xff
	pipe := filepath.Join(dir, "pipe.jpg")
	if err := syscall.Mkfifo(pipe, 0o644); err != nil {
		t.Fatal(err)
	}
	for i, c := range []struct{ path, want string }{
		{filepath.Join(dir, "missing.jpg"), "does not exist"},
		{dir, "is a folder"},
		{write("empty.jpg", nil), "the file is empty"},
		{write("text.jpg", []byte("hello, world")), `starts with "hello, world"`},
		{write("short.jpg", []byte{0xff, 0xd8}), "truncated JPEG"},
		{write("hollow.jpg", []byte{0xff, 0xd8, 0xff, 0xd9}), "without image data"},
		{write("huge.jpg", huge), "too large"},
		{write("flipped.png", flipped), "damaged PNG"},
		{pipe, "not a regular file"},
	} {
		r, _ := NewRenderer(identity())
		// An image opened before must not pass for the bad one.
		if _, _, err := r.Open("testdata/"+[]string{"plain.jpg", "plain.png"}[i%2], 0, 0); err != nil {
			t.Fatal(err)
		}
		_, _, err := r.Open(c.path, 0, 0)
		var ie *ImageError
		if !errors.As(err, &ie) || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), c.path) {
			t.Errorf("%s: %v, want %q", filepath.Base(c.path), err, c.want)
		}
		if err := r.Draw(Params{InW: 4, InH: 4}, make([]float32, 48), 4, 4); err == nil {
			t.Errorf("%s: drawn after a failed open", filepath.Base(c.path))
		}
		r.Close()
	}
	r, _ := NewRenderer(identity())
	defer r.Close()
	if _, _, err := r.Open("testdata/plain.png", 21, 14); err == nil || !strings.Contains(err.Error(), "the image is 20x14 but its annotations are for 21x14") {
		t.Errorf("wrong size: %v", err)
	}
}

// A truncated JPEG that was given an end-of-image marker again looks whole from
// outside; decoders fill it with grey. Bytes between segments harm nothing.
func TestDamagedInside(t *testing.T) {
	r, _ := NewRenderer(identity())
	defer r.Close()
	dir := t.TempDir()
	for _, name := range []string{"plain.jpg", "progressive.jpg", "grey.jpg"} {
		whole, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, name)
		b := append(bytes.Clone(whole[:len(whole)-12]), 0xff, 0xd9)
		if err := os.WriteFile(path, b, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := r.Inspect(path, 0, 0); err != nil {
			t.Errorf("%s: the container is whole, but %v", name, err)
		}
		if _, _, err := r.Open(path, 0, 0); err == nil || !strings.Contains(err.Error(), "damaged JPEG: Corrupt JPEG data") {
			t.Errorf("%s cut and closed again: %v", name, err)
		}
		b = append(bytes.Clone(whole[:2]), append([]byte{0, 0, 0}, whole[2:]...)...)
		if err := os.WriteFile(path, b, 0o644); err != nil {
			t.Fatal(err)
		}
		if _, _, err := r.Open(path, 0, 0); err != nil {
			t.Errorf("%s with stray bytes: %v", name, err)
		}
	}
}

// Bytes changed at random end in an image or an *ImageError, never in a crash.
func TestRandomDamage(t *testing.T) {
	r, _ := NewRenderer(identity())
	defer r.Close()
	path := filepath.Join(t.TempDir(), "image")
	rng := NewRandom(1)
	for _, name := range []string{"plain.jpg", "progressive.jpg", "exif6.jpg", "cmyk.jpg", "grey.jpg", "plain.png", "grey16.png", "palette.png", "alpha.png"} {
		whole, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		for range 150 {
			b := bytes.Clone(whole)
			for range 1 + rng.Intn(4) {
				b[rng.Intn(len(b))] = byte(rng.Uint64())
			}
			if err := os.WriteFile(path, b, 0o644); err != nil {
				t.Fatal(err)
			}
			var ie *ImageError
			if _, _, err := r.Open(path, 20, 14); err != nil && !errors.As(err, &ie) {
				t.Fatalf("%s: %v", name, err)
			}
		}
	}
}

// Both ways to decode a JPEG give the same pixels, at any scale.
func TestJPEGEqualsOpenCV(t *testing.T) {
	files, _ := filepath.Glob(filepath.Join(testdata.Shared(t, "coco/train2017"), "*.jpg"))
	a, b := gocv.NewMat(), gocv.NewMat()
	defer a.Close()
	defer b.Close()
	for i, path := range append(files, "testdata/progressive.jpg", "testdata/grey.jpg") {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for reduce, flag := range map[int]gocv.IMReadFlag{1: gocv.IMReadColor, 2: gocv.IMReadReducedColor2, 8: gocv.IMReadReducedColor8} {
			if reduce > 1 && i%8 != 0 {
				continue
			}
			if done, err := decodeJPEG(a, raw, reduce); !done || err != nil {
				t.Fatalf("%s: %v %v", path, done, err)
			}
			if err := decodeInto(b, raw, int(flag)); err != nil {
				t.Fatal(err)
			}
			if a.Cols() != b.Cols() || a.Rows() != b.Rows() || !bytes.Equal(a.ToBytes(), b.ToBytes()) {
				t.Errorf("%s at 1/%d: pixels differ from OpenCV's", path, reduce)
			}
		}
	}
}

// Random bytes after an image's magic number end in an error, not a crash.
func FuzzHeader(f *testing.F) {
	for _, name := range []string{"plain.jpg", "progressive.jpg", "exif6.jpg", "plain.png"} {
		b, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) { ReadHeader(b) })
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

func TestReducedDecode(t *testing.T) {
	path := filepath.Join(testdata.Shared(t, "coco/train2017"), "000000000009.jpg") // 640x480
	cfg := Config{Resize: Resize{ShortSides: []int{100}}, Interpolation: Area}
	full, fast := make([]float32, 100*133*3), make([]float32, 100*133*3)
	for reduced, dst := range map[bool][]float32{false: full, true: fast} {
		cfg.ReducedDecode = reduced
		r, err := NewRenderer(cfg)
		if err != nil {
			t.Fatal(err)
		}
		rng := NewRandom(1)
		if err := r.Render(path, cfg.Plan(&rng, 640, 480), dst, 100, 133); err != nil {
			t.Fatal(err)
		}
		if r.src.Cols() != map[bool]int{false: 640, true: 160}[reduced] {
			t.Errorf("reduced %v: decoded %d wide", reduced, r.src.Cols())
		}
		r.Close()
	}
	if worst, mean := maxDiff(t, fast, full); mean > 0.1 || worst == 0 {
		t.Errorf("mean difference %v, worst %v", mean, worst)
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
		{FlipProb: 1.5}, {FlipProb: math.NaN()}, {Interpolation: 3}, {Std: [3]float32{1, 0, 1}},
		{Jitter: Jitter{Hue: 0.6}}, {Jitter: Jitter{Contrast: math.NaN()}}, {Jitter: Jitter{Brightness: -1}},
		{Resize: Resize{Width: 3}}, {Resize: Resize{ShortSides: []int{5}, LongMax: 4}}, {Resize: Resize{Width: 1, Height: 1, ShortSides: []int{1}}},
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
