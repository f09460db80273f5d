package segmentation

import (
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"manvision/data/augment"
)

// A part of a picture is what the whole picture shows there, mirrored or not.
func TestPartsOfAFile(t *testing.T) {
	img := image.NewNRGBA(image.Rect(0, 0, 37, 23))
	for y := range 23 {
		for x := range 37 {
			img.Set(x, y, color.NRGBA{uint8(x * 6), uint8(y * 11), uint8(x*y) % 251, 255})
		}
	}
	path := filepath.Join(t.TempDir(), "a.png")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := png.Encode(f, img); err != nil {
		t.Fatal(err)
	}
	r, err := augment.NewRenderer(augment.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	width, height, err := r.Open(path, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	p := Opened(r, width, height)
	if w, h := p.Size(); w != 37 || h != 23 {
		t.Fatalf("%dx%d", w, h)
	}
	for _, size := range [][2]int{{37, 23}, {64, 50}, {20, 20}} {
		w, h := size[0], size[1]
		whole := draw(t, p, Part{Width: w, Height: h, W: w, H: h}, h, w)
		mirror := draw(t, p, Part{Width: w, Height: h, W: w, H: h, Flip: true}, h, w)
		for y := range h {
			for x := range w {
				if !slices.Equal(whole[(y*w+x)*3:][:3], mirror[(y*w+w-1-x)*3:][:3]) {
					t.Fatalf("%dx%d: mirrored pixel %d,%d differs", w, h, x, y)
				}
			}
		}
		for flip, from := range map[bool][]float32{false: whole, true: mirror} {
			part := draw(t, p, Part{Width: w, Height: h, Flip: flip, X: 5, Y: 3, W: 14, H: 11}, 32, 32)
			for y := range 32 {
				for x := range 32 {
					want := []float32{0, 0, 0}
					if x < 14 && y < 11 {
						want = from[((y+3)*w+x+5)*3:][:3]
					}
					if !slices.Equal(part[(y*32+x)*3:][:3], want) {
						t.Fatalf("%dx%d, mirrored %v: pixel %d,%d of the part is not that of the whole", w, h, flip, x, y)
					}
				}
			}
		}
	}
}

func draw(t *testing.T, p Picture, part Part, h, w int) []float32 {
	t.Helper()
	canvas := make([]float32, h*w*3)
	for i := range canvas {
		canvas[i] = 7
	}
	if err := p.Draw(part, canvas, h, w); err != nil {
		t.Fatal(err)
	}
	return canvas
}
