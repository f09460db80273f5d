package video

import (
	"bytes"
	"errors"
	"image"
	"image/color"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// clip writes a video of n frames of one colour each, or skips where OpenCV cannot.
func clip(t *testing.T, path string, n int) {
	t.Helper()
	w, err := Create(path, 12.5, 64, 48)
	if err != nil {
		t.Skipf("no video can be written here: %v", err)
	}
	img := image.NewNRGBA(image.Rect(0, 0, 64, 48))
	for i := range n {
		for k := range 64 * 48 {
			img.Set(k%64, k/64, color.NRGBA{uint8(20 * i), 10, 200, 255})
		}
		if err := w.Write(img); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestRoundTrip(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a b.avi")
	clip(t, path, 10)
	if files, _ := os.ReadDir(dir); len(files) != 1 {
		t.Errorf("left %v", files)
	}
	r, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if r.Width != 64 || r.Height != 48 || r.FPS != 12.5 || r.Frames != 10 {
		t.Errorf("%+v", r)
	}
	var rgb []uint8
	read := func(want int) bool {
		t.Helper()
		var frame int
		var seconds float64
		if frame, seconds, rgb, err = r.Next(rgb); err == io.EOF {
			return false
		}
		if err != nil || frame != want || math.Abs(seconds-float64(want)/12.5) > 1e-9 || len(rgb) != 64*48*3 {
			t.Fatalf("frame %d of %d at %v s, %d bytes, %v", frame, want, seconds, len(rgb), err)
		}
		// JPEG changes colours a little.
		for k, c := range []int{20 * want, 10, 200} {
			if d := int(rgb[3*(24*64+32)+k]) - c; d < -6 || d > 6 {
				t.Errorf("frame %d: %v", want, rgb[3*(24*64+32):][:3])
			}
		}
		return true
	}
	read(0)
	read(1)
	r.Skip(3)
	for i := 5; i < 10; i++ {
		if !read(i) {
			t.Fatalf("no frame %d", i)
		}
	}
	if read(10) || r.Short() != nil {
		t.Errorf("a frame behind the last, or %v", r.Short())
	}
}

// Other sizes than the video's are cut or filled, not scaled.
func TestSizes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.avi")
	w, err := Create(path, 5, 32, 32)
	if err != nil {
		t.Skipf("no video can be written here: %v", err)
	}
	for _, side := range []int{16, 64} {
		if err := w.Write(image.NewNRGBA(image.Rect(0, 0, side, side))); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	r, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for i, far := range []bool{true, false} {
		_, _, rgb, err := r.Next(nil)
		if err != nil {
			t.Fatal(err)
		}
		if rgb[0] > 20 || rgb[len(rgb)-1] > 235 != far {
			t.Errorf("frame %d: corners %d and %d", i, rgb[0], rgb[len(rgb)-1])
		}
	}
	w, err = Create(path, 5, 32, 32)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Discard(); err != nil {
		t.Error(err)
	}
	if files, _ := os.ReadDir(filepath.Dir(path)); len(files) != 1 {
		t.Errorf("left %v", files)
	}
	for _, bad := range []func() (*Writer, error){
		func() (*Writer, error) { return Create(filepath.Join(t.TempDir(), "a.mp4"), 5, 32, 32) },
		func() (*Writer, error) { return Create(path, 0, 32, 32) },
		func() (*Writer, error) { return Create(path, 5, 0, 32) },
		func() (*Writer, error) { return Create(filepath.Join(t.TempDir(), "no", "a.avi"), 5, 32, 32) },
	} {
		if _, err := bad(); err == nil {
			t.Error("was begun")
		}
	}
}

// Files cut off or damaged anywhere end in an error or in fewer frames, never in a crash
// or a hang.
func TestDamaged(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.avi")
	clip(t, path, 20)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	try := func(b []byte) (frames int, err error) {
		bad := filepath.Join(dir, "bad.avi")
		if err := os.WriteFile(bad, b, 0o666); err != nil {
			t.Fatal(err)
		}
		r, err := Open(bad)
		if err != nil {
			return 0, err
		}
		defer r.Close()
		for range 100 {
			if _, _, _, err := r.Next(nil); errors.Is(err, io.EOF) {
				return frames, r.Short()
			} else if err != nil {
				return frames, err
			}
			frames++
		}
		return frames, errors.New("endless")
	}
	if n, err := try(whole); n != 20 || err != nil {
		t.Fatal(n, err)
	}
	if n, err := try(whole[:len(whole)*4/5]); n == 0 || n >= 20 || err == nil || !strings.Contains(err.Error(), "frames could be read") {
		t.Errorf("a part of the file: %d frames, %v", n, err)
	}
	for at := 0; at < len(whole); at += 1 + len(whole)/60 {
		b := bytes.Clone(whole)
		b[at] ^= 0x55
		try(b)
		try(whole[:at])
	}
	for _, b := range [][]byte{nil, []byte("no video"), bytes.Repeat([]byte("RIFF"), 1000)} {
		if _, err := try(b); err == nil {
			t.Errorf("%q became a video", b[:min(4, len(b))])
		}
	}
	for _, path := range []string{dir, filepath.Join(dir, "none.avi")} {
		if _, err := Open(path); err == nil {
			t.Errorf("%s was opened", path)
		}
	}
}
