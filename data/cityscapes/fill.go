package cityscapes

import (
	"math"
	"slices"
)

// point is a corner in pixels.
type point struct{ x, y int }

// canvas is the map that polygons are drawn into.
type canvas struct {
	pix  []uint8
	w, h int

	edges []edge    // scratch
	cross []float32 // scratch
}

// edge is a side of a polygon: from (x0, y0), dx columns a row. Its arithmetic is
// single precision, as Pillow's is: which pixel a corner falls into hangs on it.
type edge struct {
	x0, y0                 int
	xmin, xmax, ymin, ymax int
	dx                     float32
}

func newEdge(a, b point) edge {
	e := edge{x0: a.x, y0: a.y, xmin: min(a.x, b.x), xmax: max(a.x, b.x), ymin: min(a.y, b.y), ymax: max(a.y, b.y)}
	if a.y != b.y {
		e.dx = float32(b.x-a.x) / float32(b.y-a.y)
	}
	return e
}

// at returns the column where the edge crosses row y.
func (e *edge) at(y int) float32 {
	// The conversion keeps compilers from fusing product and sum.
	return float32(float32(y-e.y0)*e.dx) + float32(e.x0)
}

func (e *edge) spans(y int) bool { return y >= e.ymin && y <= e.ymax }
func (e *edge) ends(y int) bool  { return y == e.ymin || y == e.ymax }

// fill draws a polygon, its outline included, by the rules of Pillow's
// ImageDraw.polygon with a fill colour (since Pillow 8.3; earlier versions differ
// by single pixels at corners): rows between the crossings of the even-odd rule,
// rounded outwards, horizontal sides as they are.
func (c *canvas) fill(p []point, v uint8) {
	c.sides(p)
	top, bottom := c.h-1, 0
	slanted := c.edges[:0]
	for _, e := range c.edges {
		top, bottom = min(top, e.ymin), max(bottom, e.ymax)
		if e.ymin == e.ymax {
			c.row(e.xmin, e.xmax, e.ymin, v)
		} else {
			slanted = append(slanted, e)
		}
	}
	top, bottom = max(top, 0), min(bottom, c.h)
	for y := top; y <= bottom; y++ {
		c.cross = c.cross[:0]
		for i := range slanted {
			e := &slanted[i]
			if !e.spans(y) {
				continue
			}
			x := e.at(y)
			switch {
			case y == e.ymax && y < bottom:
				// An edge that ends counts twice: the edge that goes on from its corner
				// counts once more, and the polygon neither opens nor closes there.
				c.cross = append(c.cross, x)
			case e.ends(y) && e.dx != 0:
				x = joined(slanted[:i], e, x, y)
			}
			c.cross = append(c.cross, x)
		}
		slices.Sort(c.cross)
		for k := 1; k < len(c.cross); k += 2 {
			c.row(outwards(c.cross[k-1], math.Floor, 0.5), outwards(c.cross[k], math.Ceil, -0.5), y, v)
		}
	}
}

// sides lists the polygon's edges in c.edges. A horizontal side that goes on in
// the direction of the one before lengthens it.
func (c *canvas) sides(p []point) {
	c.edges = c.edges[:0]
	for i := 1; i < len(p); i++ {
		a, b := p[i-1], p[i]
		if i > 1 && a.y == b.y && p[i-2].y == a.y {
			last := &c.edges[len(c.edges)-1]
			if b.x > a.x && a.x > p[i-2].x {
				last.xmax = b.x
				continue
			}
			if b.x < a.x && a.x < p[i-2].x {
				last.xmin = b.x
				continue
			}
		}
		c.edges = append(c.edges, newEdge(a, b))
	}
	if last := p[len(p)-1]; last != p[0] {
		c.edges = append(c.edges, newEdge(last, p[0]))
	}
}

// joined returns where the crossing x of an edge that starts or ends in row y
// belongs: at a sharp corner with an earlier edge it moves beside the pixels of
// the next row, so that a thin corner hangs together with the rest.
func joined(earlier []edge, e *edge, x float32, y int) float32 {
	next := y + 1
	if y == e.ymax {
		next = y - 1
	}
	for k := range earlier {
		o := &earlier[k]
		if !o.ends(y) || o.dx == 0 || round(x) != round(o.at(y)) || !o.spans(next) {
			continue
		}
		a, b := e.at(next), o.at(next)
		switch {
		case x > a+1 && x > b+1:
			return round(max(a, b)) + 1
		case x < a-1 && x < b-1:
			return round(min(a, b)) - 1
		}
		break
	}
	return x
}

// round rounds halves away from zero.
func round(x float32) float32 { return float32(math.Round(float64(x))) }

// outwards rounds |x| to a whole number, a half towards the polygon's outside.
func outwards(x float32, f func(float64) float64, half float64) int {
	if x >= 0 {
		return int(f(float64(x) + half))
	}
	return -int(f(math.Abs(float64(x)) + half))
}

// row draws the columns from..to of row y, as far as they are on the canvas.
func (c *canvas) row(from, to, y int, v uint8) {
	if y < 0 || y >= c.h {
		return
	}
	from, to = max(from, 0), min(to, c.w-1)
	if from > to {
		return
	}
	line := c.pix[y*c.w+from : y*c.w+to+1]
	for i := range line {
		line[i] = v
	}
}
