package cpu

/*
#include "engine.h"
#include "kernels.h"
*/
import "C"

import "manvision/device"

// lanes is the number of channels that the transforms of winograd.c take at a time.
const lanes = 16

// chunkBytes bounds the factors and products of a chunk of tiles: few enough to stay
// near the cores, enough for the products to run at full speed.
const chunkBytes = 24 << 20

// starts lists where the tiles of m outputs begin that cover size outputs, each
// phase of the dilation for itself.
func starts(size, dilation, m int) []int32 {
	var list []int32
	for phase := range min(dilation, size) {
		for at := phase; at < size; at += dilation * m {
			list = append(list, int32(at))
		}
	}
	return list
}

// hwio describes a filter of one group with output channels innermost.
func hwio(c device.Conv) C.dnnl_memory_desc_t {
	dims := [4]C.int64_t{C.int64_t(c.OC), C.int64_t(c.IC), C.int64_t(c.KH), C.int64_t(c.KW)}
	strides := [4]C.int64_t{1, dims[0], dims[3] * dims[1] * dims[0], dims[1] * dims[0]}
	var md C.dnnl_memory_desc_t
	C.dnnl_memory_desc_init_by_strides(&md, 4, &dims[0], C.dnnl_f32, &strides[0])
	return md
}

// winograd adds the steps of a 3x3 convolution by F(m x m, 3x3) (winograd.h), in
// chunks of tiles.
func (k *kernel) winograd(c device.Conv, dir direction, m int) error {
	f, err := k.d.filterOf(c.Weight())
	if err != nil {
		return err
	}
	h, w, in, oh, ow, out, ph, pw := c.H, c.W, c.IC, c.OH(), c.OW(), c.OC, c.PH, c.PW
	if dir == backwardData {
		h, w, in, oh, ow, out, ph, pw = oh, ow, out, h, w, in, 2*c.DH-ph, 2*c.DW-pw
	}
	rows, cols := starts(oh, c.DH, m), starts(ow, c.DW, m)
	tiles, planes := c.N*len(rows)*len(cols), (m+2)*(m+2)
	chunks := (planes*tiles*(in+out)*4 + chunkBytes - 1) / chunkBytes
	chunk := (tiles + chunks - 1) / chunks
	plane := func(size int) int64 { return int64(4 * planes * (size + lanes)) }
	n := []int{c.N, h, w, in, oh, ow, out, c.DH, c.DW, ph, pw, len(rows), len(cols), m, chunk, number(dir == backwardData), number(c.ReLU)}
	zeros := k.constant(int64(4 * max(in, out)))
	steps := []place{k.ints(rows), k.ints(cols), zeros}
	u := k.reserve(plane(in * out))
	// The plain filter and a chunk's planes are never needed together.
	start := k.scratch
	plain := k.reserve(int64(4 * 9 * in * out))
	after := k.scratch
	k.scratch = start
	v := k.reserve(plane(chunk * in))
	o := k.reserve(plane(chunk * out))
	k.scratch = max(k.scratch, after)

	if dir == backwardWeights {
		list := append([]place{argument(0), argument(1), plain, u, v, o}, steps...)
		if err := k.loop(C.mv_winograd_weights, list, n[:15]); err != nil {
			return err
		}
		if err := k.reorder(hwio(c), plain, f.md, argument(k.in)); err != nil || !c.Bias {
			return err
		}
		return k.loop(C.mv_column_sums, []place{argument(1), argument(k.in + 1)}, []int{c.N * oh * ow, out})
	}
	if err := k.reorder(f.md, argument(1), hwio(c), plain); err != nil {
		return err
	}
	bias := zeros
	if c.Bias && dir == forward {
		bias = argument(2)
	}
	return k.loop(C.mv_winograd, append([]place{argument(0), plain, bias, argument(k.in), u, v, o}, steps...), n)
}
