package report

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"testing"
)

func grey(w, h int) *image.NRGBA {
	img := image.NewNRGBA(image.Rect(0, 0, w, h))
	for i := range img.Pix {
		img.Pix[i] = 128
		if i%4 == 3 {
			img.Pix[i] = 255
		}
	}
	return img
}

func TestDrawDetections(t *testing.T) {
	img := grey(200, 100)
	before := bytes.Clone(img.Pix)
	out := DrawDetections(img, []Mark{{Box: [4]float64{20, 40, 120, 90}, Class: 3, Name: "cup", Score: 0.5}})
	if !bytes.Equal(before, img.Pix) {
		t.Error("the picture given was changed")
	}
	c := Colour(3)
	for _, p := range []image.Point{{20, 60}, {119, 60}, {70, 40}, {70, 89}} {
		if got := out.NRGBAAt(p.X, p.Y); got != c {
			t.Errorf("border at %v is %v, want %v", p, got, c)
		}
	}
	if got := out.NRGBAAt(70, 60); got != (color.NRGBA{128, 128, 128, 255}) {
		t.Errorf("inside of the box is %v", got)
	}
	if got := out.NRGBAAt(21, 38); got != c {
		t.Errorf("label above the box is %v, want its ground %v", got, c)
	}
}

// Whatever a model predicts must draw: a panic here would end an evaluation.
func TestDrawHostileMarks(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	marks := []Mark{
		{Box: [4]float64{nan, 0, 5, 5}}, {Box: [4]float64{-inf, -inf, inf, inf}}, {Box: [4]float64{5, 5, 5, 9}},
		{Box: [4]float64{9, 9, 2, 2}}, {Box: [4]float64{-1e300, 0, 1e300, 4}}, {Box: [4]float64{-50, -50, 900, 900}, Name: "all"},
		{Box: [4]float64{1000, 1000, 1010, 1010}}, {Box: [4]float64{0.2, 0.2, 0.4, 0.4}, Name: "tiny", Score: nan, Class: -5},
		{Box: [4]float64{1, 1, 5, 5}, Name: "a name much longer than the picture is wide \x1b[31m 猫", Score: 0.3, Class: 1 << 40},
	}
	for _, size := range []image.Point{{1, 1}, {3, 200}, {64, 48}} {
		DrawDetections(grey(size.X, size.Y), marks)
	}
	moved := grey(40, 40).SubImage(image.Rect(10, 10, 30, 30)) // bounds that do not start at 0
	if out := DrawDetections(moved, marks); out.Rect != image.Rect(0, 0, 20, 20) {
		t.Errorf("bounds %v", out.Rect)
	}
}

func TestColoursDiffer(t *testing.T) {
	seen := map[color.NRGBA]int{}
	for c := range 90 {
		if other, ok := seen[Colour(c)]; ok {
			t.Errorf("classes %d and %d have one colour", other, c)
		}
		seen[Colour(c)] = c
	}
	// hsl(0°, 1, 0.5) is pure red, 120° green, 240° blue: by definition.
	for h, want := range map[float64]color.NRGBA{0: {255, 0, 0, 255}, 120: {0, 255, 0, 255}, 240: {0, 0, 255, 255}} {
		if got := hsl(h, 1, 0.5); got != want {
			t.Errorf("hue %v: %v, want %v", h, got, want)
		}
	}
}

func TestContactSheet(t *testing.T) {
	tiles := []Tile{{grey(400, 200), "one"}, {grey(100, 300), ""}, {grey(20, 20), "three, with a title much wider than its cell"}}
	out, err := ContactSheet(tiles, 2, 100)
	if err != nil {
		t.Fatal(err)
	}
	// Two columns of 100 and three gaps of 10; the first row is as high as its
	// higher picture (100x300 shrunk to 33x100), the second 20 (not enlarged).
	bar := textHeight(newFace(14)) + 4
	if want := image.Rect(0, 0, 230, 10+100+bar+10+20+bar+10); out.Rect != want {
		t.Errorf("bounds %v, want %v", out.Rect, want)
	}
	if _, err := ContactSheet([]Tile{{nil, "x"}}, 0, 0); err == nil {
		t.Error("a tile without an image: no error")
	}
	if _, err := ContactSheet(tiles, -1, 0); err == nil {
		t.Error("-1 columns: no error")
	}
	if _, err := ContactSheet(nil, 0, 0); err != nil {
		t.Error("an empty sheet:", err)
	}
}

func TestSideBySideAndSavePNG(t *testing.T) {
	out := SideBySide(grey(100, 80), grey(50, 40), "ground truth", "prediction")
	if out.Rect.Dx() != 100+8+100 {
		t.Errorf("width %d, want 208: the right picture is scaled to the left one's height", out.Rect.Dx())
	}
	path := filepath.Join(t.TempDir(), "new", "pair.png")
	if err := SavePNG(path, out); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := png.Decode(bytes.NewReader(data)); err != nil || got.Bounds() != out.Rect {
		t.Errorf("read back: %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if err := SavePNG(filepath.Join(path, "x.png"), out); err == nil {
		t.Error("a file as folder: no error")
	}
}
