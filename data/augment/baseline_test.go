package augment

import (
	"bytes"
	"image"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"gocv.io/x/gocv"

	"manvision/internal/testdata"
)

// sameAsLibjpeg says whether the fast decoder takes a file; where it does, its
// pixels must be libjpeg's, which must find nothing wrong with the file.
func sameAsLibjpeg(t *testing.T, name string, d jpegDecoder, a, b *gocv.Mat, file []byte) bool {
	t.Helper()
	if !d.decode(*a, file) {
		return false
	}
	done, err := decodeJPEG(*b, file, 1)
	if err != nil || !done {
		t.Fatalf("%s: decoded, but libjpeg says %v, %v", name, done, err)
	}
	if a.Cols() != b.Cols() || a.Rows() != b.Rows() {
		t.Fatalf("%s: %dx%d, libjpeg has %dx%d", name, a.Cols(), a.Rows(), b.Cols(), b.Rows())
	}
	pa, pb := a.ToBytes(), b.ToBytes()
	for i := range pa {
		if pa[i] != pb[i] {
			t.Fatalf("%s (%dx%d): byte %d at %d,%d is %d, libjpeg has %d", name, a.Cols(), a.Rows(), i%3, i/3%a.Cols(), i/3/a.Cols(), pa[i], pb[i])
		}
	}
	return true
}

// jpegPicture is smooth shapes with noise and some flat parts.
func jpegPicture(rng *rand.Rand, w, h int) gocv.Mat {
	m := gocv.NewMatWithSize(h, w, gocv.MatTypeCV8UC3)
	px, _ := m.DataPtrUint8()
	noise := rng.IntN(200)
	for y := range h {
		for x := range w {
			for c := range 3 {
				v := (x*(c+1) + y*(3-c)) / 2 % 256
				if (x/32+y/32)%2 == 0 {
					v = 40 * c
				} else if noise > 0 {
					v += rng.IntN(noise) - noise/2
				}
				px[(y*w+x)*3+c] = uint8(min(max(v, 0), 255))
			}
		}
	}
	return m
}

// Odd sizes, every quality, grey and restart intervals: bit for bit libjpeg's
// pixels.
func TestBaselineEqualsLibjpeg(t *testing.T) {
	const restart = 4 // IMWRITE_JPEG_RST_INTERVAL, for which gocv has no name
	d, a, b := newJPEGDecoder(), gocv.NewMat(), gocv.NewMat()
	defer d.close()
	defer a.Close()
	defer b.Close()
	rng := rand.New(rand.NewPCG(1, 2))
	taken := 0
	for k := range 120 {
		w, h := 16+rng.IntN(120), 16+rng.IntN(120)
		m := jpegPicture(rng, w, h)
		if k%10 == 0 {
			gocv.CvtColor(m, &m, gocv.ColorBGRToGray)
		}
		params := []int{gocv.IMWriteJpegQuality, 1 + rng.IntN(100), gocv.IMWriteJpegOptimize, k % 2}
		if k%3 == 0 {
			params = append(params, restart, 1+rng.IntN(9))
		}
		buf, err := gocv.IMEncodeWithParams(gocv.JPEGFileExt, m, params)
		m.Close()
		if err != nil {
			t.Fatal(err)
		}
		if sameAsLibjpeg(t, "written", d, &a, &b, bytes.Clone(buf.GetBytes())) {
			taken++
		}
		buf.Close()
	}
	if taken == 0 {
		t.Skip("this machine has no AVX2: libjpeg decodes everything")
	}
	if taken != 120 {
		t.Errorf("%d of 120 files were left to libjpeg", 120-taken)
	}
}

func TestBaselineRealImages(t *testing.T) {
	d, a, b := newJPEGDecoder(), gocv.NewMat(), gocv.NewMat()
	defer d.close()
	defer a.Close()
	defer b.Close()
	files, _ := filepath.Glob(filepath.Join(testdata.Shared(t, "coco/train2017"), "*.jpg"))
	// The samplings of Pillow's writer (testdata/gen_sampling.py), too.
	samplings, _ := filepath.Glob("testdata/sampling_*.jpg")
	files = append(files, samplings...)
	taken := 0
	for _, f := range files {
		buf, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if sameAsLibjpeg(t, filepath.Base(f), d, &a, &b, buf) {
			taken++
		} else if taken > 0 && filepath.Dir(f) == "testdata" {
			t.Errorf("%s is left to libjpeg", f)
		}
	}
	if taken > 0 && taken < len(files)*9/10 {
		t.Errorf("only %d of %d files are decoded without libjpeg", taken, len(files))
	}
}

// Whatever is damaged is either left to libjpeg, or both see the same picture.
func TestBaselineDamage(t *testing.T) {
	d, a, b := newJPEGDecoder(), gocv.NewMat(), gocv.NewMat()
	defer d.close()
	defer a.Close()
	defer b.Close()
	rng := rand.New(rand.NewPCG(3, 4))
	m := jpegPicture(rng, 96, 64)
	defer m.Close()
	buf, err := gocv.IMEncodeWithParams(gocv.JPEGFileExt, m, []int{gocv.IMWriteJpegQuality, 80})
	if err != nil {
		t.Fatal(err)
	}
	defer buf.Close()
	whole := bytes.Clone(buf.GetBytes())
	for n := 1; n < len(whole); n++ {
		if d.decode(a, whole[:n]) {
			t.Fatalf("a file cut off at %d of %d is taken", n, len(whole))
		}
	}
	for range 4000 {
		bad := bytes.Clone(whole)
		for range 1 + rng.IntN(4) {
			bad[rng.IntN(len(bad))] = byte(rng.IntN(256))
		}
		if !d.decode(a, bad) {
			continue
		}
		if a.Cols() < 16 || a.Rows() < 16 {
			t.Fatalf("a picture of %v", image.Pt(a.Cols(), a.Rows()))
		}
		if done, err := decodeJPEG(b, bad, 1); done && err != nil {
			t.Fatalf("taken, but libjpeg says: %v", err)
		}
	}
}
