package main

import (
	"context"
	"errors"
	"fmt"
	"image"
	"os"
	"path/filepath"
	"time"

	"github.com/disintegration/imaging"

	"manvision/data"
	"manvision/data/augment"
	"manvision/data/coco"
	"manvision/detection"
	"manvision/internal/cli"
	"manvision/report"
	"manvision/train"
)

// sheetPictures is how many pictures the contact sheet shows, tileSide how large
// each is, in pixels.
const (
	sheetPictures = 12
	tileSide      = 256
)

// prediction is the work on one set of images.
type prediction struct {
	o       *options
	ids     *coco.IDMap
	gt      *coco.Dataset     // nil without --gt
	names   map[string]string // file to picture name
	results []coco.Result     // for --json
	found   int
	tiles   []report.Tile
	images  int
	drawn   int
}

func run(ctx context.Context, o *options) error {
	cfg, classes, err := train.RecipeOf(o.checkpoint)
	if err != nil {
		return cli.Input(err)
	}
	cfg.Eval.ScoreThreshold = min(cfg.Eval.ScoreThreshold, o.score)
	cfg.Data.OnBadImage = "error"
	if o.skipBad {
		cfg.Data.OnBadImage = "skip"
	}
	if o.threads > 0 {
		cfg.Threads = o.threads
	}
	paths, err := findImages(o.input)
	if err != nil {
		return err
	}
	p := &prediction{o: o, names: map[string]string{}}
	if o.gt != "" {
		if p.gt, err = coco.Read(o.gt, coco.Options{AsIs: true}); err != nil {
			return cli.Input(err)
		}
	}
	imageID, err := imageIDs(paths, p.gt)
	if err != nil {
		return err
	}
	for i, name := range pictureNames(paths) {
		p.names[paths[i]] = name
	}
	files, bad := train.OpenFiles(ctx, paths, imageID)
	switch {
	case ctx.Err() != nil:
		return errors.New("stopped before the first image")
	case len(bad) > 0 && !o.skipBad:
		return cli.Input(fmt.Errorf("%w; %d of %d files cannot be read: repair them or leave them out with --skip-bad", bad[0], len(bad), len(paths)))
	case files.Len() == 0:
		return cli.Input(fmt.Errorf("no image can be read, the first: %w", bad[0]))
	}
	if err := os.MkdirAll(o.out, 0o777); err != nil {
		return cli.Input(err)
	}
	dev, err := o.open(train.Threads(cfg))
	if err != nil {
		return err
	}
	defer dev.Close()
	m, err := train.LoadModel(cfg, dev, classes, o.checkpoint)
	if err != nil {
		return cli.Input(err)
	}
	defer m.Close()
	start := time.Now()
	pred := m.Predictor.(*train.DetectionPredictor)
	p.ids = m.Model.(*train.Detector).IDs
	err = pred.Detect(ctx, files, p.picture)
	var unreadable *augment.ImageError
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("stopped after %d of %d images", p.images, files.Len())
	case errors.As(err, &unreadable):
		return cli.Input(fmt.Errorf("%w; repair it or leave it out with --skip-bad", err))
	case err != nil:
		return err
	}
	for _, s := range pred.Skipped {
		bad = append(bad, s.Err)
	}
	for _, b := range bad {
		fmt.Fprintf(o.streams.Err, "skipped: %v\n", b)
	}
	return p.finish(start, len(bad))
}

// picture draws and keeps what was found on an image.
func (p *prediction) picture(s *data.Sample, found []detection.Detection) error {
	p.found += len(found)
	if p.o.json != "" {
		p.results = append(p.results, train.Results(p.ids, s, found)...)
	}
	img, err := train.Picture(s.File)
	if err != nil {
		return err
	}
	var marks []report.Mark
	for _, f := range found {
		if float64(f.Score) < p.o.score {
			continue
		}
		m := report.Mark{Class: f.Label, Name: p.ids.Name(f.Label), Score: float64(f.Score)}
		for k, v := range f.Box {
			m.Box[k] = float64(v)
		}
		marks = append(marks, m)
	}
	if err := report.SavePNG(filepath.Join(p.o.out, p.names[s.File]), report.DrawDetections(img, marks)); err != nil {
		return err
	}
	p.images++
	p.drawn += len(marks)
	if len(p.tiles) < sheetPictures {
		tile := report.Tile{Image: enlarged(img, marks), Title: filepath.Base(s.File)}
		if p.gt != nil {
			tile.Image = report.SideBySide(enlarged(img, p.truth(s.ImageID)), tile.Image, "ground truth", "found")
		}
		p.tiles = append(p.tiles, tile)
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
func (p *prediction) truth(id int64) []report.Mark {
	i, _ := p.gt.ImageIndex(id)
	var marks []report.Mark
	for _, a := range p.gt.Annotations(i) {
		label, ok := p.ids.Label(a.CategoryID)
		if !ok || a.Crowd {
			continue
		}
		b := a.Box
		marks = append(marks, report.Mark{Box: [4]float64{b[0], b[1], b[0] + b[2], b[1] + b[3]}, Class: label, Name: p.ids.Name(label), Score: -1})
	}
	return marks
}

func (p *prediction) finish(start time.Time, bad int) error {
	cell := tileSide
	if p.gt != nil {
		cell *= 2
	}
	sheet, err := report.ContactSheet(p.tiles, 0, cell)
	if err != nil {
		return err
	}
	path := filepath.Join(p.o.out, "sheet.png")
	if err := report.SavePNG(path, sheet); err != nil {
		return err
	}
	out := p.o.streams.Out
	if p.o.json != "" {
		if p.o.json == "-" {
			out = p.o.streams.Err
		}
		if err := p.writeJSON(); err != nil {
			return err
		}
	}
	took := time.Since(start).Seconds()
	t := report.NewTable("images", "skipped", "detections", "drawn", "seconds", "images a second", "sheet")
	t.Row(p.images, bad, p.found, p.drawn, took, fmt.Sprintf("%.1f", float64(p.images)/took), path)
	return t.Write(out, p.o.streams.Terminal)
}

// writeJSON writes the results in COCO's form.
func (p *prediction) writeJSON() error {
	if p.o.json != "-" {
		return coco.WriteResults(p.o.json, p.results)
	}
	dir, err := os.MkdirTemp("", "predict")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "results.json")
	if err := coco.WriteResults(file, p.results); err != nil {
		return err
	}
	b, err := os.ReadFile(file)
	if err == nil {
		_, err = p.o.streams.Out.Write(b)
	}
	return err
}
