package main

import (
	"context"
	"image"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/disintegration/imaging"

	"manvision/data"
	"manvision/data/coco"
	"manvision/detection"
	"manvision/internal/cli"
	"manvision/report"
	"manvision/train"
)

// detectionWork draws boxes.
type detectionWork struct {
	*session
	ids   *coco.IDMap
	kept  []bool        // by label; nil: all are
	gt    *coco.Dataset // nil without --gt
	found int
	drawn int
}

// detected is what --jsonl writes of a picture.
type detected struct {
	source
	ImageID    int64    `json:"image_id"`
	Width      int      `json:"width"`
	Height     int      `json:"height"`
	Picture    string   `json:"picture,omitempty"`
	Detections []object `json:"detections"` // the best first
}

// object is a detection.
type object struct {
	Class      string     `json:"class"`
	CategoryID int        `json:"category_id"`
	Score      float64    `json:"score"`
	BBox       [4]float64 `json:"bbox"` // x, y, width, height in pixels
}

func newDetectionWork(s *session) (work, error) {
	if name := s.o.viewFlag(); name != "" {
		return nil, cli.Usage("--%s is for segmentation networks; %s is a detector", name, s.o.checkpoint)
	}
	s.o.applyPost(&s.cfg.Eval)
	d := &detectionWork{session: s}
	if s.o.gt != "" {
		var err error
		if d.gt, err = coco.Read(s.o.gt, coco.Options{AsIs: true}); err != nil {
			return nil, cli.Input(err)
		}
	}
	return d, nil
}

// imageIDs implements work.
func (d *detectionWork) imageIDs(paths []string) ([]int64, error) { return imageIDs(paths, d.gt) }

// columns implements work.
func (d *detectionWork) columns() []string {
	return []string{"class", "category_id", "score", "x", "y", "width", "height"}
}

// form implements work.
func (d *detectionWork) form() func(out io.Writer) form { return newResults }

// predict implements work.
func (d *detectionWork) predict(ctx context.Context, m *loaded, src subjects) ([]data.Skip, error) {
	d.ids = m.ids
	if err := d.choose(); err != nil {
		return nil, err
	}
	return m.detect(ctx, src, func(s *data.Sample, found []detection.Detection) error {
		if d.kept != nil {
			found = slices.DeleteFunc(found, func(f detection.Detection) bool { return !d.kept[f.Label] })
		}
		return d.picture(src[s.Index], s, found)
	})
}

// choose finds the labels that --classes names.
func (d *detectionWork) choose() error {
	if len(d.o.classes) == 0 || d.kept != nil {
		return nil
	}
	names := d.ids.Names()
	kept := make([]bool, len(names))
	for _, want := range d.o.classes {
		label := slices.Index(names, want)
		if label < 0 {
			return cli.Usage("--classes: %s has no class %q; it has %s", d.o.checkpoint, want, strings.Join(names, ", "))
		}
		kept[label] = true
	}
	d.kept = kept
	return nil
}

// picture draws and keeps what was found on a picture.
func (d *detectionWork) picture(sub *subject, s *data.Sample, found []detection.Detection) error {
	d.found += len(found)
	if err := d.draw(sub, found); err != nil {
		return err
	}
	record := detected{source: sub.source(), ImageID: sub.id, Width: sub.width, Height: sub.height, Picture: d.drawing.path("", sub.name), Detections: []object{}}
	results := train.Results(d.ids, s, found)
	var rows [][]string
	for i, r := range results {
		o := object{Class: d.ids.Name(found[i].Label), CategoryID: r.CategoryID, Score: r.Score, BBox: r.BBox}
		record.Detections = append(record.Detections, o)
		row := []string{o.Class, strconv.Itoa(o.CategoryID), number(o.Score)}
		for _, v := range o.BBox {
			row = append(row, number(v))
		}
		rows = append(rows, row)
	}
	if err := d.outputs.add(sub, record, results, rows); err != nil {
		return err
	}
	d.step()
	return nil
}

// draw draws the boxes of enough score.
func (d *detectionWork) draw(sub *subject, found []detection.Detection) error {
	var marks []report.Mark
	for _, f := range found {
		if float64(f.Score) < d.o.score {
			continue
		}
		m := report.Mark{Class: f.Label, Name: d.ids.Name(f.Label), Score: float64(f.Score)}
		for k, v := range f.Box {
			m.Box[k] = float64(v)
		}
		marks = append(marks, m)
	}
	d.drawn += len(marks)
	if d.drawing.kind == drawNone {
		return nil
	}
	img, err := sub.image()
	if err != nil {
		return err
	}
	if err := d.drawing.picture(d.drawing.path("", sub.name), report.DrawDetections(img, marks)); err != nil {
		return err
	}
	if d.drawing.tile() {
		tile := report.Tile{Image: enlarged(img, marks), Title: sub.title()}
		if d.gt != nil {
			tile.Image = report.SideBySide(enlarged(img, d.truth(sub.id)), tile.Image, "ground truth", "found")
		}
		d.drawing.tiles = append(d.drawing.tiles, tile)
	}
	return nil
}

// enlarged draws marks on img, brought to tileSide pixels where it is smaller, so
// that labels leave something of small pictures to see.
func enlarged(img image.Image, marks []report.Mark) image.Image {
	b := img.Bounds()
	side := max(b.Dx(), b.Dy())
	if side >= tileSide {
		return report.DrawDetections(img, marks)
	}
	f := float64(tileSide) / float64(side)
	img = imaging.Resize(img, max(1, int(float64(b.Dx())*f)), max(1, int(float64(b.Dy())*f)), imaging.CatmullRom)
	out := make([]report.Mark, len(marks))
	for i, m := range marks {
		for k := range m.Box {
			m.Box[k] *= f
		}
		out[i] = m
	}
	return report.DrawDetections(img, out)
}

// truth lists the boxes of the ground truth.
func (d *detectionWork) truth(id int64) []report.Mark {
	i, _ := d.gt.ImageIndex(id)
	var marks []report.Mark
	for _, a := range d.gt.Annotations(i) {
		label, ok := d.ids.Label(a.CategoryID)
		if !ok || a.Crowd {
			continue
		}
		b := a.Box
		marks = append(marks, report.Mark{Box: [4]float64{b[0], b[1], b[0] + b[2], b[1] + b[3]}, Class: label, Name: d.ids.Name(label), Score: -1})
	}
	return marks
}

// sheet implements work.
func (d *detectionWork) sheet() (image.Image, error) {
	cell := tileSide
	if d.gt != nil {
		cell *= 2
	}
	return report.ContactSheet(d.drawing.tiles, 0, cell)
}

// summary implements work.
func (d *detectionWork) summary() (header []string, cells []any) {
	return []string{"detections", "drawn"}, []any{d.found, d.drawn}
}
