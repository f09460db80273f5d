// Package cocoeval computes COCO's detection metrics: the twelve numbers of
// pycocotools and average precision per class, for boxes and for masks, from
// results in memory or in files.
//
// Numbers equal those of pycocotools' COCOeval with its default parameters (ten
// IoU thresholds 0.50:0.05:0.95, 101 recall points, at most 1, 10 and 100
// detections per image and class, four area ranges), including its order of
// equal scores and its treatment of crowds. One thing differs unless
// [Options.CompatPycocotools] asks for it: an object whose annotation id is 0
// can be found.
package cocoeval

import (
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"manvision/data/coco"
	"manvision/data/coco/mask"
)

// Options says what to evaluate. The zero value evaluates boxes on all images.
type Options struct {
	IoU string // "bbox" (or "") or "segm"
	// MaxDets are the three limits on detections per image and class that AR1,
	// AR10 and AR100 are named after; zero means 1, 10, 100. They must ascend;
	// precision is computed at the last.
	MaxDets [3]int
	// ImageIDs are the images to evaluate, nil for all.
	ImageIDs []int64
	// SkipUnknown leaves out and counts detections of images or categories that
	// the ground truth does not list; otherwise they are errors. EvaluateFiles
	// does the same with the ground truth's own annotations.
	SkipUnknown bool
	// CompatPycocotools reproduces pycocotools where it is odd: a detection that
	// takes the object with annotation id 0 counts as a miss, detections of
	// unknown categories are dropped, and masks may be boxes.
	CompatPycocotools bool
	// ResultsName names the detections in messages, "results" if empty.
	ResultsName string
	// Workers is the number of goroutines, 0 for as many as there are
	// processors. It never changes a number.
	Workers int
}

const (
	numThresholds = 10
	numRecalls    = 101
	numAreas      = 4
	allThresholds = 1<<numThresholds - 1
)

// areaRanges are all, small, medium and large objects in square pixels; both
// ends belong to a range.
var areaRanges = [numAreas][2]float64{{0, 1e10}, {0, 32 * 32}, {32 * 32, 96 * 96}, {96 * 96, 1e10}}

// thresholds and recallPoints are computed as numpy.linspace does, start plus
// multiples of the rounded step, since comparisons with them are exact.
var (
	thresholds   [numThresholds]float64
	recallPoints [numRecalls]float64
)

func init() {
	lo, hi := 0.5, 0.95
	step := (hi - lo) / (numThresholds - 1)
	for i := range thresholds {
		thresholds[i] = lo + float64(float64(i)*step)
	}
	thresholds[numThresholds-1] = hi
	one := 1.0
	step = one / (numRecalls - 1)
	for i := range recallPoints {
		recallPoints[i] = float64(i) * step
	}
	recallPoints[numRecalls-1] = one
}

// object is one annotation of the ground truth.
type object struct {
	image  int32 // rank of its image
	crowd  bool
	zeroID bool
	area   float64
	box    [4]float64
	mask   *mask.RLE  // segm only
	bounds [4]float64 // box of mask
}

// detection is one result.
type detection struct {
	image, label int32
	score, area  float64
	box          [4]float64
	mask         *mask.RLE
	bounds       [4]float64
}

// Evaluator collects detections and evaluates them against one ground truth.
// Calls must not overlap.
type Evaluator struct {
	o       Options
	gt      *coco.Dataset
	segm    bool
	workers int
	rank    []int32 // of Images[i] among the evaluated ones by ascending id, -1 if not one
	ranks   int
	objects [][]object // by label, images ascending, file order

	detections        []detection
	seen              int  // results given since Reset
	boxArea           bool // a detection's area is its box's: the first result has a box
	skippedImages     int
	skippedCategories int
}

// New returns an evaluator for a ground truth, which must have been read with
// [coco.Options.AsIs] (and KeepSegmentation for "segm").
func New(gt *coco.Dataset, o Options) (*Evaluator, error) {
	e := &Evaluator{o: o, gt: gt, workers: o.Workers}
	switch o.IoU {
	case "", "bbox":
	case "segm":
		e.segm = true
	default:
		return nil, fmt.Errorf("unknown IoU type %q: valid are bbox, segm", o.IoU)
	}
	if e.o.MaxDets == [3]int{} {
		e.o.MaxDets = [3]int{1, 10, 100}
	}
	if m := e.o.MaxDets; m[0] < 1 || m[1] < m[0] || m[2] < m[1] || m[2] > math.MaxInt32 {
		return nil, fmt.Errorf("limits on detections %v must be positive and ascend", m)
	}
	if e.o.ResultsName == "" {
		e.o.ResultsName = "results"
	}
	if e.workers <= 0 {
		e.workers = runtime.GOMAXPROCS(0)
	}
	if err := e.rankImages(); err != nil {
		return nil, err
	}
	if err := e.collectObjects(); err != nil {
		return nil, err
	}
	return e, nil
}

// rankImages numbers the evaluated images by ascending id.
func (e *Evaluator) rankImages() error {
	e.rank = make([]int32, len(e.gt.Images))
	order := make([]int, 0, len(e.gt.Images))
	if e.o.ImageIDs == nil {
		for i := range e.gt.Images {
			order = append(order, i)
		}
	}
	for i := range e.rank {
		e.rank[i] = -1
	}
	for _, id := range e.o.ImageIDs {
		i, ok := e.gt.ImageIndex(id)
		if !ok {
			return fmt.Errorf("image %d to evaluate is not in the ground truth", id)
		}
		order = append(order, i)
	}
	slices.SortFunc(order, func(a, b int) int {
		switch x, y := e.gt.Images[a].ID, e.gt.Images[b].ID; {
		case x < y:
			return -1
		case x > y:
			return 1
		}
		return 0
	})
	order = slices.Compact(order)
	for r, i := range order {
		e.rank[i] = int32(r)
	}
	e.ranks = len(order)
	return nil
}

// collectObjects groups the ground truth by class and draws its masks.
func (e *Evaluator) collectObjects() error {
	byRank := make([]int, e.ranks)
	for i, r := range e.rank {
		if r >= 0 {
			byRank[r] = i
		}
	}
	e.objects = make([][]object, e.gt.IDs.Len())
	type outline struct {
		label, at int
		a         *coco.Annotation
		im        *coco.Image
	}
	var outlines []outline
	for r, i := range byRank {
		anns := e.gt.Annotations(i)
		for j := range anns {
			a := &anns[j]
			label, ok := e.gt.IDs.Label(a.CategoryID)
			if !ok {
				return e.gtError(a, fmt.Sprintf("category %d is not in the id map", a.CategoryID))
			}
			if e.segm {
				outlines = append(outlines, outline{label, len(e.objects[label]), a, &e.gt.Images[i]})
			}
			e.objects[label] = append(e.objects[label],
				object{image: int32(r), crowd: a.Crowd, zeroID: a.ID == 0, area: a.Area, box: a.Box})
		}
	}
	errs := make([]error, len(outlines))
	e.parallel(len(outlines), 64, func(k int) {
		l := &outlines[k]
		m, err := l.a.Segmentation.Mask(l.im.Height, l.im.Width)
		if err != nil {
			errs[k] = e.gtError(l.a, err.Error())
			return
		}
		ob := &e.objects[l.label][l.at]
		ob.mask, ob.bounds = m, m.Box()
	})
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func (e *Evaluator) gtError(a *coco.Annotation, problem string) error {
	return &coco.InputError{Path: e.gt.Path, Where: fmt.Sprintf("annotation %d of image %d", a.ID, a.ImageID), Problem: problem}
}

// Reset forgets all detections.
func (e *Evaluator) Reset() {
	e.detections = e.detections[:0]
	e.seen, e.skippedImages, e.skippedCategories = 0, 0, 0
}

// Process adds detections; equal scores are ranked in the order given. It keeps
// the masks of the results, nothing else. After an error none of them counts.
func (e *Evaluator) Process(results []coco.Result) error {
	if len(results) == 0 {
		return nil
	}
	if e.seen == 0 {
		e.boxArea = !results[0].NoBBox
	}
	old, oldImages, oldCategories := len(e.detections), e.skippedImages, e.skippedCategories
	undo := func() {
		e.detections, e.skippedImages, e.skippedCategories = e.detections[:old], oldImages, oldCategories
	}
	e.detections = slices.Grow(e.detections, len(results))
	lastID, lastIndex, lastKnown := int64(0), 0, false
	var drawn []int // results whose mask is needed, from detection old on
	for i := range results {
		r := &results[i]
		if i == 0 || r.ImageID != lastID {
			lastID = r.ImageID
			lastIndex, lastKnown = e.gt.ImageIndex(lastID)
		}
		if !lastKnown {
			if !e.o.SkipUnknown {
				undo()
				return e.resultError(e.seen+i, r, "pass --skip-unknown to leave such results out", "the ground truth %s lists no image %d", e.gtName(), r.ImageID)
			}
			e.skippedImages++
			continue
		}
		label, ok := e.gt.IDs.Label(r.CategoryID)
		if !ok {
			if !e.o.SkipUnknown && !e.o.CompatPycocotools {
				undo()
				return e.resultError(e.seen+i, r, "pass --skip-unknown to leave such results out", "the ground truth %s lists no category %d", e.gtName(), r.CategoryID)
			}
			e.skippedCategories++
			continue
		}
		rank := e.rank[lastIndex]
		if rank < 0 {
			continue
		}
		b := &r.BBox
		if math.IsNaN(r.Score) || math.IsNaN(b[0]+b[1]+b[2]+b[3]) || b[2] < 0 || b[3] < 0 {
			undo()
			return e.resultError(e.seen+i, r, "", "box %v or score %v is no valid number", r.BBox, r.Score)
		}
		e.detections = append(e.detections, detection{
			image: rank, label: int32(label), score: r.Score, box: r.BBox, area: float64(r.BBox[2] * r.BBox[3]),
		})
		if e.segm || r.NoBBox || !e.boxArea {
			drawn = append(drawn, i, len(e.detections)-1, lastIndex)
		}
	}
	errs := make([]error, len(drawn)/3)
	e.parallel(len(errs), 64, func(k int) {
		r, d, im := &results[drawn[3*k]], &e.detections[drawn[3*k+1]], &e.gt.Images[drawn[3*k+2]]
		if err := e.draw(r, d, im); err != nil {
			errs[k] = e.resultError(e.seen+drawn[3*k], r, "", "%v", err)
		}
	})
	for _, err := range errs {
		if err != nil {
			undo()
			return err
		}
	}
	e.seen += len(results)
	return nil
}

// draw gives a detection what follows from its result's mask.
func (e *Evaluator) draw(r *coco.Result, d *detection, im *coco.Image) error {
	seg := r.Segmentation
	if seg.None() {
		switch {
		case !e.segm && r.NoBBox:
			return fmt.Errorf("there is neither a box nor a mask")
		case !e.segm:
			return nil
		case !e.o.CompatPycocotools || r.NoBBox:
			return fmt.Errorf("there is no mask; evaluate boxes with --iou bbox")
		}
		x0, y0, x1, y1 := r.BBox[0], r.BBox[1], r.BBox[0]+r.BBox[2], r.BBox[1]+r.BBox[3]
		seg.Polygons = [][]float64{{x0, y0, x0, y1, x1, y1, x1, y0}}
	}
	m := seg.RLE
	if m == nil || e.segm {
		var err error
		if m, err = seg.Mask(im.Height, im.Width); err != nil {
			return err
		}
	}
	d.bounds = m.Box()
	if e.segm {
		d.mask = m
	}
	if r.NoBBox {
		d.box = d.bounds
	}
	if r.NoBBox || !e.boxArea {
		d.area = float64(m.Area())
	}
	return nil
}

func (e *Evaluator) gtName() string {
	if e.gt.Path == "" {
		return "data set"
	}
	return e.gt.Path
}

func (e *Evaluator) resultError(i int, r *coco.Result, fix, format string, args ...any) error {
	return &coco.InputError{Path: e.o.ResultsName, Where: fmt.Sprintf("result %d of image %d", i, r.ImageID),
		Problem: fmt.Sprintf(format, args...), Fix: fix}
}

// parallel calls f for 0..n-1 on the workers, grain calls at a time.
func (e *Evaluator) parallel(n, grain int, f func(int)) {
	workers := min(e.workers, (n+grain-1)/grain)
	if workers <= 1 {
		for i := range n {
			f(i)
		}
		return
	}
	var next atomic.Int64
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for {
				lo := int(next.Add(int64(grain))) - grain
				if lo >= n {
					return
				}
				for i := lo; i < min(lo+grain, n); i++ {
					f(i)
				}
			}
		})
	}
	wg.Wait()
}
