package devicetest

import (
	"fmt"

	"manvision/device"
)

func poolCases() []Case {
	window := func(kh, kw, sh, sw, ph, pw int, ceil bool) device.Pool {
		return device.Pool{KH: kh, KW: kw, SH: sh, SW: sw, PH: ph, PW: pw, Ceil: ceil}
	}
	windows := []device.Pool{
		window(1, 1, 1, 1, 0, 0, false), window(2, 2, 2, 2, 0, 0, false), window(2, 2, 2, 2, 0, 0, true),
		window(3, 3, 2, 2, 1, 1, false), window(3, 3, 2, 2, 0, 0, true), window(3, 3, 2, 2, 1, 1, true),
		window(3, 3, 1, 1, 1, 1, false), window(5, 3, 2, 1, 2, 1, false), window(2, 3, 3, 2, 1, 1, true),
		window(7, 7, 1, 1, 3, 3, false), window(4, 2, 4, 2, 0, 0, false),
	}
	sizes := [][3]int{{2, 7, 9}, {1, 8, 10}, {2, 5, 6}, {1, 1, 1}, {1, 1, 7}, {1, 32, 40}, {3, 8, 6}}
	channels := []int{1, 3, 16, 17, 64}
	var list []Case
	i := 0
	for _, p := range windows {
		for _, s := range sizes {
			p.N, p.H, p.W, p.C = s[0], s[1], s[2], channels[i%len(channels)]
			i++
			if p.Check() != nil || p.OH() < 1 || p.OW() < 1 {
				continue
			}
			list = append(list, poolCase(p, i%2 == 0)...)
		}
	}
	for _, s := range [][4]int{{2, 7, 9, 17}, {1, 1, 1, 5}, {3, 8, 8, 64}, {2, 7, 7, 512}, {1, 1, 13, 1}, {1, 30, 40, 3}} {
		name := fmt.Sprintf("n%d %dx%d c%d", s[0], s[1], s[2], s[3])
		g := seeded(name)
		f, b := device.GlobalAvgPool{N: s[0], H: s[1], W: s[2], C: s[3]}, device.GlobalAvgPoolBackward{N: s[0], H: s[1], W: s[2], C: s[3]}
		list = append(list,
			Case{Op: f, Name: name, Steps: [][]any{{g.normal(s[0]*s[1]*s[2]*s[3], 1, 1)}}, Terms: s[1] * s[2]},
			Case{Op: b, Name: name, Steps: [][]any{{g.normal(s[0]*s[3], 0, 1)}}, Terms: 1})
	}
	return list
}

func poolCase(p device.Pool, ties bool) []Case {
	name := fmt.Sprintf("n%d %dx%d c%d k%dx%d s%dx%d p%dx%d", p.N, p.H, p.W, p.C, p.KH, p.KW, p.SH, p.SW, p.PH, p.PW)
	if p.Ceil {
		name += " ceil"
	}
	if ties {
		name += " ties"
	}
	g := seeded(name)
	x, dy := g.of(p.X()), g.of(p.Y())
	if ties {
		x = g.ties(len(x))
	}
	// Below zero everywhere, a padding that counted as zero would win.
	for i := range x {
		x[i] -= 8
	}
	for i := range x {
		x[i] = single(x[i])
	}
	max := device.MaxPool{Pool: p}
	list := []Case{
		{Op: max, Name: name, Steps: [][]any{{x}}, Exact: true},
		{Op: device.MaxPoolBackward{Pool: p}, Name: name, Steps: [][]any{{nil, dy}}, Terms: 1,
			From: &From{Op: max, In: []any{x}, Out: 1, To: 0}},
	}
	for _, count := range []bool{false, true} {
		n := name
		if count {
			n += " count"
		}
		list = append(list,
			Case{Op: device.AvgPool{Pool: p, CountPad: count}, Name: n, Steps: [][]any{{x}}, Terms: p.KH * p.KW},
			Case{Op: device.AvgPoolBackward{Pool: p, CountPad: count}, Name: n, Steps: [][]any{{dy}}, Terms: p.KH * p.KW, Floor: floor(1)})
	}
	return list
}

func resizeCases() []Case {
	var list []Case
	for _, s := range [][6]int{ // N, H, W, C, OH, OW
		{2, 7, 9, 3, 14, 18}, {1, 4, 5, 256, 7, 9}, {2, 7, 9, 17, 7, 9}, {1, 1, 1, 16, 5, 7}, {1, 7, 9, 5, 1, 1},
		{1, 9, 7, 4, 4, 3}, {1, 1, 8, 1, 1, 16}, {2, 3, 5, 64, 6, 9}, {1, 19, 25, 64, 38, 50}, {1, 33, 47, 19, 100, 61},
	} {
		for mode, label := range []string{"nearest", "bilinear", "aligned"} {
			o := device.Resize{N: s[0], H: s[1], W: s[2], C: s[3], OH: s[4], OW: s[5], Mode: device.ResizeMode(mode)}
			name := fmt.Sprintf("%s n%d c%d %dx%d to %dx%d", label, o.N, o.C, o.H, o.W, o.OH, o.OW)
			g := seeded(name)
			terms := max(1, o.OH*o.OW/(o.H*o.W))
			list = append(list,
				Case{Op: o, Name: name, Steps: [][]any{{g.of(o.Inputs()[0])}}, Terms: 1, Exact: o.Mode == device.Nearest},
				Case{Op: device.ResizeBackward{Resize: o}, Name: name, Steps: [][]any{{g.of(o.Outputs()[0])}}, Terms: terms, Floor: floor(terms)})
		}
	}
	return list
}
