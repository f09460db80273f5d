package cpu

import (
	"fmt"

	"manvision/device"
)

// square is a convolution of odd kernel k on an h x w map, padded to keep the
// size at stride 1.
func square(n, h, w, ic, oc, k, s int) device.Conv {
	return device.Conv{N: n, H: h, W: w, IC: ic, OC: oc, KH: k, KW: k, SH: s, SW: s, PH: k / 2, PW: k / 2, DH: 1, DW: 1, Groups: 1}
}

// counted is a convolution and how often a network has it.
type counted struct {
	device.Conv
	times int
}

// resnet50 lists ResNet-50's convolutions on n images of h x w.
func resnet50(n, h, w int) []counted {
	half := func(v int) int { return (v + 1) / 2 }
	h, w = half(h), half(w)
	list := []counted{{square(n, 2*h, 2*w, 3, 64, 7, 2), 1}}
	h, w = half(h), half(w)
	in := 64
	for stage, blocks := range []int{3, 4, 6, 3} {
		mid := 64 << stage
		out, s := 4*mid, 1
		if stage > 0 {
			s = 2
		}
		oh, ow := (h+s-1)/s, (w+s-1)/s
		list = append(list,
			counted{square(n, h, w, in, mid, 1, 1), 1}, counted{square(n, h, w, mid, mid, 3, s), 1},
			counted{square(n, oh, ow, mid, out, 1, 1), blocks}, counted{square(n, h, w, in, out, 1, s), 1},
			counted{square(n, oh, ow, out, mid, 1, 1), blocks - 1}, counted{square(n, oh, ow, mid, mid, 3, 1), blocks - 1})
		in, h, w = out, oh, ow
	}
	return list
}

// towers lists the convolutions of RetinaNet's subnets on two images of 608x800.
func towers() []counted {
	var list []counted
	for _, m := range [][2]int{{76, 100}, {38, 50}, {19, 25}, {10, 13}, {5, 7}} {
		c, p := square(2, m[0], m[1], 256, 256, 3, 1), square(2, m[0], m[1], 256, 720, 3, 1)
		c.Bias, p.Bias, c.ReLU = true, true, true
		list = append(list, counted{c, 8}, counted{p, 1})
	}
	return list
}

// atrous is a 3x3 convolution of dilation d that keeps the map's size.
func atrous(n, h, w, ic, oc, d int) device.Conv {
	c := square(n, h, w, ic, oc, 3, 1)
	c.DH, c.DW, c.PH, c.PW = d, d, d, d
	return c
}

// deeplab lists what DeepLabV3 ResNet-50 at output stride 8 has beside ResNet-50's
// convolutions, on maps of h x w.
func deeplab(n, h, w int) []counted {
	return []counted{
		{atrous(n, h, w, 256, 256, 2), 5}, {atrous(n, h, w, 512, 512, 2), 1}, {atrous(n, h, w, 512, 512, 4), 2},
		{atrous(n, h, w, 2048, 256, 12), 1}, {atrous(n, h, w, 2048, 256, 24), 1}, {atrous(n, h, w, 2048, 256, 36), 1}, {atrous(n, h, w, 1024, 256, 1), 1},
		{square(n, h, w, 256, 1024, 1, 1), 6}, {square(n, h, w, 1024, 256, 1, 1), 5}, {square(n, h, w, 512, 1024, 1, 1), 1}, {square(n, h, w, 1024, 512, 1, 1), 1},
		{square(n, h, w, 512, 2048, 1, 1), 3}, {square(n, h, w, 2048, 512, 1, 1), 2}, {square(n, h, w, 1024, 2048, 1, 1), 1},
		{square(n, h, w, 2048, 256, 1, 1), 1}, {square(n, h, w, 1280, 256, 1, 1), 1},
	}
}

func name(c device.Conv) string {
	s := fmt.Sprintf("%dx%dx%dx%d-%d/%dx%d", c.N, c.H, c.W, c.IC, c.OC, c.KH, c.KW)
	if c.SH > 1 {
		s += fmt.Sprintf("s%d", c.SH)
	}
	if c.DH > 1 {
		s += fmt.Sprintf("d%d", c.DH)
	}
	if c.Groups > 1 {
		s += fmt.Sprintf("g%d", c.Groups)
	}
	return s
}
