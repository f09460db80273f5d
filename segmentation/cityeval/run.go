package cityeval

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"manvision/data/cityscapes"
	"manvision/data/labelmap"
)

// Options set up [EvaluateFolders].
type Options struct {
	Workers int // images read at once; 0: one a core
	// Progress, if not nil, is called after each image, from several goroutines.
	Progress func(done, total int)
}

// EvaluateFolders scores the predictions in one folder against the ground truth
// in another, paired by [Find]. Predictions are PNGs of label ids, 8-bit grey or
// with a palette, whose indices are taken then. The numbers do not depend on the
// number of workers; memory grows by less than a kilobyte an image. The error joins
// one [*labelmap.InputError] for each file that is of no use.
func EvaluateFolders(ctx context.Context, truth, pred string, o Options) (*Summary, error) {
	pairs, splits, err := Find(truth, pred)
	if err != nil {
		return nil, err
	}
	var bad problems
	with := 0
	for _, p := range pairs {
		if p.Instances != "" {
			with++
		}
	}
	if with > 0 && with < len(pairs) {
		for _, p := range pairs {
			if p.Instances == "" {
				bad.add(p.Truth, labelmap.MissingLabel, fmt.Sprintf("no instanceIds file beside it, but %d of %d have one", with, len(pairs)))
				break
			}
		}
		return nil, bad.err()
	}
	r := &run{e: New(), pairs: pairs, sums: make([]*sums, len(pairs)), errs: make([]*labelmap.InputError, len(pairs)), o: o}
	if o.Workers <= 0 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	var wg sync.WaitGroup
	for range min(o.Workers, len(pairs)) {
		wg.Add(1)
		go func() {
			defer wg.Done()
			r.work(ctx)
		}()
	}
	wg.Wait()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	for i, e := range r.errs {
		if e != nil {
			bad.list = append(bad.list, e)
		} else {
			r.e.sums.add(r.sums[i]) // in the images' order, so that sums are always rounded alike
		}
	}
	if err := bad.err(); err != nil {
		return nil, err
	}
	s := r.e.Evaluate()
	s.Splits = splits
	s.warn()
	return s, nil
}

type run struct {
	e     *Evaluator
	pairs []Pair
	sums  []*sums
	errs  []*labelmap.InputError
	o     Options

	next, done atomic.Int64
}

func (r *run) work(ctx context.Context) {
	w := new(worker)
	for ctx.Err() == nil {
		i := int(r.next.Add(1)) - 1
		if i >= len(r.pairs) {
			return
		}
		if r.sums[i], r.errs[i] = w.measure(&r.pairs[i]); r.errs[i] == nil {
			r.e.add(&w.c, r.pairs[i].Instances != "")
		}
		if done := r.done.Add(1); r.o.Progress != nil {
			r.o.Progress(int(done), len(r.pairs))
		}
	}
}

// worker has the buffers of one image.
type worker struct {
	c        counter
	gt, pred []uint8
	inst     []uint16
}

func (w *worker) measure(p *Pair) (*sums, *labelmap.InputError) {
	var width, height, pw, ph, iw, ih int
	var err error
	if w.gt, width, height, err = labelmap.ReadPNG(p.Truth, w.gt); err != nil {
		return nil, inputError(p.Truth, err)
	}
	if w.pred, pw, ph, err = labelmap.ReadIndices(p.Pred, w.pred); err != nil {
		return nil, inputError(p.Pred, err)
	}
	if pw != width || ph != height {
		return nil, &labelmap.InputError{Path: p.Pred, Kind: labelmap.WrongSize,
			Problem: fmt.Sprintf("%dx%d pixels, but the ground truth %s has %dx%d", pw, ph, p.Truth, width, height)}
	}
	var instances []uint16
	if p.Instances != "" {
		if w.inst, iw, ih, err = labelmap.ReadPNG16(p.Instances, w.inst); err != nil {
			return nil, inputError(p.Instances, err)
		}
		if iw != width || ih != height {
			return nil, &labelmap.InputError{Path: p.Instances, Kind: labelmap.WrongSize,
				Problem: fmt.Sprintf("%dx%d pixels, but %s has %dx%d", iw, ih, p.Truth, width, height)}
		}
		instances = w.inst
	}
	s, err := w.c.count(w.gt, w.pred, instances)
	if err == nil {
		return s, nil
	}
	var bad *valueError
	if !errors.As(err, &bad) {
		return nil, inputError(p.Pred, err)
	}
	switch {
	case bad.instance:
		return nil, &labelmap.InputError{Path: p.Instances, Kind: labelmap.BadValue,
			Problem: fmt.Sprintf("the instance id %d: %d is no label with instances", bad.value, bad.value/1000)}
	case bad.truth:
		return nil, inputError(p.Truth, labelIDs.Check(p.Truth, w.gt, width, labelmap.Histogram(w.gt)))
	}
	return nil, inputError(p.Pred, labelIDs.Check(p.Pred, w.pred, width, labelmap.Histogram(w.pred)))
}

func inputError(path string, err error) *labelmap.InputError {
	var e *labelmap.InputError
	if errors.As(err, &e) {
		return e
	}
	return &labelmap.InputError{Path: path, Kind: labelmap.Unreadable, Problem: err.Error(), Err: err}
}

// labelIDs says which values are label ids and what others look like.
var labelIDs = func() *labelmap.Coding {
	c := &labelmap.Coding{Name: "label ids", Hint: func(h *[256]int64) string {
		if cityscapes.LikeTrainIDs(h) {
			return "the file holds nothing but 0..18 and 255: these are training ids; save label ids instead"
		}
		return ""
	}}
	for v := ids; v < 256; v++ {
		c.Train[v] = -1
	}
	return c
}()

// warn notes what makes the numbers doubtful: predictions that all are below 19
// in front of a ground truth that is not are training ids without 255. Road,
// building, vegetation, sky and cars are in every drive.
func (s *Summary) warn() {
	var high, low, truth int64
	for g, row := range s.Confusion {
		for p, n := range row {
			if p >= cityscapes.Classes {
				high += n
			} else {
				low += n
			}
			if g >= cityscapes.Classes {
				truth += n
			}
		}
	}
	if high == 0 && low > 0 && truth > 0 {
		s.Warnings = append(s.Warnings, "no prediction has a value above 18, the ground truth does: these look like training ids (0..18) where label ids (0..33) belong")
	}
}
