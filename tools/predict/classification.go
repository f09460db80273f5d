package main

import (
	"cmp"
	"context"
	"fmt"
	"image"
	"math"
	"path/filepath"
	"slices"

	"manvision/data"
	"manvision/internal/cli"
	"manvision/report"
	"manvision/train"
)

// topClasses is how many classes are named for each image.
const topClasses = 5

// classificationWork names what is on images.
type classificationWork struct {
	*session
	classified
	best float64 // sum of the first classes' probabilities
}

// classified is what --json writes.
type classified struct {
	Images  []*classifiedImage `json:"images"`
	Skipped []string           `json:"skipped"` // what is wrong with the files left out
}

// classifiedImage is what was found on one image.
type classifiedImage struct {
	File    string        `json:"file"`
	Picture string        `json:"picture"`
	Classes []probability `json:"classes"` // the most probable first
}

// probability is a class and how probable it is, 0 to 1.
type probability struct {
	Class       int     `json:"class"`
	Name        string  `json:"name"`
	Probability float64 `json:"probability"`
}

func newClassificationWork(s *session) (work, error) {
	switch {
	case s.o.scoreGiven:
		return nil, cli.Usage("--score is for detectors; %s names the %d most probable classes of each image", s.o.checkpoint, topClasses)
	case s.o.gt != "":
		return nil, cli.Usage("--gt is for detectors and segmentation networks; score a classifier with 'eval --arch'")
	}
	return &classificationWork{session: s, classified: classified{Images: []*classifiedImage{}, Skipped: []string{}}}, nil
}

// imageIDs implements work.
func (w *classificationWork) imageIDs(paths []string) ([]int64, error) { return imageIDs(paths, nil) }

// predict implements work.
func (w *classificationWork) predict(ctx context.Context, m *loaded, files *train.Files) ([]data.Skip, error) {
	return m.classify(ctx, files, func(i int, logits []float32) error {
		return w.picture(files.Item(i).Path, mostProbable(logits, m.names))
	})
}

// mostProbable lists the first classes by softmax; of equal ones the lower class.
func mostProbable(logits []float32, names []string) []probability {
	all := make([]probability, len(logits))
	top, sum := float64(slices.Max(logits)), 0.0
	for i, v := range logits {
		p := math.Exp(float64(v) - top)
		all[i] = probability{Class: i, Name: names[i], Probability: p}
		sum += p
	}
	slices.SortStableFunc(all, func(a, b probability) int { return cmp.Compare(b.Probability, a.Probability) })
	all = slices.Clone(all[:min(topClasses, len(all))])
	for i := range all {
		all[i].Probability /= sum
	}
	return all
}

// picture draws an image with its classes underneath.
func (w *classificationWork) picture(path string, classes []probability) error {
	img, err := train.Picture(path)
	if err != nil {
		return err
	}
	p := &classifiedImage{File: path, Picture: filepath.Join(w.o.out, w.names[path]), Classes: classes}
	var lines []report.Swatch
	for i, c := range classes {
		lines = append(lines, report.Swatch{Colour: report.Colour(i), Text: fmt.Sprintf("%s %.1f%%", c.Name, 100*c.Probability)})
	}
	if err := report.SavePNG(p.Picture, report.Legend(enlarged(img, nil), lines)); err != nil {
		return err
	}
	if len(w.tiles) < sheetPictures {
		w.tiles = append(w.tiles, report.Tile{Image: enlarged(img, nil), Title: lines[0].Text})
	}
	if w.o.json != "-" {
		if _, err := fmt.Fprintf(w.o.streams.Out, "%s\t%s\t%.4f\n", path, classes[0].Name, classes[0].Probability); err != nil {
			return err
		}
	}
	w.Images = append(w.Images, p)
	w.best += classes[0].Probability
	w.step()
	return nil
}

// sheet implements work.
func (w *classificationWork) sheet() (image.Image, error) {
	return report.ContactSheet(w.tiles, 0, tileSide)
}

// summary implements work.
func (w *classificationWork) summary() (header []string, cells []any) {
	mean := 0.0
	if len(w.Images) > 0 {
		mean = w.best / float64(len(w.Images))
	}
	return []string{"mean probability"}, []any{fmt.Sprintf("%.4f", mean)}
}

// writeJSON implements work.
func (w *classificationWork) writeJSON(skipped []error) error {
	for _, err := range skipped {
		w.Skipped = append(w.Skipped, err.Error())
	}
	return cli.WriteJSON(w.o.json, w.o.streams.Out, w.classified)
}
