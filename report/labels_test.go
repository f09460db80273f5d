package report

import (
	"image/color"
	"testing"

	"manvision/data/labelmap"
)

func TestDrawLabels(t *testing.T) {
	img := grey(8, 4)
	labels := make([]uint8, 32)
	for i := range labels {
		switch {
		case i%8 >= 6:
			labels[i] = labelmap.Ignore
		case i%8 >= 3:
			labels[i] = 1
		}
	}
	palette := []color.NRGBA{{0, 0, 0, 255}, {255, 0, 0, 255}}
	out, err := DrawLabels(img, labels, palette)
	if err != nil {
		t.Fatal(err)
	}
	// By hand: alpha 0.6 is 154/256. 128·102/256 = 51; (128·102+255·154)/256 = 204.
	// A pixel left of another class is an edge: alpha 0.85 (218/256) of half the colour.
	// No class: 0.45·128 = 57.
	for x, want := range map[int]color.NRGBA{0: {51, 51, 51, 255}, 2: {19, 19, 19, 255}, 4: {204, 51, 51, 255}, 5: {127, 19, 19, 255}, 6: {57, 57, 57, 255}} {
		if got := out.NRGBAAt(x, 2); got != want {
			t.Errorf("column %d: %v, want %v", x, got, want)
		}
	}
	if img.NRGBAAt(0, 0).R != 128 {
		t.Error("the picture given was changed")
	}
	if _, err := DrawLabels(img, labels[1:], palette); err == nil {
		t.Error("too few labels: no error")
	}
}

func TestDrawErrors(t *testing.T) {
	out, err := DrawErrors(grey(3, 1), []uint8{0, 1, labelmap.Ignore}, []uint8{0, 0, 0})
	if err != nil {
		t.Fatal(err)
	}
	// By hand: 0.8·128 = 102; (128·64+230·192)/256 = 204, (128·64+30·192)/256 = 54;
	// 0.3·128 = 38.
	for x, want := range []color.NRGBA{{102, 102, 102, 255}, {204, 54, 54, 255}, {38, 38, 38, 255}} {
		got := out.NRGBAAt(x, 0)
		if d := int(got.R) - int(want.R); d < -1 || d > 1 || got.A != 255 || got.G > want.G+1 {
			t.Errorf("column %d: %v, want %v", x, got, want)
		}
	}
	if _, err := DrawErrors(grey(3, 1), []uint8{0, 1}, []uint8{0, 0, 0}); err == nil {
		t.Error("too few labels: no error")
	}
}

func TestPalette(t *testing.T) {
	own := Palette([]labelmap.Class{{Name: "a"}, {Name: "b", Color: [3]uint8{1, 2, 3}}})
	if own[0] != (color.NRGBA{0, 0, 0, 255}) || own[1] != (color.NRGBA{1, 2, 3, 255}) {
		t.Errorf("%v", own)
	}
	if none := Palette(make([]labelmap.Class, 3)); none[0] == none[1] || none[2] != Colour(2) {
		t.Errorf("classes without colours: %v", none)
	}
}

func TestLegend(t *testing.T) {
	img := grey(200, 50)
	if Legend(img, nil) != img {
		t.Error("an empty legend changes the picture")
	}
	one := Legend(img, []Swatch{{Colour(0), "road"}})
	many := make([]Swatch, 19)
	for i := range many {
		many[i] = Swatch{Colour(i), "a class with a name that is long"}
	}
	all := Legend(img, many)
	if one.Bounds().Dx() != 200 || one.Bounds().Dy() <= 50 || all.Bounds().Dx() != 200 || all.Bounds().Dy() < 50+19*11 {
		t.Errorf("%v and %v", one.Bounds(), all.Bounds())
	}
	Legend(grey(1, 1), many) // no room for anything
}
