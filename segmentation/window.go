package segmentation

import "math"

// axis says, for every pixel of a label map along one direction, which cells of a
// view's logits make its logits and how much each counts. Weights are not
// negative and sum to 1.
type axis struct {
	start  []int32 // of each pixel's taps; one more entry ends the last
	cell   []int32
	weight []float32
}

// taps are the cells of pixel i and their weights.
func (a *axis) taps(i int) ([]int32, []float32) {
	return a.cell[a.start[i]:a.start[i+1]], a.weight[a.start[i]:a.start[i+1]]
}

// windowStarts are the first pixels of windows of the given length over n pixels:
// a stride apart, the last one shifted inwards so that it ends with the picture
// (slide_inference of mmsegmentation). One window where it covers all.
func windowStarts(n, window, stride int) []int {
	if window >= n {
		return []int{0}
	}
	var starts []int
	for s := 0; ; s += stride {
		if s+window >= n {
			return append(starts, n-window)
		}
		starts = append(starts, s)
	}
}

// tap is one term of a weighted sum over cells.
type tap struct {
	cell   int
	weight float64
}

// lerp returns the two neighbours of position at among n samples and how much
// each counts; positions beyond the ends stay at the ends.
func lerp(at float64, n int) [2]tap {
	at = max(at, 0)
	i := min(int(at), n-1)
	t := at - float64(i)
	if i == n-1 {
		t = 0
	}
	return [2]tap{{i, 1 - t}, {min(i+1, n-1), t}}
}

// newAxis composes, for one direction of a view,
//
//	cells of logits → pixels of the view: bilinear with half-pixel centres, a cell
//	being stride pixels wide; cells that lie wholly in the padding are not used;
//	windows → the view: the mean of the windows that cover a pixel;
//	pixels of the view → pixels of the label map: bilinear with half-pixel centres,
//
// each as F.interpolate(mode="bilinear", align_corners=False) of PyTorch. pixels is
// the view's length, out the label map's; the windows, each of the given length,
// begin at starts and their cells lie one window after the other. mirrored turns
// the result round.
func newAxis(pixels, out int, starts []int, window, stride int, mirrored bool) axis {
	cells := cellsOf(window, stride)
	cover := make([]int, pixels)
	for _, s := range starts {
		for p := s; p < s+window; p++ {
			cover[p]++
		}
	}
	a := axis{start: make([]int32, 1, out+1)}
	var sum []tap
	for o := range out {
		if mirrored {
			o = out - 1 - o
		}
		sum = sum[:0]
		for _, p := range lerp((float64(o)+0.5)*float64(pixels)/float64(out)-0.5, pixels) {
			if p.weight == 0 {
				continue
			}
			for k, s := range starts {
				if p.cell < s || p.cell >= s+window {
					continue
				}
				for _, c := range lerp((float64(p.cell-s)+0.5)/float64(stride)-0.5, cells) {
					sum = add(sum, k*cells+c.cell, p.weight*c.weight/float64(cover[p.cell]))
				}
			}
		}
		for _, t := range sum {
			a.cell = append(a.cell, int32(t.cell))
			a.weight = append(a.weight, float32(t.weight))
		}
		a.start = append(a.start, int32(len(a.cell)))
	}
	return a
}

// add adds a term to a sum in the order of the cells.
func add(sum []tap, cell int, weight float64) []tap {
	if weight == 0 {
		return sum
	}
	at := len(sum)
	for at > 0 && sum[at-1].cell >= cell {
		at--
	}
	if at < len(sum) && sum[at].cell == cell {
		sum[at].weight += weight
		return sum
	}
	sum = append(sum, tap{})
	copy(sum[at+1:], sum[at:])
	sum[at] = tap{cell, weight}
	return sum
}

// cellsOf is how many cells of stride pixels a window of n pixels touches.
func cellsOf(n, stride int) int { return (n + stride - 1) / stride }

// scaled is a side times a scale, rounded half up, at least 1.
func scaled(n int, scale float64) int { return max(1, int(math.Floor(float64(n)*scale+0.5))) }

// padded is a side rounded up to the multiple that networks take.
func padded(n int) int { return (n + padMultiple - 1) / padMultiple * padMultiple }

// padMultiple suits every output stride, and keeps the number of input sizes small.
const padMultiple = 32
