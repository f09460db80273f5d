package mask

import (
	"fmt"
	"math"
	"slices"
)

// polygonScale is the factor by which outlines are refined before they are
// drawn: COCO's masks are defined by outlines on a grid five times as fine.
const polygonScale = 5

// maxCoordinate bounds polygon coordinates in pixels, well above any image.
const maxCoordinate = 1 << 20

// FromPolygon returns the mask of one closed polygon, x0 y0 x1 y1 ... in pixels,
// on an image of h rows and w columns. Parts outside the image are cut off.
//
// The rule is COCO's. Vertices are rounded on a grid polygonScale times finer
// than the pixels. Every edge is walked there along its longer axis, one grid
// step at a time. Where a walk steps from one grid column to the next across the
// middle of a pixel column, the lower of the two heights marks the row, rounded
// up, where that column switches between outside and inside. All switches,
// sorted in column order, are the borders of the runs.
//
// It fails on fewer than three points, an odd count of numbers, and numbers that
// are not finite or beyond 2^20 pixels.
func FromPolygon(xy []float64, h, w int) (*RLE, error) {
	if err := checkSize(h, w); err != nil {
		return nil, err
	}
	if err := CheckPolygon(xy); err != nil {
		return nil, err
	}
	t := tracer{h: h, w: w}
	n := len(xy) / 2
	grid := func(i int) (int, int) {
		return int(polygonScale*xy[2*i] + .5), int(polygonScale*xy[2*i+1] + .5)
	}
	t.x, t.y = grid(0)
	for i := range n {
		x0, y0 := grid(i)
		x1, y1 := grid((i + 1) % n)
		t.edge(x0, y0, x1, y1)
	}
	return t.mask(), nil
}

// CheckPolygon says what keeps the numbers x0 y0 x1 y1 ... from being a polygon.
func CheckPolygon(xy []float64) error {
	if len(xy) < 6 || len(xy)%2 != 0 {
		return fmt.Errorf("polygon has %d numbers, it needs x y pairs of at least 3 points", len(xy))
	}
	for _, v := range xy {
		if !(math.Abs(v) <= maxCoordinate) {
			return fmt.Errorf("polygon coordinate %v is out of range", v)
		}
	}
	return nil
}

// tracer walks an outline and collects the pixel indices where columns switch.
type tracer struct {
	h, w     int
	x, y     int // grid point visited last
	switches []uint32
}

// edge visits the grid points from (x0, y0) to (x1, y1), both included. Points
// are computed from the end with the smaller coordinate, whichever way the edge
// is walked, so that two polygons share a border exactly.
func (t *tracer) edge(x0, y0, x1, y1 int) {
	dx, dy := abs(x1-x0), abs(y1-y0)
	if dx == 0 && dy == 0 {
		return
	}
	if dx >= dy {
		bx, by, slope := x0, y0, float64(y1-y0)/float64(dx)
		if x0 > x1 {
			bx, by, slope = x1, y1, float64(y0-y1)/float64(dx)
		}
		for i := range dx + 1 {
			k := i
			if x0 > x1 {
				k = dx - i
			}
			t.visit(bx+k, int(float64(by)+float64(slope*float64(k))+.5))
		}
		return
	}
	bx, by, slope := x0, y0, float64(x1-x0)/float64(dy)
	if y0 > y1 {
		bx, by, slope = x1, y1, float64(x0-x1)/float64(dy)
	}
	for i := range dy + 1 {
		k := i
		if y0 > y1 {
			k = dy - i
		}
		t.visit(int(float64(bx)+float64(slope*float64(k))+.5), by+k)
	}
}

// visit moves to a grid point next to the last one and notes a switch where the
// move crosses the middle of a pixel column inside the image.
func (t *tracer) visit(x, y int) {
	px, py := t.x, t.y
	t.x, t.y = x, y
	if x == px {
		return
	}
	// The grid column c is the middle of pixel column (c-2)/5.
	c := px
	if x < px {
		c = px - 1
	}
	const half = polygonScale / 2
	if c < half || (c-half)%polygonScale != 0 {
		return
	}
	col := (c - half) / polygonScale
	if col > t.w-1 {
		return
	}
	row := math.Ceil(min(max((float64(min(y, py))+.5)/polygonScale-.5, 0), float64(t.h)))
	t.switches = append(t.switches, uint32(col*t.h+int(row)))
}

// mask turns the switches into runs; pairs at the same pixel cancel out.
func (t *tracer) mask() *RLE {
	slices.Sort(t.switches)
	r := &RLE{H: t.h, W: t.w}
	total := uint32(t.h * t.w)
	at := uint32(0)
	merge := false // the next run continues the one before
	for i := 0; i <= len(t.switches); i++ {
		next := total
		if i < len(t.switches) {
			next = t.switches[i]
		}
		run := next - at
		at = next
		switch {
		case merge:
			r.Counts[len(r.Counts)-1] += run
			merge = false
		case run == 0 && len(r.Counts) > 0:
			merge = true
		default:
			r.Counts = append(r.Counts, run)
		}
	}
	return r
}

func abs(v int) int {
	if v < 0 {
		return -v
	}
	return v
}
