package devicetest

import (
	"fmt"

	"manvision/device"
)

func pixelCases() []Case { return append(append(pixelLossCases(), bceCases()...), dropoutCases()...) }

func pixelLossCases() []Case {
	var list []Case
	for _, s := range []struct {
		n, h, w, c, oh, ow int
		labels             string
		threshold          float64
		kept               int
	}{
		{2, 3, 4, 5, 24, 32, "some", 0, 0}, {1, 1, 1, 2, 5, 7, "some", 0, 0}, {2, 7, 9, 3, 7, 9, "some", 0, 0}, {1, 9, 7, 4, 4, 3, "some", 0, 0},
		{1, 5, 6, 21, 37, 133, "none", 0, 0}, {2, 4, 33, 19, 29, 260, "some", 0, 0}, {1, 3, 3, 1, 6, 6, "some", 0, 0}, {1, 2, 3, 150, 16, 24, "some", 0, 0},
		{2, 4, 4, 6, 16, 16, "all", 0, 0}, {1, 13, 2, 7, 100, 9, "some", 0, 0}, {3, 12, 11, 2, 5, 4, "some", 0, 0},
		{2, 4, 5, 19, 32, 40, "some", 0.3, 0}, {2, 4, 5, 19, 32, 40, "some", 0.05, 200}, {1, 4, 5, 5, 17, 23, "some", 0, 100}, {1, 4, 5, 5, 17, 23, "some", 0, 1},
		{1, 4, 5, 5, 16, 20, "some", 0.2, 5000}, {2, 4, 4, 6, 16, 16, "all", 0.7, 10}, {2, 8, 8, 3, 64, 64, "none", 0.4, 3000},
	} {
		for _, extreme := range []bool{false, true} {
			o := device.PixelCrossEntropy{N: s.n, H: s.h, W: s.w, C: s.c, OH: s.oh, OW: s.ow,
				IgnoreIndex: 255, Weight: 0.5, Threshold: s.threshold, MinKept: s.kept}
			name := fmt.Sprintf("n%d c%d %dx%d to %dx%d mined %v %d: %s", o.N, o.C, o.H, o.W, o.OH, o.OW, o.Threshold, o.MinKept, s.labels)
			if extreme {
				if o.Mined() {
					continue // equal losses: which of them count is decided by rounding
				}
				name += " extreme"
			}
			g := seeded(name)
			n, last := o.N*o.OH*o.OW, int32(o.C-1)
			labels := map[string][]int32{
				"some": g.labels(n, 0, last, last/2, 255),
				"none": g.labels(n, 0, last, last/2),
				"all":  g.labels(n, 255),
			}[s.labels]
			in := []any{g.logits(o.N*o.H*o.W*o.C, extreme), labels}
			state := reference(o, in...)[1]
			for i := range state {
				state[i] = single(state[i])
			}
			if state[1] > 0 {
				state[1] = single(state[1] * (1 - 1e-5)) // no loss lies within rounding of it
			}
			terms := max(1, o.OH*o.OW/(o.H*o.W))
			list = append(list,
				Case{Op: o, Name: name, Steps: [][]any{in}, Terms: n},
				Case{Op: device.PixelCrossEntropyBackward{PixelCrossEntropy: o}, Name: name, Terms: terms,
					Steps: [][]any{append(in[:2:2], state, []float64{0.75})}})
		}
	}
	return list
}

func bceCases() []Case {
	var list []Case
	for _, size := range []int{1, 17, 1000, 20000} {
		for _, extreme := range []bool{false, true} {
			o := device.SigmoidBCE{Size: size, Weight: 3}
			name := fmt.Sprint(size)
			if extreme {
				name += " extreme"
			}
			g := seeded(name)
			target := make([]float64, size)
			for i := range target {
				target[i] = []float64{0, 1, single(g.Float64())}[g.IntN(3)]
			}
			in := []any{g.logits(size, extreme), target}
			list = append(list,
				Case{Op: o, Name: name, Steps: [][]any{in}, Terms: size},
				Case{Op: device.SigmoidBCEBackward{SigmoidBCE: o}, Name: name, Steps: [][]any{append(in[:2:2], []float64{0.75})}, Terms: 1})
		}
	}
	return list
}

// dropoutCases keep factors that are powers of two, so that nothing is rounded: a
// single element dropped wrongly shows.
func dropoutCases() []Case {
	var list []Case
	for _, s := range []struct {
		size int
		p    float64
		step int32
	}{{1, 0.5, 0}, {17, 0.5, 1}, {1001, 0.5, 77}, {100003, 0.5, 2147483647}, {5000, 0.75, 5}, {64, 0, 3}, {8191, 0.9375, 40000}} {
		o := device.Dropout{Size: s.size, P: s.p, Seed: 0xFEDCBA9876543210 + uint64(s.size)}
		name := fmt.Sprintf("%d p %v step %d", s.size, s.p, s.step)
		list = append(list, Case{Op: o, Name: name, Steps: [][]any{{seeded(name).normal(s.size, 0, 1), []int32{s.step}}}, Exact: true})
	}
	o := device.Dropout{Size: 999, P: 0.1, Seed: 1}
	return append(list, Case{Op: o, Name: "999 p 0.1", Steps: [][]any{{seeded("999").normal(999, 0, 1), []int32{9}}}})
}
