package cpu

/*
#include "engine.h"
#include "kernels.h"
*/
import "C"

import (
	"strings"

	"manvision/device"
)

// reducedKey identifies a primitive on bf16 activations.
type reducedKey struct {
	conv device.Conv
	dir  direction
	wide bool
}

// reduced plans a convolution on bf16 activations: products of bf16 numbers, sums in
// float32. It returns nil where float32 is faster, or where oneDNN has no fast or no
// correct one. A wide one writes floats; weight gradients always are floats.
func (d *Device) reduced(c device.Conv, dir direction, wide bool) *convPlan {
	if !d.products {
		return nil
	}
	key := reducedKey{c, dir, wide}
	if p, ok := d.halves[key]; ok {
		return p
	}
	g := geometry(c)
	g.bf16, g.wide = 1, C.int(number(wide))
	var found *convPlan
	// With channels that are no multiple of the vector oneDNN 2.6 computes wrong data
	// gradients of 1x1 convolutions and, with strides, writes where it must not.
	methods := []method{directNHWC, jitNHWC}
	if c.IC%lanes != 0 || c.OC%lanes != 0 {
		methods = nil
	}
	for _, m := range methods {
		p := &convPlan{method: m}
		var impl [64]C.char
		if C.mv_conv_pd(d.engine, &g, C.int(dir), m.algorithm, m.layout, nil, &p.pd, &impl[0]) != 0 {
			continue
		}
		p.impl = C.GoString(&impl[0])
		if strings.Contains(p.impl, "gemm:") {
			p.free()
			continue
		}
		p.describe(dir)
		found = p
		break
	}
	d.halves[key] = found
	return found
}

// describe notes the layouts that a planned primitive wants.
func (p *convPlan) describe(dir direction) {
	xq, wq, yq := C.int(C.dnnl_query_src_md), C.int(C.dnnl_query_weights_md), C.int(C.dnnl_query_dst_md)
	switch dir {
	case backwardData:
		xq, yq = C.dnnl_query_diff_src_md, C.dnnl_query_diff_dst_md
	case backwardWeights:
		wq, yq = C.dnnl_query_diff_weights_md, C.dnnl_query_diff_dst_md
	}
	C.mv_query_md(p.pd, xq, 0, &p.x)
	C.mv_query_md(p.pd, wq, 0, &p.w)
	C.mv_query_md(p.pd, yq, 0, &p.y)
}

// reducedConv adds the steps of a convolution on bf16 activations. Where it is
// computed in bf16 its filter is rounded on the way into the primitive's layout.
func (k *kernel) reducedConv(m device.Mixed, c device.Conv, dir direction) error {
	if dir != forward {
		c.ReLU, c.Sum = false, false
	}
	wide := dir == forward && !m.Out[0]
	p := k.d.reduced(c, dir, wide)
	if p == nil {
		return k.wideConv(m, c, dir)
	}
	if c.Sum {
		if err := k.loop(movement(!wide), []place{argument(k.in - 1), argument(k.in)}, []int{c.Y().Elems()}); err != nil {
			return err
		}
	}
	return k.convBy(p, c, dir, nil)
}
