package coco

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"strconv"
	"unicode/utf8"

	"manvision/data/coco/mask"
	"manvision/internal/atomicfile"
)

// WriteInstances writes an instances file. It replaces path in one step when
// everything is on disk, so a crash or a full disk leaves the old file. Masks are
// written with uncompressed counts, as COCO's own files have them. It fails on
// numbers that are not finite.
func WriteInstances(path string, images []Image, categories []Category, annotations []Annotation) error {
	return writeFile(path, func(w *writer) {
		w.raw("{\"images\": [")
		for i := range images {
			im := &images[i]
			w.row(i)
			w.raw("{\"id\": ")
			w.int(im.ID)
			w.raw(", \"file_name\": ")
			w.string(im.FileName)
			w.raw(", \"width\": ")
			w.int(int64(im.Width))
			w.raw(", \"height\": ")
			w.int(int64(im.Height))
			w.raw("}")
		}
		w.raw("],\n\"categories\": [")
		for i := range categories {
			c := &categories[i]
			w.row(i)
			w.raw("{\"id\": ")
			w.int(int64(c.ID))
			w.raw(", \"name\": ")
			w.string(c.Name)
			w.raw(", \"supercategory\": ")
			w.string(c.Supercategory)
			w.raw("}")
		}
		w.raw("],\n\"annotations\": [")
		for i := range annotations {
			a := &annotations[i]
			w.where = fmt.Sprintf("annotation %d of image %d", a.ID, a.ImageID)
			w.row(i)
			w.raw("{\"id\": ")
			w.int(a.ID)
			w.raw(", \"image_id\": ")
			w.int(a.ImageID)
			w.raw(", \"category_id\": ")
			w.int(int64(a.CategoryID))
			w.raw(", \"bbox\": ")
			w.floats(a.Box[:])
			w.raw(", \"area\": ")
			w.float(a.Area)
			if a.Crowd {
				w.raw(", \"iscrowd\": 1")
			} else {
				w.raw(", \"iscrowd\": 0")
			}
			if !a.Segmentation.None() {
				w.raw(", \"segmentation\": ")
				w.outline(&a.Segmentation, false)
			}
			w.raw("}")
		}
		w.raw("]}\n")
	})
}

// WriteResults writes a results file in one step, like [WriteInstances]. Masks
// are written with compressed counts, as pycocotools reads them. It fails on
// numbers that are not finite.
func WriteResults(path string, results []Result) error {
	return writeFile(path, func(w *writer) {
		w.raw("[")
		for i := range results {
			w.result(i, &results[i])
		}
		w.raw("]\n")
	})
}

// result writes the i-th result of a list.
func (w *writer) result(i int, r *Result) {
	w.where = fmt.Sprintf("result %d of image %d", i, r.ImageID)
	w.row(i)
	w.raw("{\"image_id\": ")
	w.int(r.ImageID)
	w.raw(", \"category_id\": ")
	w.int(int64(r.CategoryID))
	if !r.NoBBox {
		w.raw(", \"bbox\": ")
		w.floats(r.BBox[:])
	}
	w.raw(", \"score\": ")
	w.float(r.Score)
	if !r.Segmentation.None() {
		w.raw(", \"segmentation\": ")
		w.outline(&r.Segmentation, true)
	}
	w.raw("}")
}

// writer appends JSON to a buffered file; the first error sticks.
type writer struct {
	out   *bufio.Writer
	tmp   []byte
	where string
	err   error
}

func writeFile(path string, fill func(*writer)) error {
	return atomicfile.Save(path, func(f io.Writer) error {
		w := &writer{out: bufio.NewWriterSize(f, 1<<18)}
		fill(w)
		if w.err != nil {
			return w.err
		}
		return w.out.Flush()
	})
}

func (w *writer) raw(t string) { w.out.WriteString(t) }

func (w *writer) row(i int) {
	if i > 0 {
		w.raw(",\n")
	} else {
		w.raw("\n")
	}
}

func (w *writer) int(v int64) {
	w.tmp = strconv.AppendInt(w.tmp[:0], v, 10)
	w.out.Write(w.tmp)
}

func (w *writer) float(v float64) {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		if w.err == nil {
			w.err = fmt.Errorf("%s holds the number %v", w.where, v)
		}
		v = 0
	}
	w.tmp = strconv.AppendFloat(w.tmp[:0], v, 'g', -1, 64)
	w.out.Write(w.tmp)
}

func (w *writer) floats(v []float64) {
	w.raw("[")
	for i, x := range v {
		if i > 0 {
			w.raw(", ")
		}
		w.float(x)
	}
	w.raw("]")
}

func (w *writer) string(t string) {
	const hex = "0123456789abcdef"
	w.tmp = append(w.tmp[:0], '"')
	for _, r := range t {
		switch {
		case r == '"' || r == '\\':
			w.tmp = append(w.tmp, '\\', byte(r))
		case r < ' ':
			w.tmp = append(w.tmp, '\\', 'u', '0', '0', hex[r>>4], hex[r&15])
		default:
			w.tmp = utf8.AppendRune(w.tmp, r)
		}
	}
	w.tmp = append(w.tmp, '"')
	w.out.Write(w.tmp)
}

func (w *writer) outline(s *mask.Segmentation, compressed bool) {
	if s.RLE == nil {
		w.raw("[")
		for i, p := range s.Polygons {
			if i > 0 {
				w.raw(", ")
			}
			w.floats(p)
		}
		w.raw("]")
		return
	}
	w.raw("{\"size\": [")
	w.int(int64(s.RLE.H))
	w.raw(", ")
	w.int(int64(s.RLE.W))
	w.raw("], \"counts\": ")
	if compressed {
		w.string(s.RLE.Text())
	} else {
		w.raw("[")
		for i, c := range s.RLE.Counts {
			if i > 0 {
				w.raw(", ")
			}
			w.int(int64(c))
		}
		w.raw("]")
	}
	w.raw("}")
}
