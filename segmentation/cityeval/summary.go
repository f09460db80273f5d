package cityeval

import (
	"slices"

	"manvision/data/cityscapes"
)

// Summary holds the scores, in 0..1. A nil number has nothing to be computed
// from: its class is absent (not one pixel that counts belongs to it, neither in
// the ground truth nor in the prediction), or there were no instances.
type Summary struct {
	// MIoU and IIoU are means over the classes that have the number, CategoryMIoU
	// and CategoryIIoU over the categories.
	MIoU         *float64 `json:"mIoU"`
	IIoU         *float64 `json:"iIoU"`
	CategoryMIoU *float64 `json:"category_mIoU"`
	CategoryIIoU *float64 `json:"category_iIoU"`
	// PixelAccuracy is the share of pixels predicted right among those whose true
	// label is evaluated.
	PixelAccuracy *float64 `json:"pixel_accuracy"`

	Images int   `json:"images"`
	Pixels int64 `json:"pixels"` // with those of labels that are not evaluated
	// Instances says whether iIoU was computed: every image came with instance ids.
	Instances bool `json:"instances"`

	Classes    []Score `json:"per_class"`    // the 19 labels that are evaluated, by id
	Categories []Score `json:"per_category"` // the 7 categories that are evaluated, by id

	Labels    []string  `json:"labels"`    // names of the confusion matrix's rows and columns: label ids 0..33
	Confusion [][]int64 `json:"confusion"` // pixels by label id: ground truth in rows, prediction in columns

	// Splits are the ground truth's splits that were scored, where it has any.
	Splits   []string `json:"splits,omitempty"`
	Warnings []string `json:"warnings,omitempty"`
}

// Score holds the numbers of a class or a category.
type Score struct {
	ID   int      `json:"id"`
	Name string   `json:"name"`
	IoU  *float64 `json:"IoU"`
	// IIoU is IoU with every instance weighed by its class's average size over its
	// own; only classes and categories made of instances have one.
	IIoU      *float64 `json:"iIoU"`
	Pixels    int64    `json:"pixels"`    // in the ground truth
	Predicted int64    `json:"predicted"` // in the prediction, on pixels whose true label is evaluated
}

// Evaluate returns the scores of everything counted so far.
func (e *Evaluator) Evaluate() *Summary {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := &Summary{Images: e.images, Instances: e.images > 0 && e.instances == e.images}
	s.Confusion = make([][]int64, ids)
	var correct, evaluated int64
	for g := range ids {
		s.Labels = append(s.Labels, cityscapes.Labels[g].Name)
		s.Confusion[g] = append([]int64(nil), e.matrix[g][:]...)
		for p, n := range e.matrix[g] {
			s.Pixels += n
			if !cityscapes.Labels[g].IgnoreInEval {
				evaluated += n
				if g == p {
					correct += n
				}
			}
		}
	}
	s.PixelAccuracy = ratio(float64(correct), float64(evaluated))
	for _, l := range cityscapes.Labels[:ids] {
		if l.IgnoreInEval {
			continue
		}
		score := e.score([]int{l.ID}, []int{l.ID})
		score.ID, score.Name = l.ID, l.Name
		if s.Instances && l.HasInstances {
			score.IIoU = e.weightedIoU(e.sums.class[l.ID], []int{l.ID}, []int{l.ID})
		}
		s.Classes = append(s.Classes, score)
	}
	for id, name := range cityscapes.Categories() {
		// The official script leaves labels that are not evaluated out of a category,
		// but counts their columns among the false alarms of iIoU.
		var labels, all []int
		instances := true
		for _, l := range cityscapes.Labels[:ids] {
			if l.CategoryID != id {
				continue
			}
			all = append(all, l.ID)
			instances = instances && l.HasInstances
			if !l.IgnoreInEval {
				labels = append(labels, l.ID)
			}
		}
		if len(labels) == 0 {
			continue
		}
		score := e.score(labels, labels)
		score.ID, score.Name = id, name
		if s.Instances && instances {
			score.IIoU = e.weightedIoU(e.sums.category[id], labels, all)
		}
		s.Categories = append(s.Categories, score)
	}
	s.MIoU, s.IIoU = means(s.Classes)
	s.CategoryMIoU, s.CategoryIIoU = means(s.Categories)
	return s
}

// score computes the IoU of some labels taken together.
func (e *Evaluator) score(labels, columns []int) Score {
	var tp, truth int64
	for _, g := range labels {
		for p, n := range e.matrix[g] {
			truth += n
			if slices.Contains(columns, p) {
				tp += n
			}
		}
	}
	fp := e.falseAlarms(labels, columns)
	return Score{IoU: ratio(float64(tp), float64(truth+fp)), Pixels: truth, Predicted: tp + fp}
}

// falseAlarms counts pixels predicted as one of the columns whose true label is
// evaluated and another.
func (e *Evaluator) falseAlarms(labels, columns []int) (n int64) {
	for g := range ids {
		if cityscapes.Labels[g].IgnoreInEval || slices.Contains(labels, g) {
			continue
		}
		for _, p := range columns {
			n += e.matrix[g][p]
		}
	}
	return n
}

func (e *Evaluator) weightedIoU(w weighted, labels, columns []int) *float64 {
	return ratio(w.tp, w.tp+float64(e.falseAlarms(labels, columns))+w.fn)
}

// ratio is nil where there is nothing to divide by.
func ratio(a, b float64) *float64 {
	if b == 0 {
		return nil
	}
	q := a / b
	return &q
}

// means averages the numbers that there are.
func means(scores []Score) (iou, iiou *float64) {
	var sum, isum, n, in float64
	for _, s := range scores {
		if s.IoU != nil {
			sum, n = sum+*s.IoU, n+1
		}
		if s.IIoU != nil {
			isum, in = isum+*s.IIoU, in+1
		}
	}
	return ratio(sum, n), ratio(isum, in)
}
