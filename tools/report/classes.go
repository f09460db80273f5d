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
	"manvision/report/page"
	"manvision/train"
)

// classified is an image and how probable its classes are.
type classified struct {
	file  string
	img   image.Image
	truth int
	top   []int // the most probable classes, first the most probable
	p     []float64
}

// classes shows the images whose own class got the least and the greatest probability.
func (s *sight) classes(ctx context.Context, p *train.ClassificationPredictor) error {
	task, err := train.TaskOf(s.cfg)
	if err != nil {
		return err
	}
	recipe := task.Loader(s.cfg, false).Augment
	names := s.split.Classes()
	list := &ends[classified]{n: s.images}
	err = p.Classify(ctx, s.src, func(b *data.Batch, logits []float32) error {
		n := names.Len()
		for i, sample := range b.Samples {
			if sample.Replaces >= 0 {
				continue
			}
			s.step()
			prob := softmax(logits[i*n:][:n])
			own := prob[sample.Class]
			if !list.wants(own) {
				continue
			}
			img, err := recipe.Picture(b.Images[i*b.H*b.W*b.C:][:b.H*b.W*b.C], b.W, sample.InW, sample.InH)
			if err != nil {
				return err
			}
			c := classified{file: sample.File, img: img, truth: int(sample.Class)}
			for k := range prob {
				c.top = append(c.top, k)
			}
			slices.SortStableFunc(c.top, func(a, b int) int { return cmp.Compare(prob[b], prob[a]) })
			c.top = c.top[:min(3, n)]
			for _, k := range c.top {
				c.p = append(c.p, prob[k])
			}
			list.add(own, c)
		}
		return nil
	})
	if err != nil {
		return err
	}
	show := func(from []scored[classified]) (out []page.Picture) {
		for _, e := range from {
			c := e.value
			pic := page.Picture{Title: filepath.Base(c.file), Note: fmt.Sprintf("true: %s, %.1f %%", names.Name(c.truth), 100*e.score)}
			said := ""
			for i, k := range c.top {
				if i > 0 {
					said += ", "
				}
				said += fmt.Sprintf("%s %.1f %%", names.Name(k), 100*c.p[i])
			}
			pic.Title, pic.Note = fmt.Sprintf("true: %s (%.1f %%)", names.Name(c.truth), 100*e.score), filepath.Base(c.file)
			pic.Views = []page.View{{Title: "said: " + said, Image: c.img}}
			out = append(out, pic)
		}
		return out
	}
	s.add("ranked by the probability that the true class got", show(list.worst()), show(list.best()))
	return nil
}

func softmax(logits []float32) []float64 {
	top, sum := float64(slices.Max(logits)), 0.0
	out := make([]float64, len(logits))
	for i, v := range logits {
		out[i] = math.Exp(float64(v) - top)
		sum += out[i]
	}
	for i := range out {
		out[i] /= sum
	}
	return out
}
