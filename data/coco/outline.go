package coco

import (
	"fmt"
	"math"

	"manvision/data/coco/mask"
)

// segmentation reads an annotation's or a result's outline: a list of polygons,
// or an object with size and counts. What is wrong with the numbers themselves
// is returned in words; an empty list is no outline.
func (d *decoder) segmentation() (seg mask.Segmentation, problem string) {
	s := d.s
	switch s.named("segmentation").peek() {
	case '[':
		for first := true; s.nextElem(&first); {
			if s.peek() != '[' {
				s.wrong("a list of polygons")
				continue
			}
			d.loose = d.loose[:0]
			for first := true; s.nextElem(&first); {
				v, _ := s.float("a number")
				d.loose = append(d.loose, v)
			}
			if err := mask.CheckPolygon(d.loose); err != nil {
				problem = err.Error()
				continue
			}
			seg.Polygons = append(seg.Polygons, d.cut(d.loose))
		}
	case '{':
		seg.RLE, problem = d.rle()
	case 'n':
		s.literal()
	default:
		s.wrong("a list of polygons or an object with size and counts")
	}
	return seg, problem
}

// cut copies numbers into the current block of floats.
func (d *decoder) cut(v []float64) []float64 {
	if len(v) > cap(d.floats)-len(d.floats) {
		d.floats = make([]float64, 0, max(1<<13, len(v)))
	}
	n := len(d.floats)
	d.floats = append(d.floats, v...)
	return d.floats[n:len(d.floats):len(d.floats)]
}

func (d *decoder) rle() (r *mask.RLE, problem string) {
	s := d.s
	var size [2]int
	sizeLen := -1
	form := byte(0)
	for first := true; s.nextKey(&first); {
		switch string(s.key) {
		case "size":
			s.named("size")
			sizeLen = 0
			if s.peek() != '[' {
				s.wrong("a list of height and width")
				continue
			}
			for first := true; s.nextElem(&first); {
				v, _ := s.int("a whole number")
				if sizeLen < 2 {
					size[sizeLen] = int(v)
				}
				sizeLen++
			}
		case "counts":
			s.named("counts")
			switch form = s.peek(); form {
			case '"':
				b, _ := s.string("text")
				d.text = append(d.text[:0], b...)
			case '[':
				d.runs = d.runs[:0]
				for first := true; s.nextElem(&first); {
					v, ok := s.int("a whole number")
					if ok && (v < 0 || v > math.MaxInt32) {
						problem = fmt.Sprintf("run length %d is out of range", v)
					}
					d.runs = append(d.runs, uint32(v))
				}
			default:
				s.wrong("a list of run lengths or text")
			}
		default:
			s.skip()
		}
	}
	switch {
	case s.err != nil || s.bad != "" || problem != "":
		return nil, problem
	case form == 0:
		return nil, "the key \"counts\" is missing"
	case sizeLen < 0:
		return nil, "the key \"size\" is missing"
	case sizeLen != 2:
		return nil, fmt.Sprintf("\"size\" has %d numbers, it needs 2: height, width", sizeLen)
	}
	var err error
	if form == '"' {
		r, err = mask.FromText(d.text, size[0], size[1])
	} else {
		r, err = mask.FromCounts(append([]uint32(nil), d.runs...), size[0], size[1])
	}
	if err != nil {
		return nil, err.Error()
	}
	return r, ""
}
