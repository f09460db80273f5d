package main

import (
	"errors"
	"image"
	"os"
	"path/filepath"

	"github.com/disintegration/imaging"

	"manvision/data/video"
	"manvision/internal/cli"
	"manvision/report"
)

// What --draw may be.
const (
	drawPictures = "pictures"
	drawVideo    = "video"
	drawNone     = "none"
)

// sheetPictures is how many pictures the contact sheet shows.
const sheetPictures = 12

// drawing draws what is found: a picture each, or the frames of a video, and the first
// pictures on a sheet.
type drawing struct {
	kind  string
	dir   string
	file  string  // of the video
	fps   float64 // of it
	every int     // pictures between those of the sheet
	seen  int
	tiles []report.Tile
	w     *video.Writer
}

// picture writes what was drawn, under a path in the folder.
func (d *drawing) picture(path string, img image.Image) error {
	if d.kind == drawPictures {
		return report.SavePNG(path, img)
	}
	frame, ok := img.(*image.NRGBA)
	if !ok {
		frame = imaging.Clone(img)
	}
	if d.w == nil { // the first frame gives the size
		w, err := video.Create(d.file, d.fps, frame.Bounds().Dx(), frame.Bounds().Dy())
		if err != nil {
			return cli.Input(errors.Join(err, errors.New("--draw pictures or --draw none do without")))
		}
		d.w = w
	}
	return d.w.Write(frame)
}

// path is where the picture of a name goes, "" where none is drawn.
func (d *drawing) path(folder, name string) string {
	if d.kind != drawPictures {
		return ""
	}
	return filepath.Join(d.dir, folder, name)
}

// tile says whether the next picture belongs on the sheet.
func (d *drawing) tile() bool {
	d.seen++
	return len(d.tiles) < sheetPictures && (d.seen-1)%max(1, d.every) == 0
}

// finish ends the video and writes the sheet that make lays out. It returns what was
// written, for people.
func (d *drawing) finish(sheet func() (image.Image, error)) (string, error) {
	if d.kind == drawNone || d.seen == 0 {
		return "-", nil
	}
	if d.w != nil {
		w := d.w
		d.w = nil
		if err := w.Close(); err != nil {
			return "", err
		}
	}
	path := filepath.Join(d.dir, sheetName)
	img, err := sheet()
	if err == nil {
		err = report.SavePNG(path, img)
	}
	return path, err
}

// makeDir makes the folder for the pictures.
func (d *drawing) makeDir() error {
	if d.dir == "" {
		return nil
	}
	return cli.Input(os.MkdirAll(d.dir, 0o777))
}
