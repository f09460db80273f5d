package segmentation

import (
	"fmt"
	"math"
	"sync"
	"sync/atomic"
)

// viewLogits are the low-resolution logits of one view of a picture, those of its
// windows beside and below each other, with the way from them to the label map.
type viewLogits struct {
	logits []float32 // [rows, columns, classes]
	rows   int
	cols   int
	y, x   axis
}

// blend labels every pixel of a picture with the best class of its views. Logits
// are interpolated, and averaged over windows, within a view; the views'
// probabilities (softmax) are averaged. Of equal classes the first wins.
//
// It works row by row: next to the label map it holds one row of every view's
// logits for each worker.
type blend struct {
	classes int
	views   []viewLogits
}

// blendRows is how many rows a worker takes at a time.
const blendRows = 16

// labels fills dst [h, w] on so many goroutines. Every row is computed by itself, so
// their number changes nothing.
func (b *blend) labels(dst []uint8, h, w, workers int) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range max(1, min(workers, (h+blendRows-1)/blendRows)) {
		wg.Add(1)
		go func() {
			defer wg.Done()
			r := b.newRow()
			for {
				y := int(next.Add(blendRows)) - blendRows
				if y >= h {
					return
				}
				for end := min(y+blendRows, h); y < end; y++ {
					r.set(y)
					r.label(dst[y*w : (y+1)*w])
				}
			}
		}()
	}
	wg.Wait()
}

// blendRow is the working memory of one row.
type blendRow struct {
	*blend
	views []rowView
	logit []float32 // of one pixel in one view
	exp   []float64 // exp(logit), relative to the largest
	sum   []float64 // of the views' probabilities
}

// rowView is a view's logits at the height of a row, [columns, classes], and the
// best class of each column.
type rowView struct {
	logits []float32
	best   []uint8
}

func (b *blend) newRow() *blendRow {
	r := &blendRow{blend: b, logit: make([]float32, b.classes), exp: make([]float64, b.classes), sum: make([]float64, b.classes)}
	for _, v := range b.views {
		r.views = append(r.views, rowView{make([]float32, v.cols*b.classes), make([]uint8, v.cols)})
	}
	return r
}

// set brings every view to row y of the label map.
func (r *blendRow) set(y int) {
	for i := range r.views {
		v, row := &r.blend.views[i], &r.views[i]
		rows, weights := v.y.taps(y)
		width := v.cols * r.classes
		for k, at := range rows {
			w, src := weights[k], v.logits[int(at)*width:][:width]
			dst := row.logits[:len(src)]
			if k == 0 {
				for j, l := range src {
					dst[j] = w * l
				}
				continue
			}
			for j, l := range src {
				dst[j] += w * l
			}
		}
		for c := range row.best {
			row.best[c] = argmax(row.logits[c*r.classes:][:r.classes])
		}
	}
}

// label writes the classes of the row's pixels. Weights are not negative, so where
// one class is the best of all cells that make a pixel it is the best of their
// mean, and of the mean of the views' probabilities: most pixels need no more.
func (r *blendRow) label(dst []uint8) {
	for x := range dst {
		if class, ok := r.agreed(x); ok {
			dst[x] = class
			continue
		}
		if len(r.views) == 1 {
			r.pixel(0, x)
			dst[x] = argmax(r.logit)
			continue
		}
		r.probabilities(x)
		dst[x] = argmax(r.sum)
	}
}

// agreed is the class that is the best of all cells that make pixel x.
func (r *blendRow) agreed(x int) (class uint8, ok bool) {
	for i := range r.views {
		best := r.views[i].best
		cells, _ := r.blend.views[i].x.taps(x)
		if i == 0 {
			class = best[cells[0]]
		}
		for _, c := range cells {
			if best[c] != class {
				return 0, false
			}
		}
	}
	return class, true
}

// pixel computes the logits of view i at pixel x into r.logit.
func (r *blendRow) pixel(i, x int) {
	cells, weights := r.blend.views[i].x.taps(x)
	clear(r.logit)
	for k, c := range cells {
		w := weights[k]
		for j, l := range r.views[i].logits[int(c)*r.classes:][:r.classes] {
			r.logit[j] += w * l
		}
	}
}

// probabilities computes the sum of the views' probabilities at pixel x into r.sum.
func (r *blendRow) probabilities(x int) {
	clear(r.sum)
	for i := range r.views {
		r.pixel(i, x)
		top := r.logit[argmax(r.logit)]
		total := 0.0
		for j, l := range r.logit {
			r.exp[j] = math.Exp(float64(l - top))
			total += r.exp[j]
		}
		for j, e := range r.exp {
			r.sum[j] += e / total
		}
	}
}

func argmax[T float32 | float64](x []T) uint8 {
	best := 0
	for i, v := range x {
		if v > x[best] {
			best = i
		}
	}
	return uint8(best)
}

// checkLogits reports logits that are not finite: no class can be the best of them.
func checkLogits(logits []float32) error {
	for _, v := range logits {
		if v-v != 0 {
			return fmt.Errorf("the network's output holds %v: its weights are damaged or its training diverged", v)
		}
	}
	return nil
}
