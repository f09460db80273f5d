package devicetest

import (
	"fmt"
	"math"

	"manvision/device"
)

func normCases() []Case {
	var list []Case
	shapes := [][4]int{
		{2, 7, 9, 1}, {2, 7, 9, 3}, {1, 7, 9, 5}, {3, 5, 4, 16}, {2, 7, 9, 17}, {2, 4, 5, 36}, {2, 7, 9, 64},
		{1, 3, 5, 720}, {2, 8, 10, 256}, {4, 1, 1, 33}, {1, 1, 1, 16}, {2, 1, 1, 16}, {2, 38, 50, 64},
	}
	for _, s := range shapes {
		for variant := range 4 {
			o := device.BatchNorm{N: s[0], H: s[1], W: s[2], C: s[3], Eps: 1e-5, ReLU: variant&1 != 0, Global: variant&2 != 0}
			list = append(list, normCase(o, 1)...)
			list = append(list, normSumCase(o))
		}
	}
	for variant := range 4 {
		o := device.BatchNorm{N: 2, H: 9, W: 7, C: 24, Eps: 1e-3, ReLU: variant&1 != 0, Global: variant&2 != 0}
		list = append(list, normCase(o, 30)...)
	}
	for _, o := range []device.RunningStats{{C: 1, Rows: 1, Momentum: 0.1}, {C: 17, Rows: 2, Momentum: 0.1}, {C: 256, Rows: 600, Momentum: 0.01}, {C: 5, Rows: 9, Momentum: 1}} {
		name := fmt.Sprintf("%+v", o)
		g := seeded(name)
		list = append(list, Case{Op: o, Name: name, Terms: 1,
			Steps: [][]any{{g.normal(o.C, 0, 1), squares(g.normal(o.C, 0, 1))}, {g.normal(o.C, 3, 1), squares(g.normal(o.C, 1, 1))}},
			Start: map[int][]float64{0: g.normal(o.C, 0, 1), 1: squares(g.normal(o.C, 0, 1))}})
	}
	return append(list, foldCases()...)
}

func foldCases() []Case {
	var list []Case
	for i, f := range [][5]int{{1, 1, 1, 1, 1}, {5, 3, 3, 3, 1}, {64, 16, 1, 1, 1}, {33, 48, 3, 3, 1}, {32, 4, 3, 3, 8}, {17, 1, 3, 2, 17}, {64, 3, 7, 7, 1}} {
		o := device.FoldNorm{Filter: device.Desc{Layout: device.Filter, Shape: f[:4], Groups: f[4]}, Eps: 1e-5, Bias: i%2 == 1}
		name := fmt.Sprintf("%v bias %v", o.Filter, o.Bias)
		g, c := seeded(name), f[0]
		in := []any{g.of(o.Filter), g.normal(c, 1, 0.5), g.normal(c, 0, 0.5), g.normal(c, 0, 1), squares(g.normal(c, 1, 0.2))}
		if o.Bias {
			in = append(in, g.normal(c, 0, 1))
		}
		list = append(list, Case{Op: o, Name: name, Steps: [][]any{in}, Terms: 1})
	}
	return list
}

// normCase makes the forward and the backward case of a batch norm on data whose
// mean is offset standard deviations away from zero.
func normCase(o device.BatchNorm, offset float64) []Case {
	name := fmt.Sprintf("n%d %dx%d c%d", o.N, o.H, o.W, o.C)
	if o.ReLU {
		name += " relu"
	}
	if o.Global {
		name += " global"
	}
	if offset > 1 {
		name += fmt.Sprintf(" mean %v", offset)
	}
	g := seeded(name)
	rows := o.N * o.H * o.W
	gamma, beta, dy := g.normal(o.C, 1, 0.5), g.normal(o.C, 0, 0.5), g.of(o.X())
	x := g.of(o.X())
	for i := range x {
		x[i] = single(x[i] + offset)
	}
	mean, variance := g.normal(o.C, offset, 0.3), squares(g.normal(o.C, 1, 0.2))
	inputs := func() []any {
		if o.Global {
			return []any{x, gamma, beta, mean, variance}
		}
		return []any{x, gamma, beta}
	}
	// The mask must not hang on rounding: move outputs off zero.
	plain := o
	plain.ReLU = false
	for range 20 {
		out := reference(plain, inputs()...)
		if !o.Global {
			copy(mean, out[1])
			copy(variance, out[2])
		}
		near := 0
		for i, v := range out[0] {
			if o.ReLU && math.Abs(v) < 1e-3 {
				// A batch of one row always gives β, whatever x is.
				if rows == 1 {
					beta[i%o.C] = 0.5
				} else {
					x[i] = single(x[i] + 0.1)
				}
				near++
			}
		}
		if near == 0 {
			break
		}
	}
	for j := range mean {
		mean[j], variance[j] = single(mean[j]), single(variance[j])
	}
	// With almost no variance the division by sqrt(eps) magnifies every rounding.
	gain := 0.0
	for j := range gamma {
		gain = math.Max(gain, math.Abs(gamma[j])/math.Sqrt(variance[j]+o.Eps))
	}
	forward := Case{Op: o, Name: name, Steps: [][]any{inputs()}, Terms: rows, Floor: map[int]float64{0: 1, 1: 1, 2: 1}}
	if o.Global {
		forward.Floor = map[int]float64{0: 1}
	}
	in := []any{x, dy, gamma, mean, variance}
	backward := Case{Op: device.BatchNormBackward{BatchNorm: o}, Name: name, Terms: rows,
		Floor: map[int]float64{0: gain, 1: math.Sqrt(float64(rows)) * math.Max(1, gain/10), 2: math.Sqrt(float64(rows))}}
	if o.ReLU {
		backward.From = &From{Op: o, In: inputs(), Out: len(o.Outputs()) - 1, To: 5}
		in = append(in, nil)
	}
	backward.Steps = [][]any{in}
	return []Case{forward, backward}
}

// normSumCase is a batch norm with a sum behind it.
func normSumCase(o device.BatchNorm) Case {
	o.Sum = true
	name := fmt.Sprintf("n%d %dx%d c%d relu %v global %v sum", o.N, o.H, o.W, o.C, o.ReLU, o.Global)
	g := seeded(name)
	in := []any{g.normal(o.X().Elems(), 1, 1), g.normal(o.C, 1, 0.5), g.normal(o.C, 0, 0.5)}
	floors := map[int]float64{0: 1}
	if o.Global {
		in = append(in, g.normal(o.C, 1, 0.3), squares(g.normal(o.C, 1, 0.2)))
	} else {
		floors[1], floors[2] = 1, 1
	}
	return Case{Op: o, Name: name, Steps: [][]any{append(in, g.of(o.X()))}, Terms: o.N * o.H * o.W, Floor: floors}
}

func squares(v []float64) []float64 {
	for i := range v {
		v[i] = single(v[i]*v[i] + 0.01)
	}
	return v
}
