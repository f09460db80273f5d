package coco

import (
	"fmt"
	"io"
	"math"
	"os"

	"manvision/data/coco/mask"
)

// Read reads an instances file. Licences, captions and other keys it has no use
// for are stepped over. Every error about the file is an [*InputError].
func Read(path string, o Options) (*Dataset, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, openError(path, err)
	}
	defer f.Close()
	return Decode(f, path, o)
}

func openError(path string, err error) error {
	return &InputError{Path: path, Problem: "cannot read the file: " + err.Error(), Err: err}
}

// Decode reads an instances file from r; path names it in messages.
func Decode(r io.Reader, path string, o Options) (*Dataset, error) {
	d := &decoder{s: newScanner(r), path: path, o: o}
	if err := d.file(); err != nil {
		return nil, err
	}
	return d.dataset()
}

const chunkLen = 1 << 13 // annotations collected at a time

type decoder struct {
	s    *scanner
	path string
	o    Options

	images     []Image
	categories []Category
	chunks     [][]Annotation
	report     Report

	floats []float64 // what polygons are cut from
	runs   []uint32  // scratch for uncompressed counts
	text   []byte    // scratch for compressed counts
	loose  []float64 // scratch for one polygon
}

func (d *decoder) fail(where, fix, format string, args ...any) error {
	return &InputError{Path: d.path, Where: where, Fix: fix, Problem: fmt.Sprintf(format, args...)}
}

// failed returns the scanner's error, if any, placed in an element.
func (d *decoder) failed(where string) error {
	if d.s.err != nil {
		return d.s.err.input(d.path, where)
	}
	if d.s.bad != "" {
		return d.fail(where, "", "%s", d.s.bad)
	}
	return nil
}

func (d *decoder) file() error {
	s := d.s
	s.ensure(3)
	if len(s.buf) >= 3 && string(s.buf[:3]) == "\xef\xbb\xbf" {
		s.pos = 3 // byte order mark
	}
	switch c := s.peek(); {
	case c == 0 && s.err == nil:
		return d.fail("", "", "the file is empty")
	case c == '[':
		return d.fail("", "pass the instances file here and results where detections are asked for",
			"the file holds a list, as a results file does; an instances file holds an object with images, categories and annotations")
	}
	seen := map[string]bool{}
	for first := true; s.nextKey(&first); {
		key := string(s.key)
		switch key {
		case "images", "categories", "annotations":
		default:
			s.skip()
			continue
		}
		if seen[key] {
			return d.fail("", "", "the key %q appears twice", key)
		}
		seen[key] = true
		if s.peek() != '[' {
			s.named(key).wrong("a list")
			if err := d.failed(""); err != nil {
				return err
			}
		}
		var err error
		switch key {
		case "images":
			err = d.readImages()
		case "categories":
			err = d.readCategories()
		case "annotations":
			err = d.readAnnotations()
		}
		if err != nil {
			return err
		}
	}
	if s.err == nil {
		s.end()
	}
	if err := d.failed(""); err != nil {
		return err
	}
	for _, key := range []string{"images", "categories", "annotations"} {
		if !seen[key] {
			return d.fail("", "", "the key %q is missing; an instances file has images, categories and annotations", key)
		}
	}
	return nil
}

func (d *decoder) readImages() error {
	s := d.s
	n := 0
	for first := true; s.nextElem(&first); {
		n++
		var im Image
		var hasID, hasName, hasW, hasH bool
		for first := true; s.nextKey(&first); {
			switch string(s.key) {
			case "id":
				im.ID, hasID = s.named("id").int("a whole number")
			case "file_name":
				var b []byte
				b, hasName = s.named("file_name").string("text")
				im.FileName = string(b)
			case "width":
				var v int64
				v, hasW = s.named("width").int("a whole number")
				im.Width = int(v)
			case "height":
				var v int64
				v, hasH = s.named("height").int("a whole number")
				im.Height = int(v)
			default:
				s.skip()
			}
		}
		where := func() string {
			if hasID {
				return fmt.Sprintf("image %d", im.ID)
			}
			return fmt.Sprintf("image no. %d of the list", n)
		}
		if s.err != nil || s.bad != "" {
			return d.failed(where())
		}
		missing := ""
		switch {
		case !hasID:
			missing = "id"
		case d.o.AsIs:
		case !hasName:
			missing = "file_name"
		case !hasW:
			missing = "width"
		case !hasH:
			missing = "height"
		}
		if missing != "" {
			return d.fail(where(), "", "the key %q is missing", missing)
		}
		if hasName && im.FileName == "" {
			return d.fail(where(), "", "\"file_name\" is empty")
		}
		if (hasW && (im.Width < 1 || im.Width > math.MaxInt32)) || (hasH && (im.Height < 1 || im.Height > math.MaxInt32)) {
			return d.fail(where(), "", "size %dx%d (width x height) is out of range", im.Width, im.Height)
		}
		d.images = append(d.images, im)
	}
	return d.failed("images")
}

func (d *decoder) readCategories() error {
	s := d.s
	n := 0
	for first := true; s.nextElem(&first); {
		n++
		var c Category
		var hasID, hasName bool
		for first := true; s.nextKey(&first); {
			switch string(s.key) {
			case "id":
				var v int64
				v, hasID = s.named("id").int("a whole number")
				c.ID = int(v)
			case "name":
				var b []byte
				b, hasName = s.named("name").string("text")
				c.Name = string(b)
			case "supercategory":
				if s.peek() != '"' { // often null or a number; nothing depends on it
					s.skip()
					continue
				}
				b, _ := s.named("supercategory").string("text")
				c.Supercategory = string(b)
			default:
				s.skip()
			}
		}
		where := fmt.Sprintf("category no. %d of the list", n)
		if hasID {
			where = fmt.Sprintf("category %d", c.ID)
		}
		if err := d.failed(where); err != nil {
			return err
		}
		switch {
		case !hasID:
			return d.fail(where, "", "the key \"id\" is missing")
		case !hasName:
			return d.fail(where, "", "the key \"name\" is missing")
		}
		d.categories = append(d.categories, c)
	}
	return d.failed("categories")
}

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

// box reads a list of numbers, returns how many there were and keeps the first
// four. NaN and infinities are kept as NaN for the check of all boxes.
func (s *scanner) box(b *[4]float64) int {
	if s.peek() != '[' {
		s.wrong("a list of 4 numbers")
		return 4
	}
	n := 0
	for first := true; s.nextElem(&first); {
		v := math.NaN()
		c := s.peek()
		if c == '-' {
			s.ensure(2)
			if s.pos+1 < len(s.buf) {
				c = s.buf[s.pos+1]
			}
		}
		if c == 'N' || c == 'I' {
			s.literal()
		} else {
			v, _ = s.float("a number")
		}
		if n < 4 {
			b[n] = v
		}
		n++
	}
	return n
}
