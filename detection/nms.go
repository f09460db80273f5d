package detection

import (
	"cmp"
	"slices"
)

// NMS is greedy class-wise non-maximum suppression: boxes in order of falling
// score, each kept unless its IoU with a kept box of its own class is above iou.
// Equal scores keep their order in the list, so the result is deterministic. It
// stops after limit boxes (0: no limit) and returns the indices of the kept
// ones, best first. Classes may be nil: all boxes then are of one class.
//
// Every box is compared with the kept boxes of its class only, so the work is
// bounded by len(boxes)·limit. Scores must not be NaN.
func NMS(boxes [][4]float32, scores []float32, classes []int32, iou float64, limit int) []int {
	order := make([]int, len(boxes))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(scores[b], scores[a]) })
	var s suppressor
	s.reset(iou)
	var keep []int
	for _, i := range order {
		class := int32(0)
		if classes != nil {
			class = classes[i]
		}
		if !s.keep(widen(boxes[i]), class) {
			continue
		}
		if keep = append(keep, i); len(keep) == limit {
			break
		}
	}
	return keep
}

// suppressor remembers the kept boxes, chained by class.
type suppressor struct {
	iou  float64
	kept []keptBox
	last map[int32]int // class -> index of its last kept box
}

type keptBox struct {
	box  [4]float64
	prev int // index of the class's previous kept box, -1: none
}

func (s *suppressor) reset(iou float64) {
	s.iou, s.kept = iou, s.kept[:0]
	if s.last == nil {
		s.last = map[int32]int{}
	}
	clear(s.last)
}

// keep says whether box survives the kept boxes of its class and remembers it.
func (s *suppressor) keep(box [4]float64, class int32) bool {
	head, ok := s.last[class]
	if !ok {
		head = -1
	}
	for i := head; i >= 0; i = s.kept[i].prev {
		if IoU(box, s.kept[i].box) > s.iou {
			return false
		}
	}
	s.last[class] = len(s.kept)
	s.kept = append(s.kept, keptBox{box, head})
	return true
}
