package data

import (
	"bytes"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"manvision/data/augment"
)

// An image in memory is drawn as the file that holds the same pixels.
func TestOpenItem(t *testing.T) {
	img := image.NewNRGBA(image.Rect(0, 0, 21, 13))
	var rgb []uint8
	for i := range 21 * 13 {
		img.Pix[4*i], img.Pix[4*i+1], img.Pix[4*i+2], img.Pix[4*i+3] = uint8(7*i), uint8(3*i), uint8(i), 255
		rgb = append(rgb, img.Pix[4*i:][:3]...)
	}
	var b bytes.Buffer
	path := filepath.Join(t.TempDir(), "a.png")
	if err := png.Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b.Bytes(), 0o666); err != nil {
		t.Fatal(err)
	}
	r, err := augment.NewRenderer(augment.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var drawn [2][]float32
	for i, item := range []Item{{Path: path, Width: 21, Height: 13}, {Path: "frame", Width: 21, Height: 13, Pixels: rgb}} {
		w, h, err := item.Open(r)
		if err != nil || w != 21 || h != 13 {
			t.Fatal(w, h, err)
		}
		drawn[i] = make([]float32, 21*13*3)
		if err := r.Draw(augment.Params{SrcW: w, SrcH: h, ScaledW: w, ScaledH: h, InW: w, InH: h}, drawn[i], h, w); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(drawn[0], drawn[1]) {
		t.Error("the pixels differ")
	}
	for _, bad := range []Item{{Path: path, Width: 20, Height: 13}, {Width: 20, Height: 13, Pixels: rgb}} {
		if _, _, err := bad.Open(r); err == nil {
			t.Errorf("%dx%d was accepted", bad.Width, bad.Height)
		}
	}
}
