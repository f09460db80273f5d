package main

import (
	"context"
	"fmt"
	"image"
	"path/filepath"

	"github.com/disintegration/imaging"

	"manvision/data"
	"manvision/data/coco"
	"manvision/detection"
	"manvision/detection/cocoeval"
	"manvision/report"
	"manvision/report/page"
	"manvision/train"
)

// detected is an image with its objects and what was found, best first.
type detected struct {
	file         string
	truth, found []report.Mark
}

// scores are the thresholds among which the one is chosen that boxes are shown from.
var scores = func() (out []float64) {
	for i := 1; i <= 18; i++ {
		out = append(out, float64(i)*0.05)
	}
	return out
}()

// boxes shows the images with the least and the greatest F1, and adds precision by
// recall where all images were looked at.
func (s *sight) boxes(ctx context.Context, p *train.DetectionPredictor) error {
	split, ok := s.split.(*train.BoxSplit)
	if !ok {
		return fmt.Errorf("no boxes in a %T", s.split)
	}
	ds := split.Dataset()
	eval, err := cocoeval.New(ds, cocoeval.Options{})
	if err != nil {
		return err
	}
	var all []detected
	err = p.Detect(ctx, s.src, func(sample *data.Sample, found []detection.Detection) error {
		s.step()
		d := detected{file: sample.File, truth: objects(ds, sample.ImageID)}
		for _, f := range found {
			m := report.Mark{Class: f.Label, Name: ds.IDs.Name(f.Label), Score: float64(f.Score)}
			for k, v := range f.Box {
				m.Box[k] = float64(v)
			}
			d.found = append(d.found, m)
		}
		all = append(all, d)
		if !s.whole {
			return nil
		}
		return eval.Process(train.Results(ds.IDs, sample, found))
	})
	if err != nil {
		return err
	}
	if s.whole {
		sum, err := eval.Evaluate()
		if err != nil {
			return err
		}
		s.run.Curves = curves(sum)
	}
	from := bestThreshold(all)
	list := &ends[detected]{n: s.images}
	for _, d := range all {
		if len(d.truth) == 0 && len(above(d.found, from)) == 0 {
			continue // nothing there and nothing found: nothing to see
		}
		right, missed, extra := match(d.truth, above(d.found, from))
		list.add(f1(right, missed, extra), d)
	}
	worst, err := showBoxes(list.worst(), from)
	if err != nil {
		return err
	}
	best, err := showBoxes(list.best(), from)
	if err != nil {
		return err
	}
	s.add(fmt.Sprintf("ranked by F1 at IoU 0.50, boxes from a score of %.2f, which gives the best F1 of all images", from), worst, best)
	return nil
}

func curves(s *cocoeval.Summary) []page.PR {
	if s.Curves == nil {
		return nil
	}
	out := []page.PR{{Name: "IoU 0.50", Precision: s.Curves.AP50}, {Name: "IoU 0.75", Precision: s.Curves.AP75}, {Name: "IoU 0.50 to 0.95", Precision: s.Curves.AP}}
	for _, c := range s.PerClass {
		if c.Curve50 != nil {
			out = append(out, page.PR{Name: c.Name, Precision: c.Curve50, Class: true})
		}
	}
	return out
}

// objects lists the boxes of an image, without crowds.
func objects(ds *coco.Dataset, id int64) []report.Mark {
	i, ok := ds.ImageIndex(id)
	if !ok {
		return nil
	}
	var out []report.Mark
	for _, a := range ds.Annotations(i) {
		label, ok := ds.IDs.Label(a.CategoryID)
		if !ok || a.Crowd {
			continue
		}
		b := a.Box
		out = append(out, report.Mark{Box: [4]float64{b[0], b[1], b[0] + b[2], b[1] + b[3]}, Class: label, Name: ds.IDs.Name(label), Score: -1})
	}
	return out
}

func above(found []report.Mark, score float64) []report.Mark {
	var out []report.Mark
	for _, m := range found {
		if m.Score >= score {
			out = append(out, m)
		}
	}
	return out
}

// bestThreshold is the score from which boxes give the greatest F1 over all images; of
// equal ones the greater.
func bestThreshold(all []detected) float64 {
	best, at := -1.0, scores[0]
	for _, from := range scores {
		var right, missed, extra int
		for _, d := range all {
			r, m, e := match(d.truth, above(d.found, from))
			right, missed, extra = right+r, missed+m, extra+e
		}
		if v := f1(right, missed, extra); v >= best {
			best, at = v, from
		}
	}
	return at
}

// match pairs boxes of one class, the best score first, with the free object of the
// greatest IoU from 0.5.
func match(truth, found []report.Mark) (right, missed, extra int) {
	taken := make([]bool, len(truth))
	for _, f := range found {
		best, at := 0.5, -1
		for i, t := range truth {
			if v := overlap(f.Box, t.Box); !taken[i] && t.Class == f.Class && v >= best {
				best, at = v, i
			}
		}
		if at < 0 {
			extra++
			continue
		}
		taken[at] = true
		right++
	}
	return right, len(truth) - right, extra
}

// f1 is 2·right over what is there and what was found; 0 of nothing.
func f1(right, missed, extra int) float64 {
	if right == 0 {
		return 0
	}
	return 2 * float64(right) / float64(2*right+missed+extra)
}

// overlap is the intersection over union of boxes x1 y1 x2 y2.
func overlap(a, b [4]float64) float64 {
	w := min(a[2], b[2]) - max(a[0], b[0])
	h := min(a[3], b[3]) - max(a[1], b[1])
	if w <= 0 || h <= 0 {
		return 0
	}
	return w * h / ((a[2]-a[0])*(a[3]-a[1]) + (b[2]-b[0])*(b[3]-b[1]) - w*h)
}

func showBoxes(from []scored[detected], score float64) ([]page.Picture, error) {
	var out []page.Picture
	for _, e := range from {
		d := e.value
		img, err := train.Picture(d.file)
		if err != nil {
			return nil, err
		}
		found := above(d.found, score)
		right, missed, extra := match(d.truth, found)
		out = append(out, page.Picture{Title: filepath.Base(d.file),
			Note:  fmt.Sprintf("F1 %.2f: %d of %d objects found, false boxes: %d", e.score, right, right+missed, extra),
			Views: []page.View{{Title: "ground truth", Image: drawn(img, d.truth)}, {Title: "prediction", Image: drawn(img, found)}}})
	}
	return out, nil
}

// side is how large small pictures are made before boxes are drawn, in pixels, so that
// names leave something to see.
const side = 480

func drawn(img image.Image, marks []report.Mark) image.Image {
	b := img.Bounds()
	long := max(b.Dx(), b.Dy())
	if long < 1 {
		return img
	}
	f := side / float64(long)
	img = imaging.Resize(img, max(1, int(float64(b.Dx())*f)), max(1, int(float64(b.Dy())*f)), imaging.CatmullRom)
	scaled := make([]report.Mark, len(marks))
	for i, m := range marks {
		for k := range m.Box {
			m.Box[k] *= f
		}
		scaled[i] = m
	}
	return report.DrawDetections(img, scaled)
}
