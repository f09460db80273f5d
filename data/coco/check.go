package coco

import (
	"fmt"
	"math"
	"slices"
)

// dataset checks what was read as a whole and groups the annotations by image.
func (d *decoder) dataset() (*Dataset, error) {
	ds := &Dataset{Path: d.path, Images: d.images, Categories: d.categories, index: make(map[int64]int, len(d.images))}
	if len(d.images) == 0 {
		return nil, d.fail("", "", "the data set is empty: it lists no images")
	}
	if len(d.categories) == 0 {
		return nil, d.fail("", "", "the data set lists no categories")
	}
	for i, im := range d.images {
		if j, ok := ds.index[im.ID]; ok {
			return nil, d.fail(fmt.Sprintf("image %d", im.ID), "give every image its own id",
				"the id appears twice: %q and %q (entries %d and %d)", d.images[j].FileName, im.FileName, j+1, i+1)
		}
		ds.index[im.ID] = i
	}
	names := map[string]int{}
	ids := map[int]string{}
	for _, c := range d.categories {
		if name, ok := ids[c.ID]; ok {
			return nil, d.fail(fmt.Sprintf("category %d", c.ID), "give every category its own id", "the id appears twice: %q and %q", name, c.Name)
		}
		ids[c.ID] = c.Name
		if id, ok := names[c.Name]; ok {
			d.report.add("warning", "two categories of one name", func() string { return fmt.Sprintf("%q: ids %d and %d", c.Name, id, c.ID) })
		}
		names[c.Name] = c.ID
	}
	ds.IDs = NewIDMap(d.categories)

	total := 0
	for _, c := range d.chunks {
		total += len(c)
	}
	if total == 0 && !d.o.AsIs {
		return nil, d.fail("", "", "the data set is empty: it has %d images but no annotations", len(d.images))
	}
	d.report.Images, d.report.Annotations = len(d.images), total
	if err := d.uniqueAnnotations(total); err != nil {
		return nil, err
	}
	owner, err := d.checkAnnotations(ds, total)
	if err != nil {
		return nil, err
	}
	ds.first = make([]int, len(d.images)+1)
	for _, i := range owner {
		if i >= 0 {
			ds.first[i+1]++
		}
	}
	for i := range d.images {
		ds.first[i+1] += ds.first[i]
	}
	ds.annotations = make([]Annotation, ds.first[len(d.images)])
	next := slices.Clone(ds.first)
	k := 0
	for c, chunk := range d.chunks {
		for _, a := range chunk {
			if i := owner[k]; i >= 0 {
				ds.annotations[next[i]] = a
				next[i]++
			}
			k++
		}
		d.chunks[c] = nil // its memory is free while the rest is copied
	}
	ds.Report = d.report
	return ds, nil
}

// uniqueAnnotations finds annotation ids that appear twice.
func (d *decoder) uniqueAnnotations(total int) error {
	ids := make([]int64, 0, total)
	sorted := true
	for _, c := range d.chunks {
		for i := range c {
			if n := len(ids); n > 0 && ids[n-1] >= c[i].ID {
				sorted = false
			}
			ids = append(ids, c[i].ID)
		}
	}
	if sorted {
		return nil
	}
	slices.Sort(ids)
	for i := 1; i < len(ids); i++ {
		if ids[i] != ids[i-1] {
			continue
		}
		var of []int64
		for _, c := range d.chunks {
			for j := range c {
				if c[j].ID == ids[i] {
					of = append(of, c[j].ImageID)
				}
			}
		}
		return d.fail(fmt.Sprintf("annotation %d of image %d", ids[i], of[0]), "give every annotation its own id",
			"the id appears again at image %d", of[1])
	}
	return nil
}

// checkAnnotations checks every annotation against images and categories and
// clips its box. It returns for every annotation the position of its image, -1
// where it is left out. The first problem becomes the error, with the number of
// annotations that share it.
func (d *decoder) checkAnnotations(ds *Dataset, total int) ([]int32, error) {
	owner := make([]int32, total)
	var firstBad *InputError
	nBad, nOver, nCorners := 0, 0, 0
	k := -1
	for _, chunk := range d.chunks {
		for j := range chunk {
			a := &chunk[j]
			k++
			owner[k] = -1
			where := func() string { return fmt.Sprintf("annotation %d of image %d", a.ID, a.ImageID) }
			i, known := ds.index[a.ImageID]
			if !known {
				if !d.o.SkipUnknown {
					return nil, d.fail(where(), "fix the file or pass --skip-unknown", "the file lists no image %d", a.ImageID)
				}
				d.report.add("skipped", "annotation of an unknown image", where)
				continue
			}
			if _, ok := ds.IDs.Label(a.CategoryID); !ok {
				if !d.o.SkipUnknown {
					return nil, d.fail(where(), "fix the file or pass --skip-unknown", "the file lists no category %d", a.CategoryID)
				}
				d.report.add("skipped", "annotation of an unknown category", func() string {
					return fmt.Sprintf("%s: category %d", where(), a.CategoryID)
				})
				continue
			}
			if a.ID == 0 {
				d.report.add("warning", "annotation id 0 (pycocotools counts its object as missed)", where)
			}
			im := &d.images[i]
			if d.o.AsIs {
				if err := d.asIs(a, where); err != nil {
					return nil, err
				}
				owner[k] = int32(i)
				continue
			}
			over, corners := overshoot(a.Box, im)
			if over > 1 {
				nOver++
			}
			if corners {
				nCorners++
			}
			if why := d.boxProblem(a, im, over, corners); why != "" {
				if d.o.SkipBadBoxes {
					d.report.add("skipped", "bad box", func() string { return where() + ": " + why })
					continue
				}
				if nBad++; firstBad == nil {
					firstBad = &InputError{Path: d.path, Where: where(), Problem: why}
				}
				continue
			}
			d.clip(a, im, over, where)
			owner[k] = int32(i)
		}
	}
	if firstBad != nil {
		firstBad.Fix = fmt.Sprintf("fix the file or pass --skip-bad-boxes (%d of %d boxes)", nBad, total)
		return nil, firstBad
	}
	if nOver >= 2 && nOver*5 > total && nCorners == total {
		return nil, d.fail("", "convert the boxes to x, y, width, height",
			"boxes look like x1, y1, x2, y2: %d of %d leave their image, and all would fit as corners", nOver, total)
	}
	return owner, nil
}

// asIs checks a box that an evaluator takes as written.
func (d *decoder) asIs(a *Annotation, where func() string) error {
	for _, v := range a.Box {
		if math.IsNaN(v) {
			return d.fail(where(), "fix the file", "box %v is not finite", a.Box)
		}
	}
	if a.Box[2] < 0 || a.Box[3] < 0 {
		return d.fail(where(), "fix the file", "box %v has a negative size", a.Box)
	}
	if a.Box[2] == 0 || a.Box[3] == 0 {
		d.report.add("warning", "box without area", func() string { return fmt.Sprintf("%s: box %v", where(), a.Box) })
	}
	return nil
}

// overshoot returns by how many pixels a box leaves its image, and whether it
// would lie inside as the corners x1, y1, x2, y2.
func overshoot(b [4]float64, im *Image) (over float64, corners bool) {
	w, h := float64(im.Width), float64(im.Height)
	over = max(-b[0], -b[1], b[0]+b[2]-w, b[1]+b[3]-h)
	return over, b[0] >= 0 && b[1] >= 0 && b[2] > b[0] && b[3] > b[1] && b[2] <= w && b[3] <= h
}

// boxProblem says why a box is of no use for training, "" where it is.
func (d *decoder) boxProblem(a *Annotation, im *Image, over float64, corners bool) string {
	b := a.Box
	hint := ""
	if over > 1 && corners {
		hint = " (it would fit as corners x1, y1, x2, y2)"
	}
	switch {
	case math.IsNaN(b[0] + b[1] + b[2] + b[3]):
		return fmt.Sprintf("box %v is not finite", b)
	case b[2] < 0 || b[3] < 0:
		return fmt.Sprintf("box %v has negative %s%s", b, side(b[2] < 0), hint)
	case b[2] == 0 || b[3] == 0:
		return fmt.Sprintf("box %v has zero %s", b, side(b[2] == 0))
	case b[0] >= float64(im.Width) || b[1] >= float64(im.Height) || b[0]+b[2] <= 0 || b[1]+b[3] <= 0:
		return fmt.Sprintf("box %v lies outside the %dx%d image%s", b, im.Width, im.Height, hint)
	case over > 1 && d.o.Outside == OutsideError:
		return fmt.Sprintf("box %v leaves the %dx%d image%s", b, im.Width, im.Height, hint)
	}
	return ""
}

func side(width bool) string {
	if width {
		return "width"
	}
	return "height"
}

// clip cuts a box to its image.
func (d *decoder) clip(a *Annotation, im *Image, over float64, where func() string) {
	if over <= 0 {
		return
	}
	reason := "box up to a pixel over the image's edge"
	if over > 1 {
		reason = "box over the image's edge"
	}
	b := a.Box
	d.report.add("clipped", reason, func() string {
		return fmt.Sprintf("%s: box %v, image %dx%d", where(), b, im.Width, im.Height)
	})
	x0, y0 := max(b[0], 0), max(b[1], 0)
	x1, y1 := min(b[0]+b[2], float64(im.Width)), min(b[1]+b[3], float64(im.Height))
	a.Box = [4]float64{x0, y0, x1 - x0, y1 - y0}
}
