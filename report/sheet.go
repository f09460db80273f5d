package report

import (
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"io"
	"os"
	"path/filepath"

	"github.com/disintegration/imaging"

	"manvision/internal/atomicfile"
)

var (
	paper = color.NRGBA{250, 250, 250, 255}
	ink   = color.NRGBA{40, 40, 40, 255}
)

// Tile is one picture of a contact sheet and the line written under it.
type Tile struct {
	Image image.Image
	Title string
}

// ContactSheet lays tiles out in rows of the given number of columns (0: about
// as many columns as rows), each picture shrunk to fit a square of cell pixels
// (0: 320) and never enlarged. It returns an error where a size is negative or
// a tile has no image.
func ContactSheet(tiles []Tile, columns, cell int) (*image.NRGBA, error) {
	if columns < 0 || cell < 0 {
		return nil, fmt.Errorf("report: contact sheet: %d columns of %d pixels; neither may be negative", columns, cell)
	}
	if cell == 0 {
		cell = 320
	}
	if columns == 0 {
		for columns*columns < len(tiles) {
			columns++
		}
	}
	columns = max(1, min(columns, len(tiles)))
	face := newFace(14)
	defer face.Close()
	const gap = 10
	bar := 0
	for i, t := range tiles {
		if t.Image == nil || t.Image.Bounds().Empty() {
			return nil, fmt.Errorf("report: contact sheet: tile %d (%q) has no image", i, t.Title)
		}
		if t.Title != "" {
			bar = textHeight(face) + 4
		}
	}
	// Shrink first, so that rows are only as high as their highest picture.
	small := make([]*image.NRGBA, len(tiles))
	rows := (len(tiles) + columns - 1) / columns
	heights := make([]int, rows)
	total := gap
	for i, t := range tiles {
		small[i] = imaging.Fit(t.Image, cell, cell, imaging.CatmullRom)
		heights[i/columns] = max(heights[i/columns], small[i].Rect.Dy())
	}
	for _, h := range heights {
		total += h + bar + gap
	}
	out := imaging.New(gap+columns*(cell+gap), total, paper)
	y := gap
	for r := range rows {
		for c := range columns {
			i := r*columns + c
			if i >= len(tiles) {
				break
			}
			x, m := gap+c*(cell+gap), small[i]
			at := image.Pt(x+(cell-m.Rect.Dx())/2, y+(heights[r]-m.Rect.Dy())/2)
			draw.Draw(out, m.Rect.Add(at), m, image.Point{}, draw.Over)
			drawText(out, face, image.Pt(x, y+heights[r]+2), ink, fitText(face, tiles[i].Title, cell))
		}
		y += heights[r] + bar + gap
	}
	return out, nil
}

// SideBySide puts two pictures beside each other under a title each: ground truth
// left, prediction right. It is Row of two.
func SideBySide(left, right image.Image, leftTitle, rightTitle string) *image.NRGBA {
	return Row(Tile{left, leftTitle}, Tile{right, rightTitle})
}

// Row puts pictures beside each other, each under its title. Those of another height
// than the first are scaled to it.
func Row(tiles ...Tile) *image.NRGBA {
	if len(tiles) == 0 {
		return imaging.New(0, 0, paper)
	}
	height := tiles[0].Image.Bounds().Dy()
	face := newFace(min(24, max(12, height/28)))
	defer face.Close()
	const gap = 8
	bar := textHeight(face) + 6
	width := -gap
	scaled := make([]image.Image, len(tiles))
	for i, t := range tiles {
		scaled[i] = t.Image
		if b := t.Image.Bounds(); b.Dy() != height && !b.Empty() {
			scaled[i] = imaging.Resize(t.Image, 0, height, imaging.CatmullRom)
		}
		width += gap + scaled[i].Bounds().Dx()
	}
	out := imaging.New(width, bar+height, paper)
	x := 0
	for i, m := range scaled {
		b := m.Bounds()
		drawText(out, face, image.Pt(x+4, 3), ink, fitText(face, tiles[i].Title, b.Dx()-8))
		draw.Draw(out, image.Rect(x, bar, x+b.Dx(), bar+b.Dy()), m, b.Min, draw.Over)
		x += b.Dx() + gap
	}
	return out
}

// SavePNG writes a picture to a file, through a temporary file beside it, so that
// what stands under the name is always whole. Missing folders are made. The file is
// compressed for speed: a photograph gets little smaller with more effort.
func SavePNG(path string, img image.Image) error {
	return writeFile(path, func(w io.Writer) error {
		return imaging.Encode(w, img, imaging.PNG, imaging.PNGCompressionLevel(png.BestSpeed))
	})
}

func writeFile(path string, write func(io.Writer) error) error {
	err := os.MkdirAll(filepath.Dir(path), 0o755)
	if err == nil {
		err = atomicfile.Write(path, write)
	}
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	return nil
}
