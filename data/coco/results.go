package coco

import (
	"fmt"
	"os"
	"runtime"

	"manvision/data/coco/mask"
)

// Result is one detection of a results file.
type Result struct {
	ImageID      int64
	CategoryID   int
	BBox         [4]float64 // x, y, w, h in pixels
	Score        float64
	NoBBox       bool // the file gives an outline only; BBox is zero
	Segmentation mask.Segmentation
}

// ResultOptions says what a results reader keeps.
type ResultOptions struct {
	KeepSegmentation bool
	// Workers is the number of goroutines, 0 for as many as there are processors.
	Workers int
}

// ReadResults reads a results file: a list of objects with image_id,
// category_id, score, and bbox or segmentation or both. The order is the file's.
// A file with an empty list has no results, which is no error. Every error about
// the file is an [*InputError].
func ReadResults(path string, o ResultOptions) ([]Result, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, openError(path, err)
	}
	return ParseResults(data, path, o)
}

// ParseResults reads the contents of a results file; path names it in messages.
func ParseResults(data []byte, path string, o ResultOptions) ([]Result, error) {
	workers := o.Workers
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	workers = min(workers, len(data)/minShare)
	if workers > 1 {
		if r, ok := parseShares(data, path, o, workers); ok {
			return r, nil
		}
		// Whatever was wrong, the plain way says it with the right place.
	}
	return parseList(data, path, o)
}

func parseList(data []byte, path string, o ResultOptions) ([]Result, error) {
	d := &decoder{s: scanBytes(data), path: path, o: Options{KeepSegmentation: o.KeepSegmentation}}
	s := d.s
	if len(data) >= 3 && string(data[:3]) == "\xef\xbb\xbf" {
		s.pos = 3
	}
	switch c := s.peek(); {
	case c == 0 && s.err == nil:
		return nil, d.fail("", "", "the file is empty; a results file without detections holds []")
	case c == '{':
		return nil, d.fail("", "pass the results file here and the instances file as ground truth",
			"the file holds an object, as an instances file does; a results file holds a list")
	}
	results := make([]Result, 0, estimate(data))
	for first := true; s.nextElem(&first); {
		var r Result
		if err := d.result(&r, len(results)); err != nil {
			return nil, err
		}
		results = append(results, r)
	}
	if s.err == nil {
		s.end()
	}
	if err := d.failed(fmt.Sprintf("result %d", len(results))); err != nil {
		return nil, err
	}
	return results, nil
}

// estimate guesses the number of results from the length of the first ones.
func estimate(data []byte) int {
	head := data[:min(len(data), 1<<14)]
	n := 0
	for _, c := range head {
		if c == '{' {
			n++
		}
	}
	return int(float64(n)*float64(len(data))/float64(max(1, len(head)))*1.05) + 1
}

// result reads one object; i is its position in the list.
func (d *decoder) result(r *Result, i int) error {
	s := d.s
	var hasImage, hasCategory, hasScore, emptyBox bool
	boxLen := -1
	segProblem := ""
	for first := true; s.nextKey(&first); {
		switch string(s.key) {
		case "image_id":
			r.ImageID, hasImage = s.named("image_id").int("a whole number")
		case "category_id":
			var v int64
			v, hasCategory = s.named("category_id").int("a whole number")
			r.CategoryID = int(v)
		case "bbox":
			boxLen = s.named("bbox").box(&r.BBox)
		case "score":
			r.Score, hasScore = s.named("score").float("a finite number")
		case "segmentation":
			if d.o.KeepSegmentation {
				r.Segmentation, segProblem = d.segmentation()
			} else {
				s.skip()
			}
		default:
			s.skip()
		}
	}
	if boxLen == 0 {
		emptyBox, boxLen = true, -1
	}
	hasSeg := !r.Segmentation.None()
	r.NoBBox = boxLen < 0
	b := &r.BBox
	sum := b[0] + b[1] + b[2] + b[3]
	if s.err == nil && s.bad == "" && hasImage && hasCategory && hasScore && segProblem == "" &&
		(boxLen == 4 && sum == sum && b[2] >= 0 && b[3] >= 0 || boxLen < 0 && (hasSeg || !d.o.KeepSegmentation && !emptyBox)) {
		return nil
	}
	where := fmt.Sprintf("result %d", i)
	if hasImage {
		where += fmt.Sprintf(" of image %d", r.ImageID)
	}
	if err := d.failed(where); err != nil {
		return err
	}
	switch {
	case !hasImage:
		return d.fail(where, "", "the key \"image_id\" is missing")
	case !hasCategory:
		return d.fail(where, "", "the key \"category_id\" is missing")
	case !hasScore:
		return d.fail(where, "", "the key \"score\" is missing")
	case segProblem != "":
		return d.fail(where, "", "segmentation: %s", segProblem)
	case boxLen < 0:
		return d.fail(where, "", "there is neither \"bbox\" nor \"segmentation\"")
	case boxLen != 4:
		return d.fail(where, "", "\"bbox\" has %d numbers, it needs 4: x, y, width, height", boxLen)
	case sum != sum:
		return d.fail(where, "", "\"bbox\" %v is not finite", r.BBox)
	}
	return d.fail(where, "boxes are x, y, width, height", "\"bbox\" %v has a negative size", r.BBox)
}
