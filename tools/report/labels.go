package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"

	"manvision/data/labelmap"
	"manvision/report"
	"manvision/report/page"
	"manvision/segmentation/iou"
	"manvision/train"
)

// labelled is an image with what its pixels are and what was found.
type labelled struct {
	file         string
	truth, found []uint8
	accuracy     float64
}

// labels shows the images with the least and the greatest mean IoU of their classes.
func (s *sight) labels(ctx context.Context, p *train.SegmentationPredictor) error {
	split, ok := s.split.(*train.LabelSplit)
	if !ok {
		return fmt.Errorf("no label maps in a %T", s.split)
	}
	classes := split.Set().Classes
	eval := iou.New(classes)
	list := &ends[labelled]{n: s.images}
	var truth []uint8
	err := p.Segment(ctx, s.src, func(i int, found []uint8) error {
		var err error
		if truth, err = split.Labels(s.index(i), truth); err != nil {
			return err
		}
		s.step()
		eval.Reset()
		if err := eval.Process(truth, found); err != nil {
			return err
		}
		if sum := eval.Evaluate(); sum.Present > 0 && list.wants(sum.MIoU) {
			list.add(sum.MIoU, labelled{s.src.Item(i).Path, slices.Clone(truth), slices.Clone(found), sum.PixelAccuracy})
		}
		return nil
	})
	if err != nil {
		return err
	}
	worst, err := showLabels(list.worst(), classes)
	if err != nil {
		return err
	}
	best, err := showLabels(list.best(), classes)
	if err != nil {
		return err
	}
	var legend []report.Swatch
	for i, c := range report.Palette(classes) {
		legend = append(legend, report.Swatch{Colour: c, Text: classes[i].Name})
	}
	s.add("ranked by the mean IoU of the classes that an image has", worst, best, legend...)
	return nil
}

func showLabels(from []scored[labelled], classes []labelmap.Class) ([]page.Picture, error) {
	colours := report.Palette(classes)
	var out []page.Picture
	for _, e := range from {
		img, err := train.Picture(e.value.file)
		if err != nil {
			return nil, err
		}
		truth, err := report.DrawLabels(img, e.value.truth, colours)
		if err != nil {
			return nil, err
		}
		found, err := report.DrawLabels(img, e.value.found, colours)
		if err != nil {
			return nil, err
		}
		wrong, err := report.DrawErrors(img, e.value.truth, e.value.found)
		if err != nil {
			return nil, err
		}
		out = append(out, page.Picture{Title: filepath.Base(e.value.file),
			Note:  fmt.Sprintf("mIoU %.1f %%, pixels right %.1f %%: %s", 100*e.score, 100*e.value.accuracy, present(classes, e.value.truth)),
			Views: []page.View{{Title: "ground truth", Image: truth}, {Title: "prediction", Image: found}, {Title: "errors in red", Image: wrong}}})
	}
	return out, nil
}

// present names the classes on a label map.
func present(classes []labelmap.Class, labels []uint8) string {
	var seen [256]bool
	for _, l := range labels {
		seen[l] = true
	}
	text := ""
	for i, c := range classes {
		if seen[i] {
			if text != "" {
				text += ", "
			}
			text += c.Name
		}
	}
	return text
}
