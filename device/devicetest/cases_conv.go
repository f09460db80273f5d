package devicetest

import (
	"fmt"
	"math"

	"manvision/device"
)

// geometry returns a convolution of one group with square stride, padding and
// dilation.
func geometry(kh, kw, stride, pad, dilation int) device.Conv {
	return device.Conv{KH: kh, KW: kw, SH: stride, SW: stride, PH: pad, PW: pad, DH: dilation, DW: dilation, Groups: 1}
}

func convShapes() []device.Conv {
	var list []device.Conv
	add := func(o device.Conv, n, h, w, ic, oc int) {
		o.N, o.H, o.W, o.IC, o.OC = n, h, w, ic, oc
		list = append(list, o)
	}
	wide := geometry(5, 3, 1, 0, 1)
	wide.PH, wide.PW, wide.SW = 2, 1, 2
	tall := geometry(3, 3, 2, 1, 1)
	tall.SW = 1
	geometries := []device.Conv{
		geometry(1, 1, 1, 0, 1), geometry(1, 1, 2, 0, 1), geometry(3, 3, 1, 1, 1),
		geometry(3, 3, 2, 1, 1), geometry(3, 3, 1, 2, 2), geometry(3, 3, 1, 4, 4),
		geometry(3, 3, 1, 0, 1), geometry(7, 7, 2, 3, 1), wide, tall,
	}
	channels := [][2]int{
		{1, 1}, {1, 16}, {3, 5}, {3, 16}, {3, 64}, {5, 17}, {16, 16}, {17, 45}, {36, 36}, {45, 1},
		{64, 64}, {64, 256}, {256, 64}, {256, 36}, {256, 45}, {1, 720}, {720, 5}, {64, 720},
	}
	sizes := [][3]int{{2, 7, 9}, {1, 7, 9}, {3, 6, 5}, {1, 8, 8}, {2, 5, 11}}
	i := 0
	for _, g := range geometries {
		for _, ch := range channels {
			s := sizes[i%len(sizes)]
			g.Bias, g.ReLU = i%2 == 0, i%3 == 0
			add(g, s[0], s[1], s[2], ch[0], ch[1])
			i++
		}
	}
	// All of bias and ReLU on one shape.
	for b := range 4 {
		g := geometry(3, 3, 1, 1, 1)
		g.Bias, g.ReLU = b&1 != 0, b&2 != 0
		add(g, 2, 9, 7, 16, 32)
	}
	// Groups, depthwise included.
	for _, c := range [][3]int{{32, 32, 32}, {17, 17, 17}, {16, 32, 16}, {64, 64, 32}, {64, 128, 32}, {256, 256, 32}, {6, 9, 3}, {16, 32, 2}, {5, 10, 5}, {36, 72, 4}} {
		for j, g := range []device.Conv{geometry(3, 3, 1, 1, 1), geometry(3, 3, 2, 1, 1), geometry(1, 1, 1, 0, 1), geometry(3, 3, 1, 2, 2)} {
			g.Groups, g.Bias, g.ReLU = c[2], j%2 == 0, j == 2
			add(g, 2, 7, 9, c[0], c[1])
		}
	}
	same := geometry(3, 3, 1, 1, 1)
	// Maps of one pixel, one row, one column.
	for _, s := range [][2]int{{1, 1}, {1, 2}, {2, 1}, {1, 9}, {9, 1}} {
		add(same, 1, s[0], s[1], 16, 16)
		add(same, 2, s[0], s[1], 256, 36)
		add(geometry(1, 1, 1, 0, 1), 1, s[0], s[1], 64, 17)
		add(geometry(3, 3, 2, 1, 1), 2, s[0], s[1], 17, 64)
	}
	// Strided projections of few channels: oneDNN 2.6 writes beyond its scratchpad.
	for _, c := range [][2]int{{4, 8}, {8, 4}, {8, 16}, {12, 24}, {24, 40}, {16, 24}} {
		add(geometry(1, 1, 2, 0, 1), 3, 12, 8, c[0], c[1])
	}
	// Batches that split image by image, two images of class outputs.
	split := geometry(3, 3, 1, 1, 1)
	split.Bias = true
	add(split, 2, 38, 50, 128, 208)
	// Stems.
	add(geometry(7, 7, 2, 3, 1), 2, 64, 80, 3, 64)
	add(geometry(7, 7, 2, 3, 1), 1, 33, 47, 3, 64)
	add(same, 2, 32, 32, 3, 16)
	// RetinaNet's towers and outputs over small pyramids.
	for _, s := range [][2]int{{16, 20}, {8, 10}, {4, 5}, {2, 3}} {
		tower := same
		tower.Bias, tower.ReLU = true, true
		add(tower, 2, s[0], s[1], 256, 256)
		out := same
		out.Bias = true
		add(out, 2, s[0], s[1], 256, 45)
	}
	head := same
	head.Bias = true
	add(head, 1, 7, 9, 256, 720)
	// Wide 3x3 convolutions where a device may use Winograd's algorithm.
	for _, ch := range []int{64, 96, 128, 192, 256} {
		add(same, 1, 7, 9, ch, ch)
		add(same, 2, 7, 9, ch, 256)
	}
	for _, ch := range []int{64, 128, 256} {
		add(same, 1, 38, 50, ch, ch)
	}
	return list
}

func convName(o device.Conv) string {
	s := fmt.Sprintf("n%d %dx%d c%d-%d k%dx%d s%dx%d p%dx%d d%dx%d g%d", o.N, o.H, o.W, o.IC, o.OC, o.KH, o.KW, o.SH, o.SW, o.PH, o.PW, o.DH, o.DW, o.Groups)
	if o.Bias {
		s += " bias"
	}
	if o.ReLU {
		s += " relu"
	}
	return s
}

func convCases() []Case {
	var list []Case
	for _, o := range append(convShapes(), dilatedShapes()...) {
		name := convName(o)
		g := seeded(name)
		x, w, b, dy := g.of(o.X()), g.of(o.Weight()), g.normal(o.OC, 0, 1), g.of(o.Y())
		in := []any{x, w}
		if o.Bias {
			in = append(in, b)
		}
		forward, backward, pixels := o.IC/o.Groups*o.KH*o.KW, o.OC/o.Groups*o.KH*o.KW, o.N*o.OH()*o.OW()
		list = append(list,
			Case{Op: o, Name: name, Steps: [][]any{in}, Terms: forward, Floor: floor(forward)},
			Case{Op: device.ConvBackwardData{Conv: o}, Name: name, Steps: [][]any{{dy, w}}, Terms: backward, Floor: floor(backward)},
			Case{Op: device.ConvBackwardWeights{Conv: o}, Name: name, Steps: [][]any{{x, dy}}, Terms: pixels, Floor: floor(pixels, pixels)})
	}
	return list
}

func linearCases() []Case {
	var list []Case
	for i, s := range [][3]int{{1, 1, 1}, {1, 512, 10}, {2, 5, 33}, {7, 64, 100}, {128, 64, 10}, {16, 192, 576}, {3, 2048, 1000}, {130, 17, 1}} {
		o := device.Linear{M: s[0], K: s[1], N: s[2], Bias: i%2 == 0}
		name := fmt.Sprintf("%dx%d-%d", o.M, o.K, o.N)
		g := seeded(name)
		x, w, b, dy := g.normal(o.M*o.K, 0, 1), g.normal(o.N*o.K, 0, 1), g.normal(o.N, 0, 1), g.normal(o.M*o.N, 0, 1)
		in := []any{x, w}
		if o.Bias {
			in = append(in, b)
		}
		list = append(list,
			Case{Op: o, Name: name, Steps: [][]any{in}, Terms: o.K, Floor: floor(o.K)},
			Case{Op: device.LinearBackwardData{Linear: o}, Name: name, Steps: [][]any{{dy, w}}, Terms: o.N, Floor: floor(o.N)},
			Case{Op: device.LinearBackwardWeights{Linear: o}, Name: name, Steps: [][]any{{x, dy}}, Terms: o.M, Floor: floor(o.M, o.M)})
	}
	return list
}

// floor gives each output the size that a sum of so many products of standard
// normal numbers has.
func floor(terms ...int) map[int]float64 {
	m := map[int]float64{}
	for i, k := range terms {
		m[i] = math.Sqrt(float64(k))
	}
	return m
}
