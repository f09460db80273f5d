package report

import (
	"fmt"
	"image"
	"image/color"
	"image/draw"

	"github.com/disintegration/imaging"
	"golang.org/x/image/font"

	"manvision/data/labelmap"
)

// Palette returns the colours of classes: their own where they have some, those of
// Colour where all of them are black.
func Palette(classes []labelmap.Class) []color.NRGBA {
	out := make([]color.NRGBA, len(classes))
	own := false
	for i, c := range classes {
		own = own || c.Color != [3]uint8{}
		out[i] = color.NRGBA{c.Color[0], c.Color[1], c.Color[2], 255}
	}
	if !own {
		for i := range out {
			out[i] = Colour(i)
		}
	}
	return out
}

// labelAlpha is how much of a pixel's colour is its class's: enough to tell the
// classes apart, little enough to see what was labelled.
const labelAlpha = 0.6

// DrawLabels returns a copy of img, in grey, with a label map laid over it: every
// pixel in the colour of its class, so that hues are those of the legend whatever
// was on the picture, the edges between classes a little darker, pixels of no class
// (labelmap.Ignore and whatever palette does not have) dim. labels
// are the classes row by row, as many as img has pixels; another number is an error.
func DrawLabels(img image.Image, labels []uint8, palette []color.NRGBA) (*image.NRGBA, error) {
	out := imaging.Clone(img)
	w, h := out.Rect.Dx(), out.Rect.Dy()
	if len(labels) != w*h {
		return nil, fmt.Errorf("report: %d labels for a picture of %dx%d", len(labels), w, h)
	}
	for i, l := range labels {
		px := out.Pix[4*i : 4*i+3 : 4*i+3]
		if int(l) >= len(palette) {
			dim(px, 0.45)
			continue
		}
		dim(px, 1)
		c, alpha := palette[l], labelAlpha
		if i%w+1 < w && labels[i+1] != l || i+w < len(labels) && labels[i+w] != l {
			c.R, c.G, c.B, alpha = c.R/2, c.G/2, c.B/2, 0.85
		}
		mix(px, c, alpha)
	}
	return out, nil
}

// DrawErrors returns a copy of img on which the pixels that found labels otherwise
// than truth are red and the rest is grey: dim where truth is labelmap.Ignore. All
// three must be of one size.
func DrawErrors(img image.Image, truth, found []uint8) (*image.NRGBA, error) {
	out := imaging.Clone(img)
	w, h := out.Rect.Dx(), out.Rect.Dy()
	if len(truth) != w*h || len(found) != w*h {
		return nil, fmt.Errorf("report: %d and %d labels for a picture of %dx%d", len(truth), len(found), w, h)
	}
	for i, l := range truth {
		px := out.Pix[4*i : 4*i+3 : 4*i+3]
		switch {
		case l == labelmap.Ignore:
			dim(px, 0.3)
		case l != found[i]:
			dim(px, 1)
			mix(px, color.NRGBA{230, 30, 30, 255}, 0.75)
		default:
			dim(px, 0.8)
		}
	}
	return out, nil
}

// mix brings a pixel's red, green and blue by alpha towards c.
func mix(px []uint8, c color.NRGBA, alpha float64) {
	a := int(alpha*256 + 0.5)
	for k, v := range [3]uint8{c.R, c.G, c.B} {
		px[k] = uint8((int(px[k])*(256-a) + int(v)*a) >> 8)
	}
}

// dim makes a pixel grey (Rec. 709 luma) and darker.
func dim(px []uint8, by float64) {
	v := uint8(by * (0.2126*float64(px[0]) + 0.7152*float64(px[1]) + 0.0722*float64(px[2])))
	px[0], px[1], px[2] = v, v, v
}

// Swatch is one entry of a legend.
type Swatch struct {
	Colour color.NRGBA
	Text   string
}

// Legend returns img with the swatches written under it, in as many lines as its
// width needs. Without swatches it is img.
func Legend(img image.Image, swatches []Swatch) image.Image {
	if len(swatches) == 0 {
		return img
	}
	b := img.Bounds()
	face := newFace(min(24, max(11, b.Dx()/88)))
	defer face.Close()
	line := textHeight(face)
	box, gap := line*3/4, line/2
	type entry struct {
		Swatch
		at image.Point
	}
	entries := make([]entry, len(swatches))
	x, y := gap, b.Dy()+gap
	for i, s := range swatches {
		s.Text = fitText(face, s.Text, max(0, b.Dx()-3*gap-box))
		width := box + gap/2 + font.MeasureString(face, s.Text).Ceil()
		if x > gap && x+width > b.Dx()-gap {
			x, y = gap, y+line+gap/2
		}
		entries[i] = entry{s, image.Pt(x, y)}
		x += width + 2*gap
	}
	out := imaging.New(b.Dx(), y+line+gap, paper)
	draw.Draw(out, image.Rect(0, 0, b.Dx(), b.Dy()), img, b.Min, draw.Src)
	for _, e := range entries {
		at := image.Rect(0, 0, box, box).Add(e.at).Add(image.Pt(0, (line-box)/2))
		draw.Draw(out, at, image.NewUniform(e.Colour), image.Point{}, draw.Src)
		border(out, at, 1, color.NRGBA{0, 0, 0, 110})
		drawText(out, face, e.at.Add(image.Pt(box+gap/2, 0)), ink, e.Text)
	}
	return out
}
