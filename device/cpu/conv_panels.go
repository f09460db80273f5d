package cpu

/*
#include "engine.h"
#include "kernels.h"
#include "panels.h"
*/
import "C"

import (
	"unsafe"

	"manvision/device"
)

// panelsBytes bounds the maps of convolutions by panels, in bytes. Of larger ones oneDNN's
// convolutions read filters less often.
const panelsBytes = 4 << 20

// panelsFor tells whether a convolution whose filter is prepared is made by products with
// panels of its filter (panels.h), by a rule of its shape alone.
func panelsFor(c device.Conv) bool {
	return C.mv_panels_fast() != 0 && c.Groups == 1 && c.DH == 1 && c.DW == 1 && c.OC%C.MV_PANEL == 0 &&
		4*max(c.X().Elems(), c.Y().Elems()) <= panelsBytes && (oneLine(c) || c.OW() >= C.MV_PIXELS/2)
}

// oneLine tells whether the pixels of all images can be taken for one line.
func oneLine(c device.Conv) bool {
	return c.KH == 1 && c.KW == 1 && c.SH == 1 && c.SW == 1 && c.PH == 0 && c.PW == 0
}

// panelsOf describes a filter in panels: [O/32,H,W,I,32].
func panelsOf(desc device.Desc) C.dnnl_memory_desc_t {
	var dims [4]C.int64_t
	for i, s := range desc.Shape {
		dims[i] = C.int64_t(s)
	}
	var md C.dnnl_memory_desc_t
	C.dnnl_memory_desc_init_by_tag(&md, 4, &dims[0], C.dnnl_f32, C.dnnl_Ohwi32o)
	return md
}

// inPanels tells whether prepared factors of Winograd's filters, in x width channels for
// transforms of kinds kr and kc, lie in panels: those of few tiles and small ones. With
// many tiles oneDNN's products of matrices are as fast.
func inPanels(in, width, kr, kc int) bool {
	return C.mv_panels_fast() != 0 && width%C.MV_PANEL == 0 && (kr*kc < 36 || in*width <= 1<<14)
}

// hwPanels describes a filter whose taps lie in panels each: [H,W,O/32,I,32].
func hwPanels(desc device.Desc) C.dnnl_memory_desc_t {
	md := panelsOf(desc)
	at := (*C.dnnl_blocking_desc_t)(unsafe.Pointer(&md.format_desc))
	row := C.int64_t(desc.Shape[1] * C.MV_PANEL)
	tap := row * (md.padded_dims[0] / C.MV_PANEL)
	at.strides[0], at.strides[1], at.strides[2], at.strides[3] = row, C.MV_PANEL, tap*md.dims[3], tap
	return md
}

// panels adds the steps of such a convolution.
func (k *kernel) panels(c device.Conv) error {
	x, h, w := argument(0), c.H+2*c.PH, c.W+2*c.PW
	if c.PH > 0 || c.PW > 0 {
		x = k.reserve(int64(4 * c.N * h * w * c.IC))
		if err := k.loop(C.mv_border, []place{argument(0), x}, []int{c.N, c.H, c.W, c.IC, c.PH, c.PW}); err != nil {
			return err
		}
	}
	n, oh, ow := c.N, c.OH(), c.OW()
	if oneLine(c) {
		n, h, w, oh, ow = 1, 1, n*h*w, 1, n*h*w
	}
	var bias place
	if c.Bias {
		bias = argument(2)
	} else {
		bias = k.constant(int64(4 * c.OC))
	}
	return k.loop(C.mv_conv_panels, []place{x, argument(1), bias, argument(k.in - 1), argument(k.in)},
		[]int{n, h, w, c.IC, oh, ow, c.OC, c.KH, c.KW, c.SH, c.SW, number(c.Sum), number(c.ReLU)})
}
