package report

import (
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"math"
	"sort"

	"github.com/disintegration/imaging"
	"golang.org/x/image/font"
)

// Mark is one box to draw.
type Mark struct {
	Box   [4]float64 // x1 y1 x2 y2 in pixels of the picture
	Class int        // chooses the colour, see Colour
	Name  string     // written beside the box; empty: none
	Score float64    // written after the name; negative: none (a ground truth)
}

// DrawDetections returns a copy of img with the marks drawn on it, best score on
// top. Line width and letters grow with the picture. Boxes may reach over the
// edge; those that are not finite, or lie wholly outside, are left out. A label
// stands above its box if it fits there, otherwise inside or below, clear of
// better boxes' labels where there is room.
func DrawDetections(img image.Image, marks []Mark) *image.NRGBA {
	out := imaging.Clone(img)
	side := min(out.Rect.Dx(), out.Rect.Dy())
	line := max(1, (side+100)/250)
	face := newFace(min(28, max(11, side/32)))
	defer face.Close()

	order := make([]int, 0, len(marks))
	for i, m := range marks {
		if visible(m.Box, out.Rect) {
			order = append(order, i)
		}
	}
	sort.SliceStable(order, func(a, b int) bool { return marks[order[a]].Score > marks[order[b]].Score })
	labels := make([]label, len(order))
	var taken []image.Rectangle
	for k, i := range order {
		labels[k] = placeLabel(marks[i], face, out.Rect, taken)
		if !labels[k].at.Empty() {
			taken = append(taken, labels[k].at)
		}
	}
	for k := len(order) - 1; k >= 0; k-- {
		frame(out, pixels(marks[order[k]].Box), line, Colour(marks[order[k]].Class))
	}
	for k := len(order) - 1; k >= 0; k-- {
		l := labels[k]
		if l.at.Empty() {
			continue
		}
		back := Colour(marks[order[k]].Class)
		draw.Draw(out, l.at, image.NewUniform(back), image.Point{}, draw.Src)
		drawText(out, face, l.at.Min.Add(image.Pt(labelPad, 0)), inkOn(back), l.text)
	}
	return out
}

const labelPad = 3 // pixels left and right of a label's text

type label struct {
	text string
	at   image.Rectangle
}

// visible says whether some of the box lies in r. Corners far outside an int's
// range would not survive the conversion to pixels.
func visible(b [4]float64, r image.Rectangle) bool {
	for _, v := range b {
		if !(math.Abs(v) < 1e8) {
			return false
		}
	}
	return b[2] > b[0] && b[3] > b[1] && b[0] < float64(r.Max.X) && b[1] < float64(r.Max.Y) && b[2] > 0 && b[3] > 0
}

// pixels is the smallest pixel rectangle around a box.
func pixels(b [4]float64) image.Rectangle {
	return image.Rect(int(math.Floor(b[0])), int(math.Floor(b[1])), int(math.Ceil(b[2])), int(math.Ceil(b[3])))
}

// frame draws the border of r, inwards, width pixels wide, with a thin dark edge
// so that it stands out on any picture.
func frame(dst draw.Image, r image.Rectangle, width int, c color.NRGBA) {
	if width > 1 {
		border(dst, r.Inset(-1), 1, color.NRGBA{0, 0, 0, 110})
	}
	border(dst, r, width, c)
}

func border(dst draw.Image, r image.Rectangle, width int, c color.Color) {
	src := image.NewUniform(c)
	for _, side := range []image.Rectangle{
		{r.Min, image.Pt(r.Max.X, r.Min.Y+width)},
		{image.Pt(r.Min.X, r.Max.Y-width), r.Max},
		{image.Pt(r.Min.X, r.Min.Y+width), image.Pt(r.Min.X+width, r.Max.Y-width)},
		{image.Pt(r.Max.X-width, r.Min.Y+width), image.Pt(r.Max.X, r.Max.Y-width)},
	} {
		draw.Draw(dst, side.Intersect(r), src, image.Point{}, draw.Over)
	}
}

func placeLabel(m Mark, face font.Face, bounds image.Rectangle, taken []image.Rectangle) label {
	text := m.Name
	if m.Score >= 0 {
		text = fmt.Sprintf("%s %.2f", m.Name, m.Score)
		if m.Name == "" {
			text = text[1:]
		}
	}
	text = fitText(face, text, bounds.Dx()-2*labelPad)
	if text == "" {
		return label{}
	}
	w, h := font.MeasureString(face, text).Ceil()+2*labelPad, textHeight(face)
	box := pixels(m.Box).Intersect(bounds)
	x := max(bounds.Min.X, min(box.Min.X, bounds.Max.X-w))
	var first image.Rectangle
	for _, y := range []int{box.Min.Y - h, box.Min.Y, box.Max.Y, box.Max.Y - h, box.Min.Y + h} {
		at := image.Rect(x, y, x+w, y+h)
		if !at.In(bounds) {
			continue
		}
		if first.Empty() {
			first = at
		}
		if !overlapsAny(at, taken) {
			return label{text, at}
		}
	}
	return label{text, first}
}

func overlapsAny(r image.Rectangle, others []image.Rectangle) bool {
	for _, o := range others {
		if r.Overlaps(o) {
			return true
		}
	}
	return false
}
