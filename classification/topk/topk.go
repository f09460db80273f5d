// Package topk scores classifiers: top-1 and top-5 accuracy, the accuracy of every
// class and the confusion matrix, counted batch by batch.
package topk

import (
	"fmt"
	"math"
	"sync"
)

// Evaluator counts predictions. Its memory is one counter for each pair of classes,
// whatever the number of images. All methods may be called from several goroutines at
// once.
type Evaluator struct {
	names []string

	mu         sync.Mutex
	matrix     []int64 // [true class][predicted class]
	five       []int64 // by true class: right among the first five
	entropy    float64
	normalised int64 // images counted in entropy
}

// Top is how many predictions the second accuracy looks at.
const Top = 5

// New returns an evaluator of classes by name. It panics if there are none.
func New(classes []string) *Evaluator {
	if len(classes) == 0 {
		panic("topk: no classes")
	}
	e := &Evaluator{names: classes}
	e.Reset()
	return e
}

// Reset forgets all counts.
func (e *Evaluator) Reset() {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := len(e.names)
	e.matrix, e.five, e.entropy, e.normalised = make([]int64, n*n), make([]int64, n), 0, 0
}

// Process counts a batch: logits [N,classes] row by row and labels [N]. Among equal
// logits the lower class comes first. A logit that is no number, or a label that is no
// class, is an error, and then nothing of the batch counts.
func (e *Evaluator) Process(logits []float32, labels []int32) error {
	n := len(e.names)
	if len(logits) != n*len(labels) {
		return fmt.Errorf("topk: %d logits for %d labels of %d classes", len(logits), len(labels), n)
	}
	entropy := 0.0
	predicted, rank := make([]int, len(labels)), make([]int, len(labels))
	for i, l := range labels {
		if l < 0 || int(l) >= n {
			return fmt.Errorf("topk: image %d of the batch: label %d; the %d classes are 0 to %d", i, l, n, n-1)
		}
		row := logits[i*n:][:n]
		best, own := 0, row[l]
		for k, v := range row {
			if math.IsNaN(float64(v)) {
				return fmt.Errorf("topk: image %d of the batch: the logit of class %d is no number", i, k)
			}
			if v > row[best] {
				best = k
			}
			if v > own || v == own && k < int(l) {
				rank[i]++
			}
		}
		predicted[i] = best
		sum := 0.0
		for _, v := range row {
			sum += math.Exp(float64(v) - float64(row[best]))
		}
		entropy += math.Log(sum) + float64(row[best]) - float64(own)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for i, l := range labels {
		e.matrix[int(l)*n+predicted[i]]++
		if rank[i] < Top {
			e.five[l]++
		}
	}
	e.entropy += entropy
	e.normalised += int64(len(labels))
	return nil
}

// Evaluate sums up what was counted.
func (e *Evaluator) Evaluate() *Summary {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := len(e.names)
	s := &Summary{Images: e.normalised}
	var right, five int64
	for k, name := range e.names {
		c := ClassScore{Name: name}
		row := append([]int64{}, e.matrix[k*n:][:n]...)
		for p, v := range row {
			c.Images += v
			c.Predicted += e.matrix[p*n+k]
		}
		right, five = right+row[k], five+e.five[k]
		c.Top1, c.Top5 = share(row[k], c.Images), share(e.five[k], c.Images)
		if c.Images > 0 {
			s.Present++
			s.MeanTop1 += c.Top1
		}
		s.Classes = append(s.Classes, c)
		s.Confusion = append(s.Confusion, row)
	}
	s.Top1, s.Top5 = share(right, s.Images), share(five, s.Images)
	if s.Present > 0 {
		s.MeanTop1 /= float64(s.Present)
		s.CrossEntropy = e.entropy / float64(s.Images)
	}
	return s
}

func share(n, of int64) float64 {
	if of == 0 {
		return 0
	}
	return float64(n) / float64(of)
}
