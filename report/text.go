package report

import (
	"image"
	"image/color"
	"image/draw"
	"sync"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/gomedium"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/math/fixed"
)

// typeface is the Go font (Latin, Greek, Cyrillic). Other letters show as boxes.
var typeface = sync.OnceValue(func() *opentype.Font {
	f, err := opentype.Parse(gomedium.TTF)
	if err != nil {
		panic("report: the font compiled into the program does not parse: " + err.Error())
	}
	return f
})

// newFace returns the font at a height in pixels. A face is not safe for use by
// several goroutines, so every picture makes its own.
func newFace(pixels int) font.Face {
	face, err := opentype.NewFace(typeface(), &opentype.FaceOptions{Size: float64(pixels), DPI: 72, Hinting: font.HintingFull})
	if err != nil {
		panic("report: font face: " + err.Error())
	}
	return face
}

// textHeight is the height of a line, from the ascent to the descent.
func textHeight(f font.Face) int {
	m := f.Metrics()
	return (m.Ascent + m.Descent).Ceil()
}

// drawText writes a line whose upper left corner is at p.
func drawText(dst draw.Image, f font.Face, p image.Point, ink color.Color, text string) {
	d := font.Drawer{Dst: dst, Src: image.NewUniform(ink), Face: f,
		Dot: fixed.P(p.X, p.Y+f.Metrics().Ascent.Ceil())}
	d.DrawString(text)
}

// fitText shortens text with "…" until it is at most width pixels wide.
func fitText(f font.Face, text string, width int) string {
	if font.MeasureString(f, text).Ceil() <= width {
		return text
	}
	runes := []rune(text)
	for len(runes) > 0 {
		runes = runes[:len(runes)-1]
		if s := string(runes) + "…"; font.MeasureString(f, s).Ceil() <= width {
			return s
		}
	}
	return ""
}
