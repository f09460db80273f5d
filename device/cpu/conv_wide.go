package cpu

/*
#include "engine.h"
#include "kernels.h"
*/
import "C"

import (
	"unsafe"

	"manvision/device"
)

// halves tells which activations of a convolution are bf16: those read (of a weight
// gradient both) and those written.
type halves struct{ in, out bool }

// wideBytes bounds the floats of one part of a convolution for each thread: few enough
// to stay near the cores, enough for the primitives to run at full speed.
const wideBytes = 3 << 20

// wideConv adds the steps of a convolution on bf16 activations that is computed in
// float32: part by part the activations are widened near the cores, convolved and
// rounded. Where the CPU's products of bf16 numbers are no faster than those of
// float32 this takes 3 to 10 % longer than float32 (ResNet-50) and keeps half the memory.
func (k *kernel) wideConv(m device.Mixed, c device.Conv, dir direction) error {
	half := halves{in: m.In[0], out: dir != backwardWeights && m.Out[0]}
	if c.Sum {
		if err := k.loop(movement(half.out), []place{argument(k.in - 1), argument(k.in)}, []int{c.Y().Elems()}); err != nil {
			return err
		}
	}
	switch {
	case winogradFor(c, dir):
		return k.winograd(c, dir, half)
	case pointwiseFor(c, dir):
		return k.pointwise(c, dir, half)
	}
	part, parts := c, 1
	var used *device.Conv // where not all inputs are used
	if c.KH == 1 && c.KW == 1 && c.PH == 0 && c.PW == 0 {
		// Outputs of one row, images on top of each other, from the inputs they use.
		part.N, part.H, part.W, part.SH, part.SW = 1, c.N*c.OH(), c.OW(), 1, 1
		parts = partsOf(part.H, k.partsWanted(part))
		part.H /= parts
		if c.SH > 1 || c.SW > 1 {
			used = &c
		}
	} else {
		parts = partsOf(c.N, k.partsWanted(c))
		part.N /= parts
	}
	p, err := k.d.convPlanOf(part, dir)
	if err != nil {
		return err
	}
	x := activation{n: part.X().Elems(), half: half.in, arg: 0, used: used, rows: part.H}
	y := activation{n: part.Y().Elems(), half: half.out, arg: k.in}
	switch dir {
	case backwardData:
		x, y = activation{n: y.n, half: half.in, arg: 0}, activation{n: x.n, half: half.out, arg: k.in, used: used, rows: part.H}
	case backwardWeights:
		y.half, y.arg = half.in, 1
		return k.wideGradients(p, part, parts, x, y)
	}
	w, err := k.filterFor(p, part)
	if err != nil {
		return err
	}
	x.room(k)
	y.room(k)
	start, end := k.scratch, k.scratch
	defer func() { k.moved, k.scratch = nil, end }()
	for i := range parts {
		k.moved, k.scratch = nil, start
		if err := x.widen(k, i); err != nil {
			return err
		}
		if c.Sum {
			if err := y.widen(k, i); err != nil {
				return err
			}
		}
		k.moved = map[C.int]place{0: x.at(i), 1: w, C.int(y.arg): y.at(i)}
		if err := k.convBy(p, part, dir, &p.w); err != nil {
			return err
		}
		k.moved = nil
		if err := y.round(k, i); err != nil {
			return err
		}
		end = max(end, k.scratch)
	}
	return nil
}

// wideGradients adds the steps of a weight gradient, the sum over the parts.
func (k *kernel) wideGradients(p *convPlan, part device.Conv, parts int, x, y activation) error {
	f, err := k.d.filterOf(part.Weight())
	if err != nil {
		return err
	}
	stored := C.dnnl_memory_desc_equal(&f.md, &p.w) != 0
	size := int64(C.dnnl_memory_desc_get_size(&p.w))
	// What the parts give is summed where it belongs, if that has the right layout.
	sums, bias := argument(k.in), argument(k.in+1)
	if !stored {
		sums = k.reserve(size)
	}
	var more, moreBias place
	if parts > 1 {
		more, moreBias = k.reserve(size), k.reserve(int64(4*part.OC))
	}
	x.room(k)
	y.room(k)
	start, end := k.scratch, k.scratch
	defer func() { k.moved, k.scratch = nil, end }()
	for i := range parts {
		k.moved, k.scratch = nil, start
		if err := x.widen(k, i); err != nil {
			return err
		}
		if err := y.widen(k, i); err != nil {
			return err
		}
		w, b := sums, bias
		if i > 0 {
			w, b = more, moreBias
		}
		k.moved = map[C.int]place{0: x.at(i), 1: y.at(i), C.int(k.in): w}
		if part.Bias {
			k.moved[C.int(k.in+1)] = b
		}
		if err := k.convBy(p, part, backwardWeights, &p.w); err != nil {
			return err
		}
		k.moved = nil
		if i > 0 {
			if err := k.loop(C.mv_add, []place{sums, more, sums}, []int{int(size / 4), 0}); err != nil {
				return err
			}
			if part.Bias {
				if err := k.loop(C.mv_add, []place{bias, moreBias, bias}, []int{part.OC, 0}); err != nil {
					return err
				}
			}
		}
		end = max(end, k.scratch)
	}
	if !stored {
		k.scratch = start
		if err := k.reorder(p.w, sums, f.md, argument(k.in)); err != nil {
			return err
		}
		end = max(end, k.scratch)
	}
	return nil
}

// filterFor returns where the filter lies in the layout that a planned primitive
// wants, after a step that brings it there if need be.
func (k *kernel) filterFor(p *convPlan, c device.Conv) (place, error) {
	f, err := k.d.filterOf(c.Weight())
	if err != nil || C.dnnl_memory_desc_equal(&f.md, &p.w) != 0 {
		return argument(1), err
	}
	w := k.reserve(int64(C.dnnl_memory_desc_get_size(&p.w)))
	return w, k.reorder(f.md, argument(1), p.w, w)
}

// partsWanted returns how many parts of a convolution stay near the cores.
func (k *kernel) partsWanted(c device.Conv) int {
	floats := 4 * (c.X().Elems() + c.Y().Elems())
	limit := k.d.wide * k.d.threads
	return (floats + limit - 1) / limit
}

// partsOf returns a number of equal parts of n things: the least that is at least
// wanted, unless that is more than twice as many, then the greatest below.
func partsOf(n, wanted int) int {
	for p := wanted; p <= min(n, 2*wanted); p++ {
		if n%p == 0 {
			return p
		}
	}
	for p := min(n, wanted); ; p-- {
		if n%p == 0 {
			return p
		}
	}
}

// activation is one of a convolution's activations, n numbers in each part.
type activation struct {
	n       int
	half    bool
	arg     int
	scratch place
	// used is the convolution of stride above 1 and a single tap of which only some
	// inputs are used, nil where all are; a part has those of rows rows of outputs.
	used *device.Conv
	rows int
}

// room reserves scratch for the floats of a part.
func (a *activation) room(k *kernel) {
	if a.half {
		a.scratch = k.reserve(int64(4 * a.n))
	}
}

// given is where the caller holds part i.
func (a *activation) given(i int) place {
	p := argument(a.arg)
	size := 4
	if a.half {
		size = 2
	}
	p.off = C.int64_t(i * a.n * size)
	return p
}

// at is where the floats of part i lie.
func (a *activation) at(i int) place {
	if a.half {
		return a.scratch
	}
	return a.given(i)
}

// grid is what the loops on used inputs want to know of part i.
func (a *activation) grid(i int) []int {
	c := a.used
	return []int{i * a.rows, a.rows, c.OH(), c.OW(), c.IC, c.H, c.W, c.SH, c.SW}
}

// widen adds the step that makes the floats of part i.
func (a *activation) widen(k *kernel, i int) error {
	switch {
	case !a.half:
		return nil
	case a.used != nil:
		return k.loop(C.mv_widen_used, []place{argument(a.arg), a.scratch}, a.grid(i))
	}
	return k.cast(false, a.given(i), a.scratch, a.n)
}

// round adds the step that rounds the floats of part i; inputs that are not used get
// the gradient 0.
func (a *activation) round(k *kernel, i int) error {
	switch {
	case !a.half:
		return nil
	case a.used != nil:
		return k.loop(C.mv_round_used, []place{a.scratch, argument(a.arg)}, a.grid(i))
	}
	return k.cast(true, a.scratch, a.given(i), a.n)
}

// movement is the loop that moves numbers.
func movement(half bool) unsafe.Pointer {
	if half {
		return C.mv_move_bf16
	}
	return C.mv_move
}

// columnSums adds the step that sums the columns of a matrix of floats or bf16.
func (k *kernel) columnSums(x, sums place, rows, columns int, half bool) error {
	fn := C.mv_column_sums
	if half {
		fn = C.mv_column_sums_bf16
	}
	return k.loop(fn, []place{x, sums}, []int{rows, columns})
}
