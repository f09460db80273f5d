package devicetest

import (
	"fmt"
	"math"

	"manvision/device"
)

func transformerCases() []Case {
	return append(append(append(layerNormCases(), geluCases()...), attentionCases()...), tokenCases()...)
}

func layerNormCases() []Case {
	var list []Case
	for _, s := range []struct {
		rows, c int
		offset  float64
	}{{1, 1, 0}, {1, 7, 0}, {3, 16, 0}, {5, 17, 1}, {33, 48, 0}, {788, 192, 0}, {197, 768, 0}, {40, 384, 30}, {2000, 3, 0}} {
		o := device.LayerNorm{Rows: s.rows, C: s.c, Eps: 1e-6}
		name := fmt.Sprintf("%dx%d", s.rows, s.c)
		if s.offset > 1 {
			name += fmt.Sprintf(" mean %v", s.offset)
		}
		g := seeded(name)
		x, dy := g.normal(o.Rows*o.C, s.offset, 1), g.normal(o.Rows*o.C, 0, 1)
		gamma, beta := g.normal(o.C, 1, 0.5), g.normal(o.C, 0, 0.5)
		// With almost no variance the division by sqrt(eps) magnifies every rounding.
		gain := 0.0
		for r := range o.Rows {
			mean, square := 0.0, 0.0
			for _, v := range x[r*o.C:][:o.C] {
				mean += v / float64(o.C)
			}
			for _, v := range x[r*o.C:][:o.C] {
				square += (v - mean) * (v - mean) / float64(o.C)
			}
			gain = math.Max(gain, 1/math.Sqrt(square+o.Eps))
		}
		root := math.Sqrt(float64(o.Rows))
		list = append(list,
			Case{Op: o, Name: name, Steps: [][]any{{x, gamma, beta}}, Terms: o.C, Floor: map[int]float64{0: math.Max(1, gain/10)}},
			Case{Op: device.LayerNormBackward{LayerNorm: o}, Name: name, Steps: [][]any{{x, dy, gamma}}, Terms: o.Rows,
				Floor: map[int]float64{0: gain, 1: root * math.Max(1, gain/10), 2: root}})
	}
	return list
}

func geluCases() []Case {
	var list []Case
	for _, n := range []int{1, 7, 64, 1001, 70001} {
		for _, spread := range []float64{1, 8} {
			name := fmt.Sprintf("%d spread %v", n, spread)
			g := seeded(name)
			x, dy := g.normal(n, 0, spread), g.normal(n, 0, 1)
			for i, v := range []float64{0, math.Copysign(0, -1), 40, -40, 1e-20, -13.5} {
				if i < n {
					x[i] = single(v)
				}
			}
			list = append(list,
				Case{Op: device.GELU{Size: n}, Name: name, Steps: [][]any{{x}}, Terms: 1},
				Case{Op: device.GELUBackward{Size: n}, Name: name, Steps: [][]any{{x, dy}}, Terms: 1})
		}
	}
	// The far tail by itself, where the result is small: relative accuracy shows.
	tail := []float64{-2, -3, -4, -5, -3.5, -2.25, -2.75, -4.5, -3.25}
	return append(list, Case{Op: device.GELU{Size: len(tail)}, Name: "tail", Steps: [][]any{{tail}}, Terms: 1})
}

func attentionCases() []Case {
	var list []Case
	for _, s := range []struct {
		n, t, heads, dim int
		extreme          bool
	}{{1, 1, 1, 1, false}, {2, 3, 2, 5, false}, {1, 17, 3, 16, false}, {3, 50, 2, 64, false}, {2, 197, 3, 64, false}, {1, 129, 1, 32, false},
		{1, 300, 2, 24, false}, {2, 40, 2, 8, true}} {
		o := device.Attention{N: s.n, T: s.t, Heads: s.heads, Dim: s.dim, Scale: 1 / math.Sqrt(float64(s.dim))}
		name := fmt.Sprintf("n%d t%d %dx%d", o.N, o.T, o.Heads, o.Dim)
		spread := 1.0
		if s.extreme {
			name, spread = name+" extreme", 8
		}
		g := seeded(name)
		qkv, dy := g.normal(o.QKV().Elems(), 0, spread), g.of(o.Y())
		list = append(list,
			Case{Op: o, Name: name, Steps: [][]any{{qkv}}, Terms: o.T, Floor: floor(1)},
			Case{Op: device.AttentionBackward{Attention: o}, Name: name, Steps: [][]any{{qkv, dy}}, Terms: o.T,
				// The gradients of queries and keys are differences of numbers as large as
				// dy·vᵀ times a key.
				Floor: map[int]float64{0: spread * spread}})
	}
	return list
}

func tokenCases() []Case {
	var list []Case
	for _, o := range []device.Tokens{{N: 1, Patches: 1, D: 1}, {N: 3, Patches: 16, D: 48}, {N: 2, Patches: 196, D: 192}, {N: 5, Patches: 4, D: 7}} {
		name := fmt.Sprintf("n%d %dx%d", o.N, o.Patches, o.D)
		g := seeded(name)
		in := o.Inputs()
		list = append(list,
			Case{Op: o, Name: name, Steps: [][]any{{g.of(in[0]), g.of(in[1]), g.of(in[2])}}, Terms: 1, Floor: floor(1)},
			Case{Op: device.TokensBackward{Tokens: o}, Name: name, Steps: [][]any{{g.of(o.Outputs()[0])}}, Terms: o.N, Floor: map[int]float64{0: 1, 1: 1, 2: 1}})
	}
	for _, d := range storages() {
		o := device.Average{Of: d, Momentum: 0.995}
		g := seeded(d.String() + " average")
		list = append(list, Case{Op: o, Name: d.String(), Steps: [][]any{{g.of(d), g.of(d)}}, Terms: 1, Floor: floor(1)})
	}
	return list
}
