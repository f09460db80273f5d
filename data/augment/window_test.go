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

// With any interpolation, a window shows what the whole image shows there.
func TestWindowOfWhole(t *testing.T) {
	for _, how := range []Interpolation{Linear, Area, Cubic} {
		for _, size := range [][2]int{{30, 20}, {60, 40}, {83, 55}} {
			cfg := identity()
			cfg.Interpolation = how
			r, err := NewRenderer(cfg)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			r.src.Close()
			r.src, r.opened = noisy(60, 40, 1), true
			w, h := size[0], size[1]
			whole := make([]float32, w*h*3)
			if err := r.Draw(Params{SrcW: 60, SrcH: 40, InW: w, InH: h}, whole, h, w); err != nil {
				t.Fatal(err)
			}
			p := Params{SrcW: 60, SrcH: 40, ScaledW: w, ScaledH: h, CropX: 7, CropY: 5, InW: 16, InH: 12, Flip: true}
			got := make([]float32, p.InW*p.InH*3)
			if err := r.Draw(p, got, p.InH, p.InW); err != nil {
				t.Fatal(err)
			}
			for y := range p.InH {
				for x := range p.InW {
					at := (p.CropY+y)*w + p.CropX + p.InW - 1 - x
					if a, b := [3]float32(got[(y*p.InW+x)*3:]), [3]float32(whole[at*3:]); a != b {
						t.Fatalf("interpolation %d to %dx%d: %v at %d,%d of the window, %v in the whole", how, w, h, a, x, y, b)
					}
				}
			}
		}
	}
}
