package devicetest

import (
	"fmt"
	"math"

	"manvision/device"
)

// logits returns n logits; extreme ones reach ±80, where a naive exp or log
// overflows or loses everything.
func (s source) logits(n int, extreme bool) []float64 {
	v := s.normal(n, 0, 3)
	if extreme {
		for i := range v {
			v[i] = []float64{80, -80, 30, -30, 0, 16, -16}[s.IntN(7)]
		}
	}
	return v
}

func lossCases() []Case {
	return append(append(focalCases(), smoothL1Cases()...), crossEntropyCases()...)
}

func focalCases() []Case {
	var list []Case
	for _, s := range []struct {
		rows, classes int
		alpha, gamma  float64
		labels        string
	}{
		{1, 1, 0.25, 2, "mixed"}, {7, 5, 0.25, 2, "mixed"}, {300, 80, 0.25, 2, "mixed"}, {4201, 9, 0.25, 2, "mixed"},
		{33, 3, 0.5, 1.5, "mixed"}, {33, 3, 0.25, 0, "mixed"}, {10, 80, 0.25, 1, "ends"}, {50, 4, 0.25, 2, "background"}, {50, 4, 0.25, 2, "ignored"},
	} {
		for _, extreme := range []bool{false, true} {
			o := device.FocalLoss{Rows: s.rows, Classes: s.classes, Alpha: s.alpha, Gamma: s.gamma}
			name := fmt.Sprintf("%dx%d a%v g%v %s", o.Rows, o.Classes, o.Alpha, o.Gamma, s.labels)
			if extreme {
				name += " extreme"
			}
			g := seeded(name)
			last := int32(o.Classes - 1)
			labels := map[string][]int32{
				"mixed":      g.labels(o.Rows, device.Background, device.Background, device.Ignore, 0, last, last/2),
				"ends":       g.labels(o.Rows, 0, last),
				"background": g.labels(o.Rows, device.Background),
				"ignored":    g.labels(o.Rows, device.Ignore),
			}[s.labels]
			x := g.logits(o.Rows*o.Classes, extreme)
			in := []any{x, labels, []float64{float64(1 + g.IntN(40))}}
			list = append(list,
				Case{Op: o, Name: name, Steps: [][]any{in}, Terms: o.Rows * o.Classes},
				Case{Op: device.FocalLossBackward{FocalLoss: o}, Name: name, Steps: [][]any{append(in[:3:3], []float64{0.75})}, Terms: 1})
		}
	}
	return list
}

func smoothL1Cases() []Case {
	var list []Case
	for _, s := range []struct {
		rows, dim int
		beta      float64
		none      bool
	}{{1, 4, 1, false}, {7, 1, 1, false}, {300, 4, 1, false}, {300, 4, 0, false}, {1025, 4, 1.0 / 9, false}, {20, 4, 1, true}, {20, 4, 0, true}} {
		o := device.SmoothL1{Rows: s.rows, Dim: s.dim, Beta: s.beta}
		name := fmt.Sprintf("%dx%d beta %.3g", o.Rows, o.Dim, o.Beta)
		g := seeded(name)
		pred, target := g.normal(o.Rows*o.Dim, 0, 1), g.normal(o.Rows*o.Dim, 0, 1)
		labels := g.labels(o.Rows, device.Background, device.Ignore, 0, 1, 79)
		if o.Rows == 1 {
			labels[0] = 0
		}
		if s.none {
			name += " no row counts"
			labels = g.labels(o.Rows, device.Background, device.Ignore)
		}
		for r, l := range labels {
			for i := r * o.Dim; i < (r+1)*o.Dim; i++ {
				switch {
				case l < 0:
					target[i] = math.NaN() // a row that does not count is not looked at
				case g.IntN(5) == 0:
					target[i] = pred[i]
				case g.IntN(5) == 0:
					target[i] = single(pred[i] + 50)
				}
			}
		}
		in := []any{pred, target, labels, []float64{float64(1 + g.IntN(40))}}
		list = append(list,
			Case{Op: o, Name: name, Steps: [][]any{in}, Terms: o.Rows * o.Dim},
			Case{Op: device.SmoothL1Backward{SmoothL1: o}, Name: name, Steps: [][]any{append(in[:4:4], []float64{0.75})}, Terms: 1})
	}
	return list
}

func crossEntropyCases() []Case {
	var list []Case
	for _, s := range []struct {
		rows, classes int
		ignore        int32
		labels        string
	}{
		{1, 2, 255, "some"}, {5, 19, 255, "some"}, {200, 1000, -100, "some"}, {4200, 19, 255, "some"}, {3, 1, 255, "some"},
		{17, 10, 0, "some"}, {16, 7, 255, "none"}, {12, 19, 255, "all"},
	} {
		for _, extreme := range []bool{false, true} {
			o := device.CrossEntropy{Rows: s.rows, Classes: s.classes, IgnoreIndex: s.ignore}
			name := fmt.Sprintf("%dx%d ignore %d: %s", o.Rows, o.Classes, o.IgnoreIndex, s.labels)
			if extreme {
				name += " extreme"
			}
			g := seeded(name)
			last := int32(o.Classes - 1)
			labels := map[string][]int32{
				"some": g.labels(o.Rows, 0, last, last/2, o.IgnoreIndex),
				"none": g.labels(o.Rows, 0, last, last/2),
				"all":  g.labels(o.Rows, o.IgnoreIndex),
			}[s.labels]
			in := []any{g.logits(o.Rows*o.Classes, extreme), labels}
			list = append(list,
				Case{Op: o, Name: name, Steps: [][]any{in}, Terms: o.Rows},
				Case{Op: device.CrossEntropyBackward{CrossEntropy: o}, Name: name, Steps: [][]any{append(in[:2:2], []float64{0.75})}, Terms: 1})
		}
	}
	return list
}
