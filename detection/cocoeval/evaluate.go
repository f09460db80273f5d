package cocoeval

import (
	"slices"
	"sync"

	"manvision/data/coco"
)

// Evaluate evaluates results against a ground truth (see [New]).
func Evaluate(gt *coco.Dataset, results []coco.Result, o Options) (*Summary, error) {
	e, err := New(gt, o)
	if err != nil {
		return nil, err
	}
	if err := e.Process(results); err != nil {
		return nil, err
	}
	return e.Evaluate()
}

// EvaluateFiles evaluates a results file against an instances file.
func EvaluateFiles(gtPath, dtPath string, o Options) (*Summary, error) {
	segm := o.IoU == "segm"
	var gt *coco.Dataset
	var gtErr error
	var wg sync.WaitGroup
	wg.Go(func() {
		gt, gtErr = coco.Read(gtPath, coco.Options{AsIs: true, KeepSegmentation: segm, SkipUnknown: o.SkipUnknown})
	})
	results, err := coco.ReadResults(dtPath, coco.ResultOptions{KeepSegmentation: segm, Workers: o.Workers})
	wg.Wait()
	if gtErr != nil {
		return nil, gtErr
	}
	if err == nil && !segm && slices.ContainsFunc(results, func(r coco.Result) bool { return r.NoBBox }) {
		// Boxes are those of the masks.
		results, err = coco.ReadResults(dtPath, coco.ResultOptions{KeepSegmentation: true, Workers: o.Workers})
	}
	if err != nil {
		return nil, err
	}
	if o.ResultsName == "" {
		o.ResultsName = dtPath
	}
	return Evaluate(gt, results, o)
}

// spanSize is the number of detections that are matched at a time.
const spanSize = 2048

// Evaluate computes the numbers for everything processed since the last Reset.
// It may be called again after more calls of Process.
func (e *Evaluator) Evaluate() (*Summary, error) {
	classes := make([]class, len(e.objects))
	first := make([]int, len(classes)+1)
	for i := range e.detections {
		first[e.detections[i].label+1]++
	}
	for l := range classes {
		classes[l].label, classes[l].objects = l, e.objects[l]
		first[l+1] += first[l]
	}
	of := make([]int32, len(e.detections))
	next := slices.Clone(first)
	for i := range e.detections {
		l := e.detections[i].label
		of[next[l]] = int32(i)
		next[l]++
	}
	e.parallel(len(classes), 1, func(l int) {
		if first[l] < first[l+1] {
			classes[l].arrange(e.detections, of[first[l]:first[l+1]], e.ranks, e.o.MaxDets[2])
		}
	})
	var spans []span
	for l := range classes {
		spans = append(spans, classes[l].spans(spanSize)...)
	}
	var free sync.Pool
	e.parallel(len(spans), 1, func(i int) {
		m, _ := free.Get().(*matcher)
		if m == nil {
			m = &matcher{segm: e.segm, zeroIDIsMiss: e.o.CompatPycocotools}
		}
		m.span(spans[i])
		free.Put(m)
	})
	scores := make([]classScore, len(classes))
	e.parallel(len(classes), 1, func(l int) { scores[l] = classes[l].score(e.o.MaxDets) })
	return e.summarize(scores), nil
}
