package shapes

import "math"

// point is in units of the shape's radius, x right, y down.
type point struct{ x, y float64 }

// Classes are the shapes' names; category id k+1 is Classes[k].
var Classes = []string{"circle", "square", "triangle", "star", "cross", "moon"}

// outline returns the polygon of class k inside the unit circle, upright.
func outline(k int) []point {
	ring := func(n int, turn float64, radius func(i int) float64) []point {
		p := make([]point, n)
		for i := range p {
			a := turn + 2*math.Pi*float64(i)/float64(n)
			r := radius(i)
			p[i] = point{r * math.Cos(a), r * math.Sin(a)}
		}
		return p
	}
	one := func(int) float64 { return 1 }
	switch Classes[k] {
	case "circle":
		return ring(40, 0, one)
	case "square":
		return ring(4, math.Pi/4, one)
	case "triangle":
		return ring(3, -math.Pi/2, one)
	case "star":
		return ring(10, -math.Pi/2, func(i int) float64 { return 1 - 0.58*float64(i%2) })
	case "cross":
		const a = 0.32
		const b = 0.947 // a*a + b*b = 1: the tips lie on the unit circle
		return []point{{-a, -b}, {a, -b}, {a, -a}, {b, -a}, {b, a}, {a, a}, {a, b}, {-a, b}, {-a, a}, {-b, a}, {-b, -a}, {-a, -a}}
	default: // moon: the unit circle's arc, back along a circle shifted to the right
		const n, shift, radius = 24, 0.55, 0.80
		// The two circles meet where x = (1 + shift^2 - radius^2) / (2 shift).
		x := (1 + shift*shift - radius*radius) / (2 * shift)
		outer, inner := math.Acos(x), math.Acos((x-shift)/radius)
		var p []point
		for i := 0; i <= n; i++ {
			a := outer + (2*math.Pi-2*outer)*float64(i)/n
			p = append(p, point{math.Cos(a), math.Sin(a)})
		}
		for i := 1; i < n; i++ {
			a := 2*math.Pi - inner - (2*math.Pi-2*inner)*float64(i)/n
			p = append(p, point{shift + radius*math.Cos(a), radius * math.Sin(a)})
		}
		return p
	}
}

// place scales an outline by radius (stretched along its own x axis), turns and
// moves it.
func place(p []point, cx, cy, radius, stretch, turn float64) []point {
	sin, cos := math.Sincos(turn)
	out := make([]point, len(p))
	for i, q := range p {
		x, y := q.x*radius*stretch, q.y*radius
		out[i] = point{cx + x*cos - y*sin, cy + x*sin + y*cos}
	}
	return out
}

// clip cuts a polygon to the rectangle [0,w] x [0,h] (Sutherland and Hodgman).
func clip(p []point, w, h float64) []point {
	edges := []func(q point) float64{ // >= 0 inside
		func(q point) float64 { return q.x },
		func(q point) float64 { return w - q.x },
		func(q point) float64 { return q.y },
		func(q point) float64 { return h - q.y },
	}
	for _, d := range edges {
		var out []point
		for i, b := range p {
			a := p[(i+len(p)-1)%len(p)]
			da, db := d(a), d(b)
			if (da >= 0) != (db >= 0) {
				t := da / (da - db)
				out = append(out, point{a.x + t*(b.x-a.x), a.y + t*(b.y-a.y)})
			}
			if db >= 0 {
				out = append(out, b)
			}
		}
		p = out
	}
	return p
}

// area is the polygon's area (shoelace formula).
func area(p []point) float64 {
	s := 0.0
	for i, b := range p {
		a := p[(i+len(p)-1)%len(p)]
		s += a.x*b.y - b.x*a.y
	}
	return math.Abs(s) / 2
}

// bounds returns the polygon's box x y w h.
func bounds(p []point) [4]float64 {
	x1, y1, x2, y2 := math.Inf(1), math.Inf(1), math.Inf(-1), math.Inf(-1)
	for _, q := range p {
		x1, x2 = math.Min(x1, q.x), math.Max(x2, q.x)
		y1, y2 = math.Min(y1, q.y), math.Max(y2, q.y)
	}
	return [4]float64{x1, y1, x2 - x1, y2 - y1}
}
