package detection

import (
	"fmt"
	"math"
)

// Labels of anchors that stand for no object. Anchors with an object carry its
// class, 0 … C-1.
const (
	Background int32 = -1 // adds to the classification loss with an all-zero target
	Ignored    int32 = -2 // adds to no loss
)

// AssignConfig says which anchors answer for which boxes. DefaultAssign gives
// RetinaNet's values.
type AssignConfig struct {
	// PosIoU and above is positive, below NegIoU background, between ignored.
	PosIoU, NegIoU float64

	// ForceMatch also makes positive, for every box, the anchors that overlap it
	// most (all of them in a tie), whatever their IoU; each answers for the box
	// that it overlaps most itself, as torchvision's allow_low_quality_matches.
	// A box that touches no anchor forces none. Off in RetinaNet.
	ForceMatch bool

	// ReleasedEmpty ignores every anchor of an image without boxes, as the
	// official MAN++ release does; otherwise they are all background.
	ReleasedEmpty bool

	// Classes, if not zero, is the number of classes that labels must be below.
	Classes int

	Coder BoxCoder
}

// DefaultAssign is RetinaNet's assignment: positive from IoU 0.5, background
// below 0.4, no forced matches.
func DefaultAssign() AssignConfig { return AssignConfig{PosIoU: 0.5, NegIoU: 0.4} }

// Validate reports thresholds that cannot be used.
func (c AssignConfig) Validate() error {
	if !(c.PosIoU > 0 && c.PosIoU <= 1 && c.NegIoU >= 0 && c.NegIoU <= c.PosIoU) {
		return fmt.Errorf("detection: assignment: thresholds positive %v and background %v; need 0 <= background <= positive <= 1 and positive > 0", c.PosIoU, c.NegIoU)
	}
	return nil
}

// Assigner labels the anchors of a grid. It keeps scratch memory of 13 bytes per
// anchor and nothing that grows with the number of boxes; one goroutine at a
// time may use it.
type Assigner struct {
	config AssignConfig
	best   []float64 // greatest IoU so far, per anchor
	match  []int32   // the box that has it
	forced []bool
}

// NewAssigner returns an Assigner, or an error if the thresholds cannot be used.
func NewAssigner(c AssignConfig) (*Assigner, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return &Assigner{config: c}, nil
}

// Assign matches the boxes of one image (corners x1 y1 x2 y2 in canvas pixels)
// and their classes with the anchors of g. It fills labels [g.Len()] with a
// class, Background or Ignored, and deltas [g.Len()·4] with the regression target
// of positives (zeros elsewhere), and returns the number of positives. An
// anchor belongs to the box that it overlaps most, in a tie to the first.
//
// IoU and targets are computed in float64 from the float32 anchors. Only anchors
// near a box are visited: an IoU of at least NegIoU bounds how far the centres
// can lie apart, so the result is that of comparing all pairs.
//
// Errors: slices of another length, a box that is not finite or has no area, a
// class outside the range. They name the box's place in the list; nothing has
// been written then.
func Assign[T float32 | float64](a *Assigner, g *Grid, boxes [][4]float64, classes []int32, labels []int32, deltas []T) (int, error) {
	n := g.Len()
	if len(labels) != n || len(deltas) != 4*n {
		return 0, fmt.Errorf("detection: assignment: %d labels and %d targets for %d anchors; need %d and %d", len(labels), len(deltas), n, n, 4*n)
	}
	if err := checkBoxes(boxes, classes, a.config.Classes); err != nil {
		return 0, err
	}
	clear(deltas)
	if len(boxes) == 0 {
		empty := Background
		if a.config.ReleasedEmpty {
			empty = Ignored
		}
		for i := range labels {
			labels[i] = empty
		}
		return 0, nil
	}
	a.matchAll(g, boxes)
	positives := 0
	for i, iou := range a.best {
		switch {
		case iou >= a.config.PosIoU || a.forced[i]:
			positives++
			m := a.match[i]
			labels[i] = classes[m]
			for k, d := range a.config.Coder.Encode(g.Boxes[i], boxes[m]) {
				deltas[4*i+k] = T(d)
			}
		case iou < a.config.NegIoU:
			labels[i] = Background
		default:
			labels[i] = Ignored
		}
	}
	return positives, nil
}

// maxCoordinate bounds box corners, far beyond any image, so that areas and cell
// indices cannot overflow.
const maxCoordinate = 1e9

func checkBoxes(boxes [][4]float64, classes []int32, limit int) error {
	if len(boxes) != len(classes) {
		return fmt.Errorf("detection: assignment: %d boxes but %d classes", len(boxes), len(classes))
	}
	for i, b := range boxes {
		for _, v := range b {
			if !(math.Abs(v) <= maxCoordinate) {
				return fmt.Errorf("detection: assignment: box %d %v is not finite or beyond %v pixels", i, b, maxCoordinate)
			}
		}
		if b[2] <= b[0] || b[3] <= b[1] {
			return fmt.Errorf("detection: assignment: box %d %v (x1 y1 x2 y2) has no area", i, b)
		}
		if classes[i] < 0 || limit > 0 && int(classes[i]) >= limit {
			return fmt.Errorf("detection: assignment: class %d of box %d is outside 0 to %d", classes[i], i, limit-1)
		}
	}
	return nil
}

// matchAll fills best, match and forced.
func (a *Assigner) matchAll(g *Grid, boxes [][4]float64) {
	n := g.Len()
	if cap(a.best) < n {
		a.best, a.match, a.forced = make([]float64, n), make([]int32, n), make([]bool, n)
	}
	a.best, a.match, a.forced = a.best[:n], a.match[:n], a.forced[:n]
	clear(a.best)
	clear(a.match)
	clear(a.forced)

	// Forced matches may have any IoU, so then every overlapping anchor counts.
	floor := a.config.NegIoU
	if a.config.ForceMatch {
		floor = 0
	}
	for m := range boxes {
		g.near(boxes[m], floor, func(i int, iou float64) {
			if iou > a.best[i] {
				a.best[i], a.match[i] = iou, int32(m)
			}
		})
	}
	if !a.config.ForceMatch {
		return
	}
	for _, box := range boxes {
		most := 0.0
		g.near(box, 0, func(_ int, iou float64) { most = max(most, iou) })
		if most > 0 {
			g.near(box, 0, func(i int, iou float64) {
				if iou == most {
					a.forced[i] = true
				}
			})
		}
	}
}

// near calls visit with every anchor whose IoU with box can reach floor, and its
// IoU. The IoU of two boxes is at most that of their sides along one axis; sides
// a and b whose centres lie d apart overlap by at most (a+b)/2-d, so IoU >= t
// needs d <= (a+b)/2·(1-t)/(1+t). It is also at most the smaller area over the
// larger. The slack covers the rounding of anchors to float32.
func (g *Grid) near(box [4]float64, floor float64, visit func(anchor int, iou float64)) {
	const slack = 1e-3
	cx, cy := (box[0]+box[2])/2, (box[1]+box[3])/2
	w, h := box[2]-box[0], box[3]-box[1]
	shrink := (1 - floor) / (1 + floor)
	per := g.Config.PerCell()
	for l, lev := range g.Levels {
		s := float64(lev.Stride)
		for a, half := range g.half[l] {
			aw, ah := float64(half[0]), float64(half[1]) // half width and height
			area := 4 * aw * ah
			if min(area, w*h) < max(area, w*h)*(floor-slack) {
				continue
			}
			reach := (aw+w/2)*shrink*(1+slack) + 1
			x0, x1 := cells(cx, reach, s, lev.Cols)
			reach = (ah+h/2)*shrink*(1+slack) + 1
			y0, y1 := cells(cy, reach, s, lev.Rows)
			for y := y0; y <= y1; y++ {
				i := lev.First + (y*lev.Cols+x0)*per + a
				for x := x0; x <= x1; x++ {
					visit(i, IoU(widen(g.Boxes[i]), box))
					i += per
				}
			}
		}
	}
}

// cells returns the first and last of count cells whose centres (i+0.5)·stride
// lie within reach of c; none if the first is past the last.
func cells(c, reach, stride float64, count int) (first, last int) {
	lo, hi := math.Ceil((c-reach)/stride-0.5), math.Floor((c+reach)/stride-0.5)
	return int(min(max(lo, 0), float64(count))), int(max(min(hi, float64(count-1)), -1))
}

func widen(b [4]float32) [4]float64 {
	return [4]float64{float64(b[0]), float64(b[1]), float64(b[2]), float64(b[3])}
}
