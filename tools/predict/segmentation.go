package main

import (
	"cmp"
	"context"
	"fmt"
	"image"
	"image/color"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"

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
	shown   []bool // classes on the sheet
	found   []bool // classes anywhere
	values  []uint8
}

// picture is what --json and --jsonl write of a picture.
type picture struct {
	source
	Width    int         `json:"width"`
	Height   int         `json:"height"`
	Labels   string      `json:"labels"`                   // label map
	Overlay  string      `json:"overlay,omitempty"`        // picture
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
	name := s.o.boxFlag()
	if s.o.scoreGiven {
		name = "score"
	}
	switch {
	case name != "":
		return nil, cli.Usage("--%s is for detectors; %s labels every pixel", name, s.o.checkpoint)
	case s.o.batch > 0:
		return nil, cli.Usage("--batch is for detectors and classifiers; %s looks at one image at a time, which may have any size", s.o.checkpoint)
	case s.o.out == "":
		return nil, cli.Usage("--out is missing: the folder for the label maps; see 'predict --help'")
	}
	if err := s.o.applyView(&s.cfg.Eval.Segmentation); err != nil {
		return nil, err
	}
	w := &segmentationWork{session: s, classes: classes, shown: make([]bool, classes.Len()), found: make([]bool, classes.Len())}
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

// columns implements work.
func (w *segmentationWork) columns() []string { return []string{"class", "value", "pixels", "share"} }

// form implements work.
func (w *segmentationWork) form() func(out io.Writer) form { return newList }

// predict implements work.
func (w *segmentationWork) predict(ctx context.Context, m *loaded, src subjects) ([]data.Skip, error) {
	if err := os.MkdirAll(filepath.Join(w.o.out, labelFolder), 0o777); err != nil {
		return nil, cli.Input(err)
	}
	return m.segment(ctx, src, func(i int, labels []uint8) error { return w.picture(src[i], labels) })
}

// picture writes and draws the label map of a picture.
func (w *segmentationWork) picture(sub *subject, labels []uint8) error {
	p := &picture{source: sub.source(), Width: sub.width, Height: sub.height, Classes: w.parts(labels), Labels: filepath.Join(w.o.out, labelFolder, sub.name)}
	var truth []uint8
	var err error
	if w.truth != nil {
		if truth, err = w.truth.labels(sub.file, sub.width, sub.height); err != nil {
			return cli.Input(err)
		}
		p.Accuracy = accuracy(truth, labels)
	}
	w.values = w.values[:0]
	for _, l := range labels {
		w.values = append(w.values, w.classes.Outputs[l])
	}
	if err := labelmap.WritePNG(p.Labels, w.values, sub.width, sub.height); err != nil {
		return err
	}
	if w.drawing.kind != drawNone {
		p.Overlay = w.drawing.path(overlayFolder, overlayPrefix+sub.name)
		if err := w.draw(sub, p, labels, truth); err != nil {
			return err
		}
	}
	var rows [][]string
	for _, c := range p.Classes {
		w.found[c.id] = true
		rows = append(rows, []string{c.Name, strconv.Itoa(int(c.Value)), strconv.FormatInt(c.Pixels, 10), number(c.Share)})
	}
	if err := w.outputs.add(sub, p, nil, rows); err != nil {
		return err
	}
	w.step()
	return nil
}

// draw lays the labels over the picture.
func (w *segmentationWork) draw(sub *subject, p *picture, labels, truth []uint8) error {
	img, err := sub.image()
	if err != nil {
		return err
	}
	palette := report.Palette(w.classes.List)
	drawn, err := report.DrawLabels(img, labels, palette)
	if err != nil {
		return err
	}
	overlay := image.Image(drawn)
	if w.drawing.kind == drawPictures { // a video's frames are of one size
		overlay = report.Legend(drawn, swatches(p.Classes, palette))
	}
	if err := w.drawing.picture(p.Overlay, overlay); err != nil {
		return err
	}
	if w.drawing.tile() {
		return w.tile(img, labels, truth, p, sub.title())
	}
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
func (w *segmentationWork) tile(img image.Image, labels, truth []uint8, p *picture, title string) error {
	img, labels, truth = enlargedMaps(img, labels, truth)
	palette := report.Palette(w.classes.List)
	found, err := report.DrawLabels(img, labels, palette)
	if err != nil {
		return err
	}
	panels := []report.Tile{{Image: img, Title: "picture"}, {Image: found, Title: "found"}}
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
	w.drawing.tiles = append(w.drawing.tiles, report.Tile{Image: report.Row(panels...), Title: title})
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
	for _, t := range w.drawing.tiles {
		width = max(width, t.Image.Bounds().Dx(), t.Image.Bounds().Dy())
	}
	const sheetWidth = 2400
	sheet, err := report.ContactSheet(w.drawing.tiles, max(1, sheetWidth/width), width)
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
	found := 0
	for _, there := range w.found {
		if there {
			found++
		}
	}
	return []string{"classes", "label maps"}, []any{found, filepath.Join(w.o.out, labelFolder)}
}
