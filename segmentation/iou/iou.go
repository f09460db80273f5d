// Package iou scores label maps against ground truth by intersection over union,
// for any list of classes, from a confusion matrix that images are counted into
// one by one.
package iou

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"sync"

	"manvision/data/labelmap"
)

// Evaluator counts pixels by true and predicted class. Its memory is one counter
// for each pair of classes, whatever the number of images. All methods may be
// called from several goroutines at once.
type Evaluator struct {
	classes []labelmap.Class

	mu     sync.Mutex
	matrix []int64 // [true class][predicted class], the last column for Ignore in predictions
	images int
}

// New returns an evaluator without counts. It panics if there are no classes or
// more than [labelmap.MaxClasses].
func New(classes []labelmap.Class) *Evaluator {
	if len(classes) == 0 || len(classes) > labelmap.MaxClasses {
		panic(fmt.Sprintf("iou: %d classes", len(classes)))
	}
	e := &Evaluator{classes: classes}
	e.Reset()
	return e
}

// Reset forgets all counts.
func (e *Evaluator) Reset() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.matrix = make([]int64, len(e.classes)*(len(e.classes)+1))
	e.images = 0
}

// Process counts an image's pixels: training ids of ground truth and prediction,
// of equal length. Pixels whose ground truth is [labelmap.Ignore] count nothing.
// A prediction of Ignore is wrong for its true class and a false alarm for none.
// Any other value that is no class is an error, and then the image counts
// nothing.
func (e *Evaluator) Process(gt, pred []uint8) error {
	if len(gt) != len(pred) {
		return fmt.Errorf("iou: the ground truth has %d pixels, the prediction %d", len(gt), len(pred))
	}
	if len(gt) >= 1<<32 {
		return fmt.Errorf("iou: an image of %d pixels", len(gt))
	}
	counts := new([1 << 16]uint32)
	Count(counts, gt, pred)
	if err := e.add(counts); err != nil {
		return err
	}
	return nil
}

// Count adds the number of pixels of each pair of values to counts, at
// gt<<8 | pred. The slices have equal length.
func Count(counts *[1 << 16]uint32, gt, pred []uint8) {
	pred = pred[:len(gt)]
	// Maps are made of runs. Equal pairs in a row are added at once, which spares
	// the wait for the same counter, and looked for eight at a time.
	for i := 0; i < len(gt); {
		g, p := gt[i], pred[i]
		start := i
		i++
		var differ uint64
		for gg, pp := repeat(g), repeat(p); i+8 <= len(gt); i += 8 {
			if differ = (load(gt, i) ^ gg) | (load(pred, i) ^ pp); differ != 0 {
				i += bits.TrailingZeros64(differ) / 8
				break
			}
		}
		if differ == 0 {
			for i < len(gt) && gt[i] == g && pred[i] == p {
				i++
			}
		}
		counts[int(g)<<8|int(p)] += uint32(i - start)
	}
}

func load(b []byte, i int) uint64 { return binary.LittleEndian.Uint64(b[i : i+8]) }

func repeat(v uint8) uint64 { return uint64(v) * 0x0101010101010101 }

func (e *Evaluator) add(counts *[1 << 16]uint32) error {
	n := len(e.classes)
	for g := range 256 {
		for p := range 256 {
			switch {
			case counts[g<<8|p] == 0:
			case g >= n && g != labelmap.Ignore:
				return fmt.Errorf("iou: the ground truth has the value %d; classes are 0..%d, and %d is ignored", g, n-1, labelmap.Ignore)
			case p >= n && p != labelmap.Ignore:
				return fmt.Errorf("iou: the prediction has the value %d; classes are 0..%d", p, n-1)
			}
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.images++
	for g := range n {
		row := e.matrix[g*(n+1):][:n+1]
		for p := range n {
			row[p] += int64(counts[g<<8|p])
		}
		row[n] += int64(counts[g<<8|labelmap.Ignore])
	}
	return nil
}

// Evaluate returns the scores of everything counted so far.
func (e *Evaluator) Evaluate() *Summary {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := len(e.classes)
	s := &Summary{Images: e.images, Classes: make([]ClassScore, n), Confusion: make([][]int64, n)}
	var correct int64
	for k, c := range e.classes {
		s.Classes[k].Name = c.Name
		s.Confusion[k] = append([]int64(nil), e.matrix[k*(n+1):][:n]...)
		for p, v := range e.matrix[k*(n+1):][:n+1] {
			s.Classes[k].Pixels += v
			if p < n {
				s.Classes[p].Predicted += v
			}
		}
		s.Pixels += s.Classes[k].Pixels
		correct += e.matrix[k*(n+1)+k]
	}
	var sumIoU, sumAccuracy float64
	for k := range s.Classes {
		c := &s.Classes[k]
		tp := e.matrix[k*(n+1)+k]
		c.Absent = c.Pixels == 0 && c.Predicted == 0
		if !c.Absent {
			c.IoU = float64(tp) / float64(c.Pixels+c.Predicted-tp)
			sumIoU += c.IoU
			s.Present++
		}
		if c.Pixels > 0 {
			c.Accuracy = float64(tp) / float64(c.Pixels)
			sumAccuracy += c.Accuracy
			s.InGroundTruth++
		}
	}
	s.MIoU = ratio(sumIoU, s.Present)
	s.MeanAccuracy = ratio(sumAccuracy, s.InGroundTruth)
	s.PixelAccuracy = ratio(float64(correct), int(s.Pixels))
	return s
}

func ratio(sum float64, n int) float64 {
	if n == 0 {
		return 0
	}
	return sum / float64(n)
}
