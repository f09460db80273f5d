package augment

import (
	"bytes"
	"image"
	"testing"

	"gocv.io/x/gocv"
	"pgregory.net/rapid"
)

// noisy is a w x h image of independent random bytes.
func noisy(w, h int, seed uint64) gocv.Mat {
	m := gocv.NewMatWithSize(h, w, gocv.MatTypeCV8UC3)
	px, _ := m.DataPtrUint8()
	r := NewRandom(seed)
	for i := range px {
		px[i] = uint8(r.Uint64())
	}
	return m
}

// A window resized alone has the pixels of the whole image that OpenCV resizes.
func TestResizeWindow(t *testing.T) {
	dst, whole := gocv.NewMat(), gocv.NewMat()
	defer dst.Close()
	defer whole.Close()
	rapid.Check(t, func(t *rapid.T) {
		side := rapid.IntRange(1, 70)
		src := noisy(side.Draw(t, "w"), side.Draw(t, "h"), rapid.Uint64().Draw(t, "seed"))
		defer src.Close()
		full := rapid.IntRange(1, 140)
		w, h := full.Draw(t, "full w"), full.Draw(t, "full h")
		if rapid.Bool().Draw(t, "half") {
			w, h = max(1, src.Cols()/2), max(1, src.Rows()/2)
		}
		x, y := rapid.IntRange(0, w-1).Draw(t, "x"), rapid.IntRange(0, h-1).Draw(t, "y")
		r := image.Rect(x, y, x+rapid.IntRange(1, w-x).Draw(t, "crop w"), y+rapid.IntRange(1, h-y).Draw(t, "crop h"))
		resizeInto(src, &whole, w, h, Linear)
		resizeWindow(src, &dst, w, h, r)
		window := whole.Region(r)
		defer window.Close()
		want := window.Clone()
		defer want.Close()
		if a, b := dst.ToBytes(), want.ToBytes(); !bytes.Equal(a, b) {
			for i := range a {
				if a[i] != b[i] {
					t.Fatalf("%dx%d to %dx%d, window %v: byte %d is %d, OpenCV's %d", src.Cols(), src.Rows(), w, h, r, i, a[i], b[i])
				}
			}
		}
	})
}
