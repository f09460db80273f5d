package augment

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"gocv.io/x/gocv"

	"manvision/internal/testdata"
)

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
