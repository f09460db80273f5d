package devicetest

import "manvision/device"

// dilatedShapes are convolutions as dilated networks have them: maps that the
// dilation does not divide, rates beyond the map, and every way to cut a side into
// tiles of phases.
func dilatedShapes() []device.Conv {
	var list []device.Conv
	add := func(o device.Conv, n, h, w, ic, oc int) {
		o.N, o.H, o.W, o.IC, o.OC = n, h, w, ic, oc
		list = append(list, o)
	}
	same := func(dilation int) device.Conv { return geometry(3, 3, 1, dilation, dilation) }
	for i, d := range []int{2, 4, 6, 12, 18, 24, 36} {
		for j, s := range [][2]int{{17, 23}, {d + 1, 2*d - 1}, {2 * d, 2*d + 1}, {3*d + 1, d}} {
			if s[0]*s[1] > 3600 {
				continue
			}
			o := same(d)
			o.Bias, o.ReLU = (i+j)%2 == 0, (i+j)%3 == 0
			add(o, 1+j%2, s[0], s[1], 64, 96)
		}
	}
	// Bias and ReLU in all combinations; a wide one; few channels.
	for b := range 4 {
		o := same(2)
		o.Bias, o.ReLU = b&1 != 0, b&2 != 0
		add(o, 2, 19, 14, 64, 64)
	}
	add(same(4), 1, 21, 18, 256, 128)
	add(same(2), 1, 16, 16, 17, 45)
	add(same(12), 2, 16, 16, 3, 5)
	// All outer taps beyond the map.
	for _, s := range [][2]int{{1, 1}, {1, 7}, {5, 5}, {12, 12}} {
		add(same(12), 2, s[0], s[1], 64, 64)
		add(same(36), 1, s[0], s[1], 32, 19)
	}
	// An atrous pyramid's rates on a map of a training crop.
	add(same(12), 1, 64, 64, 64, 64)
	add(same(24), 1, 64, 64, 64, 64)
	add(same(36), 1, 64, 64, 64, 64)
	add(same(36), 1, 32, 100, 64, 64)
	// Padding other than the dilation, rows unlike columns.
	for _, p := range [][2]int{{0, 0}, {1, 3}, {4, 2}, {7, 9}} {
		o := geometry(3, 3, 1, 0, 3)
		o.PH, o.PW, o.Bias = p[0], p[1], true
		add(o, 1, 20, 22, 64, 64)
	}
	unlike := geometry(3, 3, 1, 2, 2)
	unlike.DW, unlike.PW = 5, 5
	add(unlike, 2, 15, 27, 64, 64)
	unlike.DW, unlike.PW = 14, 14
	add(unlike, 1, 18, 27, 64, 64)
	// Stride, groups, other kernels.
	for _, d := range []int{2, 4, 12} {
		strided := geometry(3, 3, 2, d, d)
		strided.Bias = true
		add(strided, 2, 18, 25, 32, 64)
		grouped := same(d)
		grouped.Groups, grouped.ReLU = 32, true
		add(grouped, 2, 15, 17, 128, 128)
		grouped.Groups = 32
		add(grouped, 1, 14, 14, 32, 32)
	}
	add(geometry(5, 5, 1, 4, 2), 1, 15, 15, 32, 32)
	add(geometry(1, 1, 1, 0, 12), 1, 15, 15, 32, 32)
	return list
}
