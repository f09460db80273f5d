package devicetest

import (
	"fmt"

	"manvision/device"
)

// classLossCases are the losses of classifiers and of their local heads.
func classLossCases() []Case {
	return append(append(softCases(), contrastCases()...), similarityCases()...)
}

func softCases() []Case {
	var list []Case
	for _, s := range [][2]int{{1, 2}, {5, 19}, {128, 10}, {200, 1000}, {3, 1}, {17, 257}} {
		for _, extreme := range []bool{false, true} {
			o := device.SoftCrossEntropy{Rows: s[0], Classes: s[1], Weight: 0.75}
			name := fmt.Sprintf("%dx%d", o.Rows, o.Classes)
			if extreme {
				name += " extreme"
			}
			g := seeded(name)
			x, target := g.logits(o.Rows*o.Classes, extreme), make([]float64, o.Rows*o.Classes)
			for i := range target {
				target[i] = single(g.Float64() / float64(o.Classes))
			}
			in := []any{x, target}
			list = append(list,
				Case{Op: o, Name: name, Steps: [][]any{in}, Terms: o.Rows},
				Case{Op: device.SoftCrossEntropyBackward{SoftCrossEntropy: o}, Name: name, Steps: [][]any{append(in[:2:2], []float64{0.75})}, Terms: 1})
		}
	}
	return list
}

func contrastCases() []Case {
	var list []Case
	for _, s := range []struct {
		rows, dim   int
		temperature float64
		labels      []int32
	}{
		{1, 4, 0.07, []int32{0}}, {2, 3, 0.5, []int32{0}}, {33, 128, 0.07, []int32{0, 1, 2, 3, 9}}, {128, 64, 0.07, []int32{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}},
		{40, 17, 1, []int32{0, 1}}, {10, 16, 0.1, []int32{5}},
	} {
		o := device.SupCon{Rows: s.rows, Dim: s.dim, Temperature: s.temperature, Weight: 0.5}
		name := fmt.Sprintf("%dx%d t%v of %d classes", o.Rows, o.Dim, o.Temperature, len(s.labels))
		g := seeded(name)
		in := []any{g.normal(o.Rows*o.Dim, 0.2, 1), g.labels(o.Rows, s.labels...)}
		list = append(list,
			Case{Op: o, Name: name, Steps: [][]any{in}, Terms: o.Rows},
			Case{Op: device.SupConBackward{SupCon: o}, Name: name, Steps: [][]any{append(in[:2:2], []float64{0.75})}, Terms: o.Rows})
	}
	return list
}

func similarityCases() []Case {
	var list []Case
	for _, s := range []device.Similarity{
		{N: 2, Cells: 4, C: 3, Classes: 2}, {N: 5, Cells: 9, C: 4, Classes: 3}, {N: 32, Cells: 64, C: 16, Classes: 10},
		{N: 17, Cells: 1, C: 33, Classes: 100}, {N: 64, Cells: 256, C: 32, Classes: 10},
	} {
		s.Weight = 0.75
		name := fmt.Sprintf("%dx%dx%d of %d classes", s.N, s.Cells, s.C, s.Classes)
		g := seeded(name)
		in := []any{g.normal(s.N*s.Cells*s.C, 0.3, 1), g.labels(s.N, 0, 1, int32(s.Classes-1))}
		list = append(list,
			Case{Op: s, Name: name, Steps: [][]any{in}, Terms: s.N},
			Case{Op: device.SimilarityBackward{Similarity: s}, Name: name, Steps: [][]any{append(in[:2:2], []float64{0.75})}, Terms: s.N})
	}
	return list
}
