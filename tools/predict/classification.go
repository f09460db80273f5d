package main

import (
	"cmp"
	"context"
	"fmt"
	"image"
	"io"
	"math"
	"slices"
	"strconv"

	"manvision/data"
	"manvision/internal/cli"
	"manvision/report"
)

// topClasses is how many classes are named for each image.
const topClasses = 5

// classificationWork names what is on images.
type classificationWork struct {
	*session
	best float64 // sum of the first classes' probabilities
}

// classifiedImage is what --json and --jsonl write of a picture.
type classifiedImage struct {
	source
	Picture string        `json:"picture,omitempty"`
	Classes []probability `json:"classes"` // the most probable first
}

// probability is a class and how probable it is, 0 to 1.
type probability struct {
	Class       int     `json:"class"`
	Name        string  `json:"name"`
	Probability float64 `json:"probability"`
}

func newClassificationWork(s *session) (work, error) {
	if name := s.o.boxFlag(); name != "" {
		return nil, cli.Usage("--%s is for detectors; %s names the %d most probable classes of each image", name, s.o.checkpoint, topClasses)
	}
	switch {
	case s.o.scoreGiven:
		return nil, cli.Usage("--score is for detectors; %s names the %d most probable classes of each image", s.o.checkpoint, topClasses)
	case s.o.gt != "":
		return nil, cli.Usage("--gt is for detectors and segmentation networks; score a classifier with 'eval --arch'")
	}
	return &classificationWork{session: s}, nil
}

// imageIDs implements work.
func (w *classificationWork) imageIDs(paths []string) ([]int64, error) { return imageIDs(paths, nil) }

// columns implements work.
func (w *classificationWork) columns() []string {
	return []string{"rank", "class", "name", "probability"}
}

// form implements work.
func (w *classificationWork) form() func(out io.Writer) form { return newList }

// predict implements work.
func (w *classificationWork) predict(ctx context.Context, m *loaded, src subjects) ([]data.Skip, error) {
	return m.classify(ctx, src, func(i int, logits []float32) error {
		return w.picture(src[i], mostProbable(logits, m.names))
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

// picture draws a picture with its classes underneath and keeps them.
func (w *classificationWork) picture(sub *subject, classes []probability) error {
	record := &classifiedImage{source: sub.source(), Picture: w.drawing.path("", sub.name), Classes: classes}
	if w.drawing.kind != drawNone {
		img, err := sub.image()
		if err != nil {
			return err
		}
		var lines []report.Swatch
		for i, c := range classes {
			lines = append(lines, report.Swatch{Colour: report.Colour(i), Text: fmt.Sprintf("%s %.1f%%", c.Name, 100*c.Probability)})
		}
		if err := w.drawing.picture(record.Picture, report.Legend(enlarged(img, nil), lines)); err != nil {
			return err
		}
		if w.drawing.tile() {
			w.drawing.tiles = append(w.drawing.tiles, report.Tile{Image: enlarged(img, nil), Title: lines[0].Text})
		}
	}
	if !w.o.toStdout() {
		name := sub.file
		if sub.frame >= 0 {
			name = sub.title()
		}
		if _, err := fmt.Fprintf(w.o.streams.Out, "%s\t%s\t%.4f\n", name, classes[0].Name, classes[0].Probability); err != nil {
			return err
		}
	}
	var rows [][]string
	for i, c := range classes {
		rows = append(rows, []string{strconv.Itoa(i + 1), strconv.Itoa(c.Class), c.Name, number(c.Probability)})
	}
	if err := w.outputs.add(sub, record, nil, rows); err != nil {
		return err
	}
	w.best += classes[0].Probability
	w.step()
	return nil
}

// sheet implements work.
func (w *classificationWork) sheet() (image.Image, error) {
	return report.ContactSheet(w.drawing.tiles, 0, tileSide)
}

// summary implements work.
func (w *classificationWork) summary() (header []string, cells []any) {
	mean := 0.0
	if w.images > 0 {
		mean = w.best / float64(w.images)
	}
	return []string{"mean probability"}, []any{fmt.Sprintf("%.4f", mean)}
}
