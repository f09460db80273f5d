package ref

import (
	"math"

	"manvision/device"
)

// similar is what Similarity and its gradient share: for each image its features'
// means, standard deviations, centred and divided by their length.
type similar struct {
	device.Similarity
	x                       []float64
	labels                  []int32
	mean, std, unit, length []float64 // [N,C], [N,C], [N,C], [N]
	same, other             float64   // cosines of labels
}

func similarScratch(o device.Similarity) int { return o.N*o.C*4 + o.N }

func similarOf(o device.Similarity, c *call) similar {
	s := similar{Similarity: o, x: c.in[0].f, labels: c.in[1].i}
	nc, rest := o.N*o.C, c.scratch
	s.mean, s.std, s.unit, s.length = rest[:nc], rest[nc:2*nc], rest[2*nc:3*nc], rest[4*nc:][:o.N]
	k := float64(o.Classes)
	q := math.Sqrt((k - 1) / k)
	q /= q + device.SimilarityEps
	s.same, s.other = q*q, -q*q/(k-1)
	c.parallel(o.N, 1, func(lo, hi int) {
		for n := lo; n < hi; n++ {
			s.image(n)
		}
	})
	return s
}

func (s similar) image(n int) {
	total := 0.0
	for k := range s.C {
		at, m := n*s.C+k, 0.0
		for p := range s.Cells {
			m += s.x[(n*s.Cells+p)*s.C+k]
		}
		m /= float64(s.Cells)
		s.mean[at] = m
		s.std[at] = m
		if s.Cells > 1 {
			v := 0.0
			for p := range s.Cells {
				d := s.x[(n*s.Cells+p)*s.C+k] - m
				v += d * d
			}
			s.std[at] = math.Sqrt(v / float64(s.Cells-1))
		}
		total += s.std[at]
	}
	row, square := s.unit[n*s.C:][:s.C], 0.0
	for k := range row {
		row[k] = s.std[n*s.C+k] - total/float64(s.C)
		square += row[k] * row[k]
	}
	s.length[n] = math.Sqrt(square)
	for k := range row {
		row[k] /= s.length[n] + device.SimilarityEps
	}
}

// off is R_ij − Y_ij.
func (s similar) off(i, j int) float64 {
	y := s.other
	if s.labels[i] == s.labels[j] {
		y = s.same
	}
	return inner(s.unit[i*s.C:][:s.C], s.unit[j*s.C:][:s.C]) - y
}

func similarity(o device.Similarity) program {
	return program{scratch: similarScratch(o), run: func(c *call) error {
		s := similarOf(o, c)
		sum := 0.0
		for i := range o.N {
			for j := range o.N {
				d := s.off(i, j)
				sum += d * d
			}
		}
		c.out[0].f[0] = o.Weight * sum / float64(o.N*o.N)
		return nil
	}}
}

func similarityBackward(o device.Similarity) program {
	return program{scratch: similarScratch(o), run: func(c *call) error {
		s := similarOf(o, c)
		grad, dx := c.scratch[3*o.N*o.C:][:o.N*o.C], c.out[0].f
		by := c.in[2].f[0] * o.Weight * 4 / float64(o.N*o.N)
		c.parallel(o.N, 1, func(lo, hi int) {
			for i := lo; i < hi; i++ {
				s.gradient(i, by, grad[i*o.C:][:o.C], dx[i*o.Cells*o.C:][:o.Cells*o.C])
			}
		})
		return nil
	}}
}

// gradient writes that of image i; d is working memory of C elements.
func (s similar) gradient(i int, by float64, d, dx []float64) {
	clear(d)
	for j := range s.N {
		g := by * s.off(i, j)
		for k := range d {
			d[k] += g * s.unit[j*s.C+k]
		}
	}
	// Through the division by length + ε, the centring and the deviation.
	u, l := s.unit[i*s.C:][:s.C], s.length[i]
	along, mean := inner(u, d), 0.0
	for k := range d {
		d[k] /= l + device.SimilarityEps
		if l > 0 {
			d[k] -= u[k] * along / l
		}
		mean += d[k] / float64(s.C)
	}
	for k := range d {
		at := i*s.C + k
		for p := range s.Cells {
			g := d[k] - mean
			switch {
			case s.Cells > 1 && s.std[at] == 0:
				g = 0
			case s.Cells > 1:
				g *= (s.x[(i*s.Cells+p)*s.C+k] - s.mean[at]) / (float64(s.Cells-1) * s.std[at])
			}
			dx[p*s.C+k] = g
		}
	}
}
