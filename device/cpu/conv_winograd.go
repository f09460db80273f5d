package cpu

/*
#include "engine.h"
#include "kernels.h"
*/
import "C"

import "manvision/device"

// lanes is the number of channels that the transforms of winograd.c take at a time.
const lanes = 16

// partLanes is the least number of output channels that need not fill vectors: below
// it too much would be computed in vain.
const partLanes = 64

// chunkBytes bounds the factors and products of a chunk of tiles: few enough to stay
// near the cores, enough for the products to run at full speed.
const chunkBytes = 24 << 20

// winogradSide is how Winograd's algorithm cuts one side of a map (winograd.h): the kind of
// its transforms and where the tiles begin that cover all outputs, each phase of the
// dilation for itself.
type winogradSide struct {
	kind   int
	starts []int32
}

// cutSide takes the kind with the fewest products for a side of in inputs and out
// outputs.
func cutSide(in, out, dilation, pad int) winogradSide {
	var best winogradSide
	for _, kind := range []struct{ products, outputs int }{{6, 4}, {5, 3}, {3, 2}} {
		if kind.products == 3 && (pad < dilation || 3*dilation-pad < in || out > 2*dilation) {
			continue // inputs beside the tile that are not zero
		}
		side := sideOf(kind.products, kind.outputs, out, dilation)
		if best.kind == 0 || len(side.starts)*side.kind < len(best.starts)*best.kind {
			best = side
		}
	}
	return best
}

// sideOf cuts a side of out outputs into tiles of the kind with so many products and
// outputs.
func sideOf(products, outputs, out, dilation int) winogradSide {
	side := winogradSide{kind: products}
	for phase := range min(dilation, out) {
		for at := phase; at < out; at += dilation * outputs {
			side.starts = append(side.starts, int32(at))
		}
	}
	return side
}

// cutSides cuts the map that a direction of a convolution makes tiles of. A data
// gradient is a convolution of dy by the filter turned round.
func cutSides(c device.Conv, dir direction) (rows, cols winogradSide) {
	if dir == backwardData {
		return cutSide(c.OH(), c.H, c.DH, 2*c.DH-c.PH), cutSide(c.OW(), c.W, c.DW, 2*c.DW-c.PW)
	}
	return cutSide(c.H, c.OH(), c.DH, c.PH), cutSide(c.W, c.OW(), c.DW, c.PW)
}

// preparedSides is cutSides for a forward convolution whose filter is prepared: of few
// tiles a filter's factors are read as long as they are multiplied, and smaller kinds have
// fewer.
func preparedSides(c device.Conv) (rows, cols winogradSide) {
	rows, cols = cutSides(c, forward)
	if min(rows.kind, cols.kind) < 5 {
		return rows, cols
	}
	cost := func(rows, cols winogradSide) int {
		return rows.kind * cols.kind * (c.N*len(rows.starts)*len(cols.starts) + preparedPair)
	}
	if r, q := sideOf(5, 3, c.OH(), c.DH), sideOf(5, 3, c.OW(), c.DW); cost(r, q) < cost(rows, cols) {
		return r, q
	}
	return rows, cols
}

// whole rounds channels up to full vectors.
func whole(channels int) int { return (channels + lanes - 1) / lanes * lanes }

// hwio describes a filter of one group with output channels innermost, inputs width
// channels apart.
func hwio(o, i, h, w, width int) C.dnnl_memory_desc_t {
	dims := [4]C.int64_t{C.int64_t(o), C.int64_t(i), C.int64_t(h), C.int64_t(w)}
	row := dims[1] * C.int64_t(width)
	strides := [4]C.int64_t{1, C.int64_t(width), dims[3] * row, row}
	var md C.dnnl_memory_desc_t
	C.dnnl_memory_desc_init_by_strides(&md, 4, &dims[0], C.dnnl_f32, &strides[0])
	return md
}

// winograd adds the steps of a 3x3 convolution by Winograd's algorithm, in
// chunks of tiles.
//
// A filter in a form is transformed already.
func (k *kernel) winograd(c device.Conv, dir direction, half halves) error {
	var f *filter
	if c.Form == 0 {
		var err error
		if f, err = k.d.filterOf(c.Weight()); err != nil {
			return err
		}
	}
	h, w, in, oh, ow, out, ph, pw := c.H, c.W, c.IC, c.OH(), c.OW(), c.OC, c.PH, c.PW
	if dir == backwardData {
		h, w, in, oh, ow, out, ph, pw = oh, ow, out, h, w, in, 2*c.DH-ph, 2*c.DW-pw
	}
	rows, cols := cutSides(c, dir)
	if f == nil {
		rows, cols = preparedSides(c)
	}
	// Filters and products are as wide as whole vectors; what lies behind the last
	// output channel is computed from whatever the scratch holds there and dropped.
	width := whole(out)
	tiles, planes := c.N*len(rows.starts)*len(cols.starts), rows.kind*cols.kind
	chunks := (planes*tiles*(in+width)*4 + chunkBytes - 1) / chunkBytes
	chunk := (tiles + chunks - 1) / chunks
	plane := func(size int) int64 { return int64(4 * planes * (size + lanes)) }
	n := []int{c.N, h, w, in, oh, ow, out, c.DH, c.DW, ph, pw, len(rows.starts), len(cols.starts), rows.kind, cols.kind, chunk, number(dir == backwardData), number(c.ReLU), number(c.Sum), width, number(half.in), number(half.out), number(f == nil && inPanels(in, width, rows.kind, cols.kind))}
	zeros := k.constant(int64(4 * max(in, out)))
	steps := []place{k.ints(rows.starts), k.ints(cols.starts), zeros}
	// The plain filter and a chunk's planes are never needed together.
	u, plain := argument(1), argument(1)
	start, after := k.scratch, k.scratch
	if f != nil {
		u = k.reserve(plane(in * width))
		start = k.scratch
		plain = k.reserve(int64(4 * 9 * in * width))
		after = k.scratch
	}
	k.scratch = start
	v := k.reserve(plane(chunk * in))
	o := k.reserve(plane(chunk * width))
	k.scratch = max(k.scratch, after)

	if dir == backwardWeights {
		list := append([]place{argument(0), argument(1), plain, u, v, o}, steps...)
		if err := k.loop(C.mv_winograd_weights, list, append(n[:16:16], number(half.in))); err != nil {
			return err
		}
		if err := k.reorder(hwio(c.OC, c.IC, 3, 3, c.OC), plain, f.md, argument(k.in)); err != nil || !c.Bias {
			return err
		}
		return k.columnSums(argument(1), argument(k.in+1), c.N*oh*ow, out, half.in)
	}
	// A data gradient's channels come in whole vectors, so that its filter's rows are
	// c.OC wide.
	rowWidth := width
	if dir == backwardData {
		rowWidth = c.OC
	}
	bias := zeros
	if c.Bias && dir == forward {
		bias = argument(2)
	}
	if f != nil {
		if err := k.reorder(f.md, argument(1), hwio(c.OC, c.IC, 3, 3, rowWidth), plain); err != nil {
			return err
		}
		if err := k.loop(C.mv_winograd_taps, []place{plain, u}, []int{in, width, rows.kind, cols.kind, number(dir == backwardData)}); err != nil {
			return err
		}
	}
	return k.loop(C.mv_winograd, append([]place{argument(0), bias, argument(k.in), u, v, o}, steps...), n)
}

// winogradFor tells whether a convolution is made by Winograd's algorithm, by a rule
// of its shape alone: where that takes less than nine tenths of the direct
// algorithm's time. Times are in units of a tap that does not fall beside the map, for
// one pixel and one pair of input and output channels. The figures are a least squares
// fit (13 % residual) to 378 measurements: 16 to 1024 channels, maps of 7x7 to 64x64
// with dilations of 1 to 36, all three directions, on one thread of an AVX-512 machine.
func winogradFor(c device.Conv, dir direction) bool { return winogradPays(c, dir, 27, 8e5) }

// winogradPreparedFor is winogradFor where filters are transformed beforehand: what is
// left of their share is the time to read them.
func winogradPreparedFor(c device.Conv) bool { return winogradPays(c, forward, preparedPair, 0) }

// preparedPair is the cost of reading a pair of channels' factor in a plane, in those units.
const preparedPair = 12

// winogradCan tells whether Winograd's algorithm computes a convolution.
func winogradCan(c device.Conv, dir direction) bool {
	return c.KH == 3 && c.KW == 3 && c.SH == 1 && c.SW == 1 && c.Groups == 1 && c.IC%lanes == 0 &&
		(c.OC%lanes == 0 || dir == forward && c.OC >= partLanes)
}

// winogradPays is the rule of both, with the costs of a pair of channels in a plane and
// of a plane.
func winogradPays(c device.Conv, dir direction, pair, plane float64) bool {
	if !winogradCan(c, dir) {
		return false
	}
	if c.IC == lanes && c.OC == lanes {
		return false // maps of 32x32: the direct algorithm takes 0.7 to 1.0 of the time, and no scratch
	}
	rows, cols := cutSides(c, dir)
	planes, tiles := float64(rows.kind*cols.kind), float64(c.N*len(rows.starts)*len(cols.starts))
	in, out := float64(c.IC), float64(c.OC)
	cost := float64(whole(c.OC)) / out * (planes*(tiles*(1.05+12*(1/in+1/out))+pair) + plane/(in*out))

	all := float64(9 * c.N * c.OH() * c.OW())
	direct := float64(c.N * usedTaps(c.H, c.OH(), c.DH, c.PH) * usedTaps(c.W, c.OW(), c.DW, c.PW))
	switch {
	case 2*c.DH >= c.H && 2*c.DW >= c.W:
		direct = all // by patches, without AVX-512 forward, too
	case dir == backwardWeights:
		direct = (direct + all) / 2
	}
	return cost < 0.9*direct
}

// usedTaps counts the pairs of an output and one of its three taps that lie on a side
// of in inputs.
func usedTaps(in, out, dilation, pad int) int {
	n := 0
	for tap := range 3 {
		first := tap*dilation - pad // the input of output 0
		n += max(0, min(out, in-first)-max(0, -first))
	}
	return n
}
