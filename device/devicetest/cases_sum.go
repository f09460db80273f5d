package devicetest

import "fmt"

// sumCases are convolutions that add a tensor to their result, of every kind that a
// device may compute in a way of its own.
func sumCases() []Case {
	var list []Case
	for i, s := range []struct {
		k, stride, dilation, groups int
		n, h, w, ic, oc             int
	}{
		{1, 1, 1, 1, 2, 7, 9, 16, 64}, {1, 1, 1, 1, 2, 7, 9, 16, 64}, {1, 1, 1, 1, 1, 5, 6, 3, 5}, {1, 1, 1, 1, 2, 13, 14, 512, 1024}, {1, 1, 1, 1, 1, 18, 17, 2048, 256},
		{1, 2, 1, 1, 2, 9, 8, 32, 48}, {3, 1, 1, 1, 2, 9, 8, 64, 64}, {3, 1, 1, 1, 1, 38, 50, 128, 128}, {3, 2, 1, 1, 1, 9, 8, 16, 33}, {3, 1, 2, 1, 1, 9, 8, 16, 16},
		{3, 1, 1, 4, 2, 6, 7, 32, 64}, {3, 1, 1, 24, 1, 6, 7, 24, 24}, {7, 2, 1, 1, 1, 20, 22, 3, 64}, {3, 1, 1, 1, 1, 38, 50, 64, 99}, {3, 1, 1, 1, 1, 7, 9, 17, 19},
	} {
		for relu := range 2 {
			o := geometry(s.k, s.k, s.stride, s.dilation*(s.k-1)/2, s.dilation)
			o.N, o.H, o.W, o.IC, o.OC, o.Groups = s.n, s.h, s.w, s.ic, s.oc, s.groups
			o.Bias, o.ReLU, o.Sum = i%2 == 0, relu == 1, true
			name := fmt.Sprintf("%s sum", convName(o))
			g := seeded(name)
			in := []any{g.of(o.X()), g.of(o.Weight())}
			if o.Bias {
				in = append(in, g.normal(o.OC, 0, 1))
			}
			terms := o.IC / o.Groups * o.KH * o.KW
			list = append(list, Case{Op: o, Name: name, Steps: [][]any{append(in, g.of(o.Y()))}, Terms: terms, Floor: floor(terms)})
		}
	}
	return list
}
