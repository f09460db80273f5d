package main

import (
	"cmp"
	"context"
	"fmt"
	"image"
	"image/color"
	"math"
	"os"
	"path/filepath"
	"slices"

	"github.com/disintegration/imaging"

	"manvision/config"
	"manvision/data"
	"manvision/data/labelmap"
	"manvision/internal/cli"
	"manvision/report"
	"manvision/segmentation"
	"manvision/train"
)

// Folders of the output.
const (
	labelFolder   = "labels"
	overlayFolder = "overlays"
	// overlayPrefix keeps the evaluators of CityScapes, which look for CITY_SEQ_FRAME*.png
	// in all subfolders, from taking an overlay for a label map.
	overlayPrefix = "overlay_"
)

// panelSide is how large pictures are at most on the sheet, in pixels.
const panelSide = 512

// segmentationWork draws label maps.
type segmentationWork struct {
	*session
	classes *train.LabelClasses
	truth   *truth // nil without --gt
	pictures
	shown []bool // classes on the sheet
}

// pictures is what --json writes.
type pictures struct {
	Images  []*picture `json:"images"`
	Skipped []string   `json:"skipped"` // what is wrong with the files left out
}

// picture is what was found on one image.
type picture struct {
	File     string      `json:"file"`
	Width    int         `json:"width"`
	Height   int         `json:"height"`
	Labels   string      `json:"labels"`                   // label map
	Overlay  string      `json:"overlay"`                  // picture
	Accuracy *float64    `json:"pixel_accuracy,omitempty"` // of the pixels that the ground truth counts
	Classes  []classPart `json:"classes"`                  // largest first
}

// classPart is a class's part of a picture.
type classPart struct {
	Name   string  `json:"name"`
	Value  uint8   `json:"value"` // in the label map
	Pixels int64   `json:"pixels"`
	Share  float64 `json:"share"`
	id     int
}

func newSegmentationWork(s *session, classes *train.LabelClasses) (work, error) {
	if s.o.scoreGiven {
		return nil, cli.Usage("--score is for detectors; %s labels every pixel", s.o.checkpoint)
	}
	if err := s.o.applyView(&s.cfg.Eval.Segmentation); err != nil {
		return nil, err
	}
	w := &segmentationWork{session: s, classes: classes, shown: make([]bool, classes.Len())}
	w.pictures = pictures{Images: []*picture{}, Skipped: []string{}}
	if s.o.gt != "" {
		var err error
		if w.truth, err = openTruth(s.o.gt, s.cfg, classes); err != nil {
			return nil, cli.Input(err)
		}
	}
	return w, nil
}

// applyView puts the flags in the place of the recipe's settings.
func (o *options) applyView(v *config.View) error {
	check := segmentation.ViewOptions{Scales: o.scales}
	if len(o.scales) > 0 {
		v.Scales = o.scales
	}
	if o.flipGiven {
		v.Flip = o.flip
	}
	var err error
	if len(o.window) > 0 {
		check.Mode = segmentation.Sliding
		if check.Window, err = sides("window", o.window); err != nil {
			return err
		}
		v.Mode, v.Window, v.Stride = check.Mode.String(), check.Window[:], nil
	}
	if len(o.stride) > 0 {
		if check.Stride, err = sides("stride", o.stride); err != nil {
			return err
		}
		if len(o.window) == 0 {
			if len(v.Window) == 0 {
				return cli.Usage("--stride is given without --window")
			}
			copy(check.Window[:], v.Window)
			check.Mode = segmentation.Sliding
		}
		v.Stride = check.Stride[:]
	}
	if err := check.Validate(); err != nil {
		return cli.Usage("--scales, --window, --stride: %w", err)
	}
	return nil
}

// sides reads a flag of width and height, or of one number for both.
func sides(flag string, v []int) (wh [2]int, err error) {
	switch len(v) {
	case 1:
		wh = [2]int{v[0], v[0]}
	case 2:
		wh = [2]int{v[0], v[1]}
	default:
		return wh, cli.Usage("--%s %v: give width,height or one number for both", flag, v)
	}
	if min(wh[0], wh[1]) < 1 {
		return wh, cli.Usage("--%s %v: both sides must be positive", flag, v)
	}
	return wh, nil
}

// imageIDs implements work.
func (w *segmentationWork) imageIDs(paths []string) ([]int64, error) {
	if w.truth != nil {
		if err := w.truth.match(paths); err != nil {
			return nil, cli.Input(err)
		}
	}
	return imageIDs(paths, nil)
}

// predict implements work.
func (w *segmentationWork) predict(ctx context.Context, m *loaded, files *train.Files) ([]data.Skip, error) {
	if err := os.MkdirAll(filepath.Join(w.o.out, labelFolder), 0o777); err != nil {
		return nil, cli.Input(err)
	}
	return m.segment(ctx, files, func(i int, labels []uint8) error {
		width, height := files.Size(i)
		return w.picture(files.Item(i).Path, width, height, labels)
	})
}

// picture writes and draws the label map of an image.
func (w *segmentationWork) picture(path string, width, height int, labels []uint8) error {
	name := w.names[path]
	p := &picture{File: path, Width: width, Height: height, Classes: w.parts(labels),
		Labels: filepath.Join(w.o.out, labelFolder, name), Overlay: filepath.Join(w.o.out, overlayFolder, overlayPrefix+name)}
	img, err := train.Picture(path)
	if err != nil {
		return err
	}
	var truth []uint8
	if w.truth != nil {
		if truth, err = w.truth.labels(path, width, height); err != nil {
			return cli.Input(err)
		}
		p.Accuracy = accuracy(truth, labels)
	}
	values := make([]uint8, len(labels))
	for i, l := range labels {
		values[i] = w.classes.Outputs[l]
	}
	if err := labelmap.WritePNG(p.Labels, values, width, height); err != nil {
		return err
	}
	palette := report.Palette(w.classes.List)
	overlay, err := report.DrawLabels(img, labels, palette)
	if err != nil {
		return err
	}
	if err := report.SavePNG(p.Overlay, report.Legend(overlay, swatches(p.Classes, palette))); err != nil {
		return err
	}
	if len(w.tiles) < sheetPictures {
		if err := w.tile(img, labels, truth, p); err != nil {
			return err
		}
	}
	w.Images = append(w.Images, p)
	w.step()
	return nil
}

// parts lists the classes of a label map.
func (w *segmentationWork) parts(labels []uint8) []classPart {
	parts := []classPart{}
	for id, n := range labelmap.Histogram(labels) {
		if n > 0 {
			parts = append(parts, classPart{Name: w.classes.Name(id), Value: w.classes.Outputs[id], Pixels: n, Share: float64(n) / float64(len(labels)), id: id})
		}
	}
	slices.SortStableFunc(parts, func(a, b classPart) int { return cmp.Compare(b.Pixels, a.Pixels) })
	return parts
}

func swatches(parts []classPart, palette []color.NRGBA) []report.Swatch {
	var out []report.Swatch
	for _, p := range parts {
		share := fmt.Sprintf("%.1f%%", 100*p.Share)
		if p.Share < 0.001 {
			share = "<0.1%"
		}
		out = append(out, report.Swatch{Colour: palette[p.id], Text: p.Name + " " + share})
	}
	return out
}

// accuracy is the share of the pixels labelled as in the ground truth, nil where that
// counts none.
func accuracy(truth, found []uint8) *float64 {
	right, all := 0, 0
	for i, l := range truth {
		if l == labelmap.Ignore {
			continue
		}
		all++
		if l == found[i] {
			right++
		}
	}
	if all == 0 {
		return nil
	}
	share := float64(right) / float64(all)
	return &share
}

// tile adds an image to the sheet: the picture, the ground truth, what was found, and
// where they differ.
func (w *segmentationWork) tile(img image.Image, labels, truth []uint8, p *picture) error {
	img, labels, truth = enlargedMaps(img, labels, truth)
	palette := report.Palette(w.classes.List)
	found, err := report.DrawLabels(img, labels, palette)
	if err != nil {
		return err
	}
	panels := []report.Tile{{Image: img, Title: "picture"}, {Image: found, Title: "found"}}
	title := filepath.Base(p.File)
	if truth != nil {
		right, err := report.DrawLabels(img, truth, palette)
		if err != nil {
			return err
		}
		wrong, err := report.DrawErrors(img, truth, labels)
		if err != nil {
			return err
		}
		panels = []report.Tile{panels[0], {Image: right, Title: "ground truth"}, panels[1], {Image: wrong, Title: "errors"}}
		if p.Accuracy != nil {
			title += fmt.Sprintf("   %.1f%% of the pixels right", 100**p.Accuracy)
		}
	}
	for i := range panels {
		panels[i].Image = imaging.Fit(panels[i].Image, panelSide, panelSide, imaging.CatmullRom)
	}
	w.tiles = append(w.tiles, report.Tile{Image: report.Row(panels...), Title: title})
	for _, maps := range [][]uint8{labels, truth} {
		for id, n := range labelmap.Histogram(maps) {
			if n > 0 && id < len(w.shown) {
				w.shown[id] = true
			}
		}
	}
	return nil
}

// enlargedMaps makes small pictures and their label maps a whole number of times as
// large, so that there is something to see. truth may be nil.
func enlargedMaps(img image.Image, labels, truth []uint8) (image.Image, []uint8, []uint8) {
	w, h := img.Bounds().Dx(), img.Bounds().Dy()
	k := int(math.Ceil(tileSide / float64(max(w, h))))
	if k <= 1 {
		return img, labels, truth
	}
	grow := func(v []uint8) []uint8 {
		if v == nil {
			return nil
		}
		out := make([]uint8, 0, len(v)*k*k)
		for y := range h * k {
			for x := range w * k {
				out = append(out, v[y/k*w+x/k])
			}
		}
		return out
	}
	return imaging.Resize(img, w*k, h*k, imaging.CatmullRom), grow(labels), grow(truth)
}

// sheet implements work.
func (w *segmentationWork) sheet() (image.Image, error) {
	width := tileSide
	for _, t := range w.tiles {
		width = max(width, t.Image.Bounds().Dx(), t.Image.Bounds().Dy())
	}
	const sheetWidth = 2400
	sheet, err := report.ContactSheet(w.tiles, max(1, sheetWidth/width), width)
	if err != nil {
		return nil, err
	}
	var shown []report.Swatch
	for id, c := range report.Palette(w.classes.List) {
		if w.shown[id] {
			shown = append(shown, report.Swatch{Colour: c, Text: w.classes.Name(id)})
		}
	}
	return report.Legend(sheet, shown), nil
}

// summary implements work.
func (w *segmentationWork) summary() (header []string, cells []any) {
	found := map[int]bool{}
	for _, p := range w.Images {
		for _, c := range p.Classes {
			found[c.id] = true
		}
	}
	return []string{"classes", "label maps"}, []any{len(found), filepath.Join(w.o.out, labelFolder)}
}

// writeJSON implements work.
func (w *segmentationWork) writeJSON(skipped []error) error {
	for _, err := range skipped {
		w.Skipped = append(w.Skipped, err.Error())
	}
	return cli.WriteJSON(w.o.json, w.o.streams.Out, w.pictures)
}
