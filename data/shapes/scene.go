package shapes

import (
	"image"
	"math"

	"manvision/data/augment"
)

// object is one shape of a scene.
type object struct {
	class   int
	polygon []point // clipped to the image, pixels
	area    float64
	visible float64 // share of its drawn pixels that nothing in front covers
}

// scene is a drawn image with what is on it, back to front.
type scene struct {
	w, h    int
	rgb     []float32 // 0..255, [h][w][3]
	owner   []int16   // topmost object of each pixel, -1 background
	objects []object
}

// supersample is the side of the grid of samples in a pixel that decides how far
// an object covers it.
const supersample = 4

// drawScene draws image index of the data set named by seed.
func drawScene(w, h int, seed, stream, index uint64) *scene {
	r := augment.NewRandom(seed, stream, index)
	s := &scene{w: w, h: h, rgb: make([]float32, w*h*3), owner: make([]int16, w*h)}
	for i := range s.owner {
		s.owner[i] = -1
	}
	s.background(&r)
	n := 1 + r.Intn(6)
	if r.Float64() < 0.02 {
		n = 0 // an image without objects, as COCO has them
	}
	for k := 0; k < n; k++ {
		s.add(&r)
	}
	s.grain(&r)
	return s
}

// background fills the image with a gradient, patchy noise at two scales and a
// few strokes that are no objects.
func (s *scene) background(r *augment.Random) {
	a, b := randomColour(r), randomColour(r)
	for c := range a { // muted: objects are mostly more saturated
		grey := (a[0] + a[1] + a[2]) / 3
		a[c] = 0.5*a[c] + 0.5*grey
		b[c] = 0.7*a[c] + 0.3*b[c]
	}
	turn := r.Uniform(0, 2*math.Pi)
	dx, dy := math.Cos(turn), math.Sin(turn)
	coarse := newNoise(r, 3+r.Intn(4))
	fine := newNoise(r, 12+r.Intn(20))
	amp, ampFine := r.Uniform(5, 35), r.Uniform(0, 18)
	for y := 0; y < s.h; y++ {
		for x := 0; x < s.w; x++ {
			u, v := float64(x)/float64(s.w), float64(y)/float64(s.h)
			t := 0.5 + 0.5*(dx*(2*u-1)+dy*(2*v-1))/1.5
			n := amp*coarse.at(u, v) + ampFine*fine.at(u, v)
			for c := 0; c < 3; c++ {
				s.rgb[(y*s.w+x)*3+c] = float32(a[c] + t*(b[c]-a[c]) + n)
			}
		}
	}
	side := float64(min(s.w, s.h))
	for k := r.Intn(5); k > 0; k-- {
		ink := randomColour(r)
		// A long thin quadrilateral.
		stroke := place([]point{{-1, -1}, {1, -1}, {1, 1}, {-1, 1}},
			r.Uniform(0, float64(s.w)), r.Uniform(0, float64(s.h)), r.Uniform(0.004, 0.012)*side, r.Uniform(15, 60), r.Uniform(0, math.Pi))
		alpha := float32(r.Uniform(0.3, 0.9))
		s.cover(stroke, func(i int, share float32) {
			for c := 0; c < 3; c++ {
				s.rgb[i*3+c] += alpha * share * (float32(ink[c]) - s.rgb[i*3+c])
			}
		})
	}
}

// add draws one object where at least two thirds of it lie on the image and no
// object behind it loses more than 40 % of its pixels; after twenty tries
// without such a place the image does without it.
func (s *scene) add(r *augment.Random) {
	side := float64(min(s.w, s.h))
	for try := 0; try < 20; try++ {
		class := r.Intn(len(Classes))
		// Diameters from 14 % to 85 % of the short side, uniform in the logarithm.
		radius := side / 2 * math.Exp(r.Uniform(math.Log(0.14), math.Log(0.85)))
		radius = math.Max(radius, 5)
		stretch := math.Exp(r.Uniform(-0.18, 0.18))
		turn := r.Uniform(-0.5, 0.5)
		if Classes[class] == "square" || Classes[class] == "cross" {
			turn *= 0.8
		}
		full := place(outline(class), r.Uniform(0, float64(s.w)), r.Uniform(0, float64(s.h)), radius, stretch, turn)
		cut := clip(full, float64(s.w), float64(s.h))
		if len(cut) < 3 || area(cut) < 0.67*area(full) {
			continue
		}
		if !s.leavesEnough(cut) {
			continue
		}
		s.paint(r, object{class: class, polygon: cut, area: area(cut)}, radius)
		return
	}
}

const minVisible = 0.7

// leavesEnough reports whether every object behind keeps minVisible of its
// pixels when p goes in front.
func (s *scene) leavesEnough(p []point) bool {
	if len(s.objects) == 0 {
		return true
	}
	lost := make([]float64, len(s.objects))
	s.cover(p, func(i int, share float32) {
		if o := s.owner[i]; o >= 0 && share > 0.5 {
			lost[o]++
		}
	})
	for k, o := range s.objects {
		if o.visible-lost[k]/math.Max(o.area, 1) < minVisible {
			return false
		}
	}
	return true
}

// paint fills an object with a plain colour, a gradient, stripes or patches and
// gives it a darker or lighter rim at times.
func (s *scene) paint(r *augment.Random, o object, radius float64) {
	id := int16(len(s.objects))
	box := bounds(o.polygon)
	under := s.mean(o.polygon)
	ink := contrasting(r, under, 60)
	second := ink
	for c := range second {
		second[c] = clamp(ink[c] + r.Uniform(-70, 70))
	}
	turn := r.Uniform(0, math.Pi)
	dx, dy := math.Cos(turn), math.Sin(turn)
	period := math.Max(3, radius*r.Uniform(0.3, 0.8))
	patches := newNoise(r, 2+r.Intn(5))
	fill := r.Intn(4)
	alpha := float32(r.Uniform(0.85, 1))
	lost := make([]float64, len(s.objects))
	s.cover(o.polygon, func(i int, share float32) {
		x, y := float64(i%s.w), float64(i/s.w)
		u, v := (x-box[0])/math.Max(box[2], 1), (y-box[1])/math.Max(box[3], 1)
		var t float64
		switch fill {
		case 1:
			t = clampUnit(0.5 + 0.5*(dx*(2*u-1)+dy*(2*v-1)))
		case 2:
			t = 0.5 + 0.5*math.Sin(2*math.Pi*(dx*x+dy*y)/period)
		case 3:
			t = clampUnit(0.5 + 0.7*patches.at(clampUnit(u), clampUnit(v)))
		}
		for c := 0; c < 3; c++ {
			v := float32(ink[c] + t*(second[c]-ink[c]))
			s.rgb[i*3+c] += alpha * share * (v - s.rgb[i*3+c])
		}
		if share > 0.5 {
			if k := s.owner[i]; k >= 0 {
				lost[k]++
			}
			s.owner[i] = id
		}
	})
	for k := range s.objects {
		s.objects[k].visible -= lost[k] / math.Max(s.objects[k].area, 1)
	}
	o.visible = 1
	s.objects = append(s.objects, o)
}

// grain adds sensor noise: the sum of four uniform numbers, near enough to a
// normal one and far cheaper.
func (s *scene) grain(r *augment.Random) {
	sigma := r.Uniform(1, 7)
	for i := range s.rgb {
		u := r.Uint64()
		sum := float64(u&0xffff+u>>16&0xffff+u>>32&0xffff+u>>48) / 0xffff // variance 4/12
		s.rgb[i] += float32(sigma * math.Sqrt(3) * (sum - 2))
	}
}

// cover calls f with every pixel a polygon touches and the share of the pixel
// it covers, by an even-odd test of supersample^2 points.
func (s *scene) cover(p []point, f func(i int, share float32)) {
	box := bounds(p)
	x1, y1 := max(0, int(box[0])), max(0, int(box[1]))
	x2, y2 := min(s.w, int(math.Ceil(box[0]+box[2]))), min(s.h, int(math.Ceil(box[1]+box[3])))
	if x2 <= x1 || y2 <= y1 {
		return
	}
	count := make([]uint8, x2-x1)
	var cross []float64
	for y := y1; y < y2; y++ {
		clear(count)
		for sub := 0; sub < supersample; sub++ {
			sy := float64(y) + (float64(sub)+0.5)/supersample
			cross = crossings(p, sy, cross[:0])
			for x := range count {
				for k := 0; k < supersample; k++ {
					sx := float64(x1+x) + (float64(k)+0.5)/supersample
					inside := false
					for _, c := range cross {
						inside = inside != (c > sx)
					}
					if inside {
						count[x]++
					}
				}
			}
		}
		for x, n := range count {
			if n > 0 {
				f(y*s.w+x1+x, float32(n)/(supersample*supersample))
			}
		}
	}
}

// crossings appends the x at which the polygon's edges cross the line at y.
func crossings(p []point, y float64, out []float64) []float64 {
	for i, b := range p {
		a := p[(i+len(p)-1)%len(p)]
		if (a.y > y) != (b.y > y) {
			out = append(out, a.x+(y-a.y)/(b.y-a.y)*(b.x-a.x))
		}
	}
	return out
}

func (s *scene) mean(p []point) (m [3]float64) {
	n := 0.0
	s.cover(p, func(i int, share float32) {
		for c := range m {
			m[c] += float64(share * s.rgb[i*3+c])
		}
		n += float64(share)
	})
	for c := range m {
		m[c] /= math.Max(n, 1e-9)
	}
	return m
}

func (s *scene) image() *image.NRGBA {
	img := image.NewNRGBA(image.Rect(0, 0, s.w, s.h))
	for i := 0; i < s.w*s.h; i++ {
		for c := 0; c < 3; c++ {
			img.Pix[i*4+c] = uint8(clamp(float64(s.rgb[i*3+c])) + 0.5)
		}
		img.Pix[i*4+3] = 255
	}
	return img
}

func randomColour(r *augment.Random) [3]float64 {
	return [3]float64{r.Uniform(15, 240), r.Uniform(15, 240), r.Uniform(15, 240)}
}

// contrasting draws colours until one is at least distance away from c.
func contrasting(r *augment.Random, c [3]float64, distance float64) [3]float64 {
	for {
		k := randomColour(r)
		d := math.Sqrt((k[0]-c[0])*(k[0]-c[0]) + (k[1]-c[1])*(k[1]-c[1]) + (k[2]-c[2])*(k[2]-c[2]))
		if d >= distance {
			return k
		}
	}
}

// noise is smooth value noise on an n x n grid over the unit square, in [-1,1].
type noise struct {
	n    int
	grid []float64
}

func newNoise(r *augment.Random, n int) noise {
	g := noise{n, make([]float64, (n+1)*(n+1))}
	for i := range g.grid {
		g.grid[i] = r.Uniform(-1, 1)
	}
	return g
}

func (g noise) at(u, v float64) float64 {
	x, y := u*float64(g.n), v*float64(g.n)
	i, j := min(int(x), g.n-1), min(int(y), g.n-1)
	fx, fy := smooth(x-float64(i)), smooth(y-float64(j))
	k := j*(g.n+1) + i
	top := g.grid[k] + fx*(g.grid[k+1]-g.grid[k])
	low := g.grid[k+g.n+1] + fx*(g.grid[k+g.n+2]-g.grid[k+g.n+1])
	return top + fy*(low-top)
}

func smooth(t float64) float64    { return t * t * (3 - 2*t) }
func clamp(v float64) float64     { return math.Max(0, math.Min(255, v)) }
func clampUnit(v float64) float64 { return math.Max(0, math.Min(1, v)) }
