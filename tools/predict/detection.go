package main

import (
	"context"
	"image"
	"os"
	"path/filepath"

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
	ids     *coco.IDMap
	gt      *coco.Dataset // nil without --gt
	results []coco.Result // for --json
	found   int
	drawn   int
}

func newDetectionWork(s *session) (work, error) {
	if name := s.o.viewFlag(); name != "" {
		return nil, cli.Usage("--%s is for segmentation networks; %s is a detector", name, s.o.checkpoint)
	}
	s.cfg.Eval.ScoreThreshold = min(s.cfg.Eval.ScoreThreshold, s.o.score)
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

// predict implements work.
func (d *detectionWork) predict(ctx context.Context, m *loaded, files *train.Files) ([]data.Skip, error) {
	d.ids = m.ids
	return m.detect(ctx, files, d.picture)
}

// picture draws and keeps what was found on an image.
func (d *detectionWork) picture(s *data.Sample, found []detection.Detection) error {
	d.found += len(found)
	if d.o.json != "" {
		d.results = append(d.results, train.Results(d.ids, s, found)...)
	}
	img, err := train.Picture(s.File)
	if err != nil {
		return err
	}
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
	if err := report.SavePNG(filepath.Join(d.o.out, d.names[s.File]), report.DrawDetections(img, marks)); err != nil {
		return err
	}
	d.step()
	d.drawn += len(marks)
	if len(d.tiles) < sheetPictures {
		tile := report.Tile{Image: enlarged(img, marks), Title: filepath.Base(s.File)}
		if d.gt != nil {
			tile.Image = report.SideBySide(enlarged(img, d.truth(s.ImageID)), tile.Image, "ground truth", "found")
		}
		d.tiles = append(d.tiles, tile)
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
	return report.ContactSheet(d.tiles, 0, cell)
}

// summary implements work.
func (d *detectionWork) summary() (header []string, cells []any) {
	return []string{"detections", "drawn"}, []any{d.found, d.drawn}
}

// writeJSON implements work: the results in COCO's form.
func (d *detectionWork) writeJSON([]error) error {
	if d.o.json != "-" {
		return coco.WriteResults(d.o.json, d.results)
	}
	dir, err := os.MkdirTemp("", "predict")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "results.json")
	if err := coco.WriteResults(file, d.results); err != nil {
		return err
	}
	b, err := os.ReadFile(file)
	if err == nil {
		_, err = d.o.streams.Out.Write(b)
	}
	return err
}
