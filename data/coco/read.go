package coco

import (
	"fmt"
	"io"
	"os"
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
