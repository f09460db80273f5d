// Package cityeval is CityScapes' pixel-level evaluation: intersection over union
// (IoU) by class and category, its instance-weighted form (iIoU), and the
// confusion matrix of label ids, equal to those of cityscapesScripts
// (evaluation/evalPixelLevelSemanticLabeling.py, 2.3.0).
package cityeval

import (
	"fmt"
	"slices"
	"sync"

	"manvision/data/cityscapes"
	"manvision/segmentation/iou"
)

// averageSize is the mean number of pixels of an instance in the training split,
// by which iIoU weighs instances (args.avgClassSize of the official script).
var averageSize = map[string]float64{
	"bicycle":    4672.3249222261,
	"motorcycle": 6298.7200839748,
	"rider":      3930.4788056518,
	"bus":        35732.1511111111,
	"train":      67583.7075812274,
	"car":        12794.0202738185,
	"person":     3462.4756337644,
	"truck":      27855.1264367816,
}

const ids = cityscapes.IDs

// weighted sums up instances' pixels, each instance as if it had its class's
// average size.
type weighted struct{ tp, fn float64 }

// sums are the weighted sums of one or more images.
type sums struct {
	class    [ids]weighted
	category [16]weighted // by category id
}

func (s *sums) add(o *sums) {
	for k := range s.class {
		s.class[k].tp += o.class[k].tp
		s.class[k].fn += o.class[k].fn
	}
	for k := range s.category {
		s.category[k].tp += o.category[k].tp
		s.category[k].fn += o.category[k].fn
	}
}

// Evaluator counts images one by one in fixed memory. All methods may be called
// from several goroutines at once.
type Evaluator struct {
	mu        sync.Mutex
	matrix    [ids][ids]int64 // [ground truth][prediction]
	sums      sums
	images    int
	instances int // images that came with instances
}

// New returns an evaluator without counts.
func New() *Evaluator { return &Evaluator{} }

// Process counts an image: the label ids of ground truth and prediction, and the
// ids of the ground truth's instances (label id times 1000 plus a number; below
// 1000 where there is no single object), nil if there are none to be had. After an
// error the image has counted nothing.
func (e *Evaluator) Process(gt, pred []uint8, instances []uint16) error {
	var c counter
	s, err := c.count(gt, pred, instances)
	if err != nil {
		return err
	}
	e.add(&c, instances != nil)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.sums.add(s)
	return nil
}

// add takes over a counter's pixels.
func (e *Evaluator) add(c *counter, instances bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.images++
	if instances {
		e.instances++
	}
	for g := range ids {
		for p := range ids {
			e.matrix[g][p] += int64(c.pixels[g<<8|p])
		}
	}
}

// counter holds one image's counts; its memory is used again for the next.
type counter struct {
	pixels [1 << 16]uint32     // ground truth << 8 | prediction
	parts  [1 << 16]instanceOf // by instance id
	found  []int               // instance ids of the image
}

// instanceOf counts an instance's pixels: all, those predicted as its label, and
// those predicted as a label of its category.
type instanceOf struct{ all, label, category uint32 }

func (c *counter) count(gt, pred []uint8, instances []uint16) (*sums, error) {
	if len(gt) != len(pred) || instances != nil && len(instances) != len(gt) {
		return nil, fmt.Errorf("cityeval: %d pixels of ground truth, %d predicted, %d of instances", len(gt), len(pred), len(instances))
	}
	clear(c.pixels[:])
	iou.Count(&c.pixels, gt, pred)
	for k, n := range c.pixels {
		if g, p := k>>8, k&255; n > 0 && g >= ids {
			return nil, &valueError{truth: true, value: g}
		} else if n > 0 && p >= ids {
			return nil, &valueError{value: p}
		}
	}
	return c.weigh(pred, instances)
}

// weigh compares the instances of an image with its prediction.
func (c *counter) weigh(pred []uint8, instances []uint16) (*sums, error) {
	s := new(sums)
	for _, k := range c.found {
		c.parts[k] = instanceOf{}
	}
	c.found = c.found[:0]
	for i := 0; i < len(instances); {
		k := instances[i]
		if k <= 1000 {
			// Most of a picture is no instance.
			for i++; i+4 <= len(instances) && max(instances[i], instances[i+1], instances[i+2], instances[i+3]) <= 1000; i += 4 {
			}
			for i < len(instances) && instances[i] <= 1000 {
				i++
			}
			continue
		}
		p, start := pred[i], i
		for i++; i < len(instances) && instances[i] == k && pred[i] == p; i++ {
		}
		part, label, n := &c.parts[k], int(k/1000), uint32(i-start)
		if part.all == 0 {
			if label >= ids || !cityscapes.Labels[label].IgnoreInEval && !cityscapes.Labels[label].HasInstances {
				return nil, &valueError{truth: true, instance: true, value: int(k)}
			}
			c.found = append(c.found, int(k))
		}
		part.all += n
		if int(p) == label {
			part.label += n
		}
		if cityscapes.Labels[p].CategoryID == cityscapes.Labels[label].CategoryID {
			part.category += n
		}
	}
	slices.Sort(c.found)
	for _, k := range c.found {
		l, part := &cityscapes.Labels[k/1000], c.parts[k]
		if l.IgnoreInEval {
			continue
		}
		weight := averageSize[l.Name] / float64(part.all)
		class, category := &s.class[l.ID], &s.category[l.CategoryID]
		class.tp += float64(part.label) * weight
		class.fn += float64(part.all-part.label) * weight
		category.tp += float64(part.category) * weight
		category.fn += float64(part.all-part.category) * weight
	}
	return s, nil
}

// valueError is a value that is no label or instance id.
type valueError struct {
	truth, instance bool
	value           int
}

func (e *valueError) Error() string {
	switch {
	case e.instance:
		return fmt.Sprintf("cityeval: the instance id %d: %d is no label with instances", e.value, e.value/1000)
	case e.truth:
		return fmt.Sprintf("cityeval: the ground truth has the value %d; label ids are 0..%d", e.value, ids-1)
	}
	return fmt.Sprintf("cityeval: the prediction has the value %d; label ids are 0..%d", e.value, ids-1)
}
