package coco

import (
	"fmt"
	"math"

	"manvision/data/coco/mask"
)

func (d *decoder) readAnnotations() error {
	s := d.s
	n := 0
	for first := true; s.nextElem(&first); {
		n++
		var a Annotation
		var hasID, hasImage, hasCategory, hasArea bool
		boxLen := -1
		segProblem := ""
		for first := true; s.nextKey(&first); {
			switch string(s.key) {
			case "id":
				a.ID, hasID = s.named("id").int("a whole number")
			case "image_id":
				a.ImageID, hasImage = s.named("image_id").int("a whole number")
			case "category_id":
				var v int64
				v, hasCategory = s.named("category_id").int("a whole number")
				a.CategoryID = int(v)
			case "bbox":
				boxLen = s.named("bbox").box(&a.Box)
			case "area":
				a.Area, hasArea = s.named("area").float("a number")
			case "iscrowd":
				a.Crowd, _ = s.named("iscrowd").flag()
			case "segmentation":
				if !d.o.KeepSegmentation {
					s.skip()
					continue
				}
				a.Segmentation, segProblem = d.segmentation()
			default:
				s.skip()
			}
		}
		where := func() string {
			t := fmt.Sprintf("annotation no. %d of the list", n)
			if hasID {
				t = fmt.Sprintf("annotation %d", a.ID)
			}
			if hasImage {
				t += fmt.Sprintf(" of image %d", a.ImageID)
			}
			return t
		}
		if s.err != nil || s.bad != "" {
			return d.failed(where())
		}
		missing := ""
		switch {
		case !hasID:
			missing = "id"
		case !hasImage:
			missing = "image_id"
		case !hasCategory:
			missing = "category_id"
		case boxLen < 0:
			missing = "bbox"
		}
		if missing != "" {
			return d.fail(where(), "", "the key %q is missing", missing)
		}
		if boxLen != 4 {
			return d.fail(where(), "", "\"bbox\" has %d numbers, it needs 4: x, y, width, height", boxLen)
		}
		if segProblem != "" {
			if !d.o.SkipBadBoxes {
				fix := "fix the file or pass --skip-bad-boxes"
				if d.o.AsIs {
					fix = "fix the file"
				}
				return d.fail(where(), fix, "segmentation: %s", segProblem)
			}
			a.Segmentation = mask.Segmentation{}
			d.report.add("skipped", "broken outline (its box stays)", func() string { return where() + ": " + segProblem })
		}
		if !hasArea {
			a.Area = math.Max(0, a.Box[2]) * math.Max(0, a.Box[3])
			if d.o.AsIs {
				d.report.add("warning", "annotation without \"area\" (the box's is taken)", where)
			}
		}
		if a.Area < 0 {
			return d.fail(where(), "", "\"area\" is negative: %v", a.Area)
		}
		d.keep(a)
	}
	return d.failed("annotations")
}

func (d *decoder) keep(a Annotation) {
	k := len(d.chunks) - 1
	if k < 0 || len(d.chunks[k]) == chunkLen {
		d.chunks = append(d.chunks, make([]Annotation, 0, chunkLen))
		k++
	}
	d.chunks[k] = append(d.chunks[k], a)
}
