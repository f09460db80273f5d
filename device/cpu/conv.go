package cpu

/*
#include "engine.h"
#include "kernels.h"
*/
import "C"

import (
	"fmt"
	"strings"

	"manvision/device"
)

type direction uint8

const (
	forward direction = iota
	backwardData
	backwardWeights
)

// convKey identifies a primitive.
type convKey struct {
	conv device.Conv
	dir  direction
}

// method is one way to compute a convolution: oneDNN's algorithm and the layout
// that the activations are brought into. NHWC needs no reorder.
type method struct{ algorithm, layout C.int }

var (
	directNHWC    = method{C.MV_DIRECT, C.MV_NHWC}
	jitNHWC       = method{C.MV_JIT, C.MV_NHWC}
	directBlocked = method{C.MV_DIRECT, C.MV_BLOCKED}
	directAny     = method{C.MV_DIRECT, C.MV_ANY}
)

// convPlan is a primitive descriptor and the layouts it wants.
type convPlan struct {
	pd      C.dnnl_primitive_desc_t
	method  method
	impl    string
	x, w, y C.dnnl_memory_desc_t
}

func (p *convPlan) free() {
	if p.pd != nil {
		C.dnnl_primitive_desc_destroy(p.pd)
		p.pd = nil
	}
}

// forget drops the remembered plans.
func (d *Device) forget() {
	for key, p := range d.convs {
		p.free()
		delete(d.convs, key)
	}
	for key, p := range d.ways {
		p.free()
		delete(d.ways, key)
	}
	for key, p := range d.halves {
		if p != nil {
			p.free()
		}
		delete(d.halves, key)
	}
}

func geometry(c device.Conv) C.mv_conv {
	g := C.mv_conv{
		n: C.int64_t(c.N), ic: C.int64_t(c.IC), oc: C.int64_t(c.OC), h: C.int64_t(c.H), w: C.int64_t(c.W),
		oh: C.int64_t(c.OH()), ow: C.int64_t(c.OW()), kh: C.int64_t(c.KH), kw: C.int64_t(c.KW),
		sh: C.int64_t(c.SH), sw: C.int64_t(c.SW), ph: C.int64_t(c.PH), pw: C.int64_t(c.PW),
		dh: C.int64_t(c.DH), dw: C.int64_t(c.DW), g: C.int64_t(c.Groups),
	}
	if c.Bias {
		g.bias = 1
	}
	if c.ReLU {
		g.relu = 1
	}
	if c.Sum {
		g.sum = 1
	}
	return g
}

// planConv finds the first of the methods that oneDNN has a fast implementation
// for: one of its own code generators if there is any, else patches and a matrix
// product. oneDNN's reference convolutions are hundreds of times slower and never
// taken.
func (d *Device) planConv(c device.Conv, dir direction, methods []method) (*convPlan, error) {
	g := geometry(c)
	for i := range 2 * len(methods) {
		p := &convPlan{method: methods[i%len(methods)]}
		var impl [64]C.char
		if C.mv_conv_pd(d.engine, &g, C.int(dir), p.method.algorithm, p.method.layout, nil, &p.pd, &impl[0]) != 0 {
			continue
		}
		p.impl = C.GoString(&impl[0])
		if i < len(methods) && strings.Contains(p.impl, "gemm:") {
			p.free()
			continue
		}
		p.describe(dir)
		return p, nil
	}
	return nil, fmt.Errorf("cpu device: oneDNN has no fast %s for %+v", [...]string{"convolution", "data gradient", "weight gradient"}[dir], c)
}

// side is a convolution's tensor: as the caller holds it and as the primitive
// wants it.
type side struct {
	id        C.int
	md, want  C.dnnl_memory_desc_t
	at        place
	in        bool
	scratch   place
	reordered bool
}

func (k *kernel) conv(c device.Conv, dir direction) error {
	if dir != forward {
		c.ReLU, c.Sum = false, false
	}
	if c.Form != 0 {
		return k.prepared(c)
	}
	if err := k.startSum(c); err != nil {
		return err
	}
	w, err := k.d.wayOf(c, dir)
	if err != nil {
		return err
	}
	return k.by(w, c, dir)
}

// startSum brings what a convolution is added to into its output.
func (k *kernel) startSum(c device.Conv) error {
	if !c.Sum {
		return nil
	}
	return k.loop(movement(false), []place{argument(k.in - 1), argument(k.in)}, []int{c.Y().Elems()})
}

// convPlanOf returns the remembered plan of a convolution.
func (d *Device) convPlanOf(c device.Conv, dir direction) (*convPlan, error) {
	key := convKey{c, dir}
	if p := d.convs[key]; p != nil {
		return p, nil
	}
	p, err := d.planConv(c, dir, methodsFor(c, dir))
	if err == nil {
		d.convs[key] = p
	}
	return p, err
}

// convBy adds the steps of a planned convolution: what is not in the primitive's
// layout is reordered before or after it, through the scratch. Filters lie as weights
// says, nil meaning as the device stores them.
func (k *kernel) convBy(p *convPlan, c device.Conv, dir direction, weights *C.dnnl_memory_desc_t) error {
	if weights == nil {
		f, err := k.d.filterOf(c.Weight())
		if err != nil {
			return err
		}
		weights = &f.md
	}
	x := side{md: nhwc(c.X(), p.x.data_type), want: p.x}
	w := side{md: *weights, want: p.w}
	y := side{md: nhwc(c.Y(), p.y.data_type), want: p.y}
	var bias *tensor
	biasAt := func(i int, id C.int) {
		if c.Bias {
			bias = &tensor{id: id, at: argument(i)}
			dims := C.int64_t(c.OC)
			C.mv_dense_md(&bias.md, 1, &dims)
		}
	}
	switch dir {
	case forward: // x, w, b -> y
		x.id, x.at, x.in = C.DNNL_ARG_SRC, argument(0), true
		w.id, w.at, w.in = C.DNNL_ARG_WEIGHTS, argument(1), true
		y.id, y.at = C.DNNL_ARG_DST, argument(k.in)
		biasAt(2, C.DNNL_ARG_BIAS)
	case backwardData: // dy, w -> dx
		y.id, y.at, y.in = C.DNNL_ARG_DIFF_DST, argument(0), true
		w.id, w.at, w.in = C.DNNL_ARG_WEIGHTS, argument(1), true
		x.id, x.at = C.DNNL_ARG_DIFF_SRC, argument(k.in)
	case backwardWeights: // x, dy -> dw, db
		x.id, x.at, x.in = C.DNNL_ARG_SRC, argument(0), true
		y.id, y.at, y.in = C.DNNL_ARG_DIFF_DST, argument(1), true
		w.id, w.at = C.DNNL_ARG_DIFF_WEIGHTS, argument(k.in)
		biasAt(k.in+1, C.DNNL_ARG_DIFF_BIAS)
	}
	sides := []*side{&x, &w, &y}
	var args []tensor
	for _, s := range sides {
		at := s.at
		if C.dnnl_memory_desc_equal(&s.md, &s.want) == 0 {
			s.reordered = true
			s.scratch = k.reserve(int64(C.dnnl_memory_desc_get_size(&s.want)))
			at = s.scratch
			if s.in || c.Sum && s == &y {
				if err := k.reorder(s.md, s.at, s.want, at); err != nil {
					return err
				}
			}
		}
		args = append(args, tensor{s.id, s.want, at})
	}
	if bias != nil {
		args = append(args, *bias)
	}
	if err := k.primitive(p.pd, args...); err != nil {
		return err
	}
	for _, s := range sides {
		if s.reordered && !s.in {
			if err := k.reorder(s.want, s.scratch, s.md, s.at); err != nil {
				return err
			}
		}
	}
	return nil
}

// nhwc describes activations as oneDNN sees them: dimensions N, C, H, W with
// channels innermost.
func nhwc(d device.Desc, t C.dnnl_data_type_t) C.dnnl_memory_desc_t {
	dims := [4]C.int64_t{C.int64_t(d.Shape[0]), C.int64_t(d.Shape[3]), C.int64_t(d.Shape[1]), C.int64_t(d.Shape[2])}
	var md C.dnnl_memory_desc_t
	C.dnnl_memory_desc_init_by_tag(&md, 4, &dims[0], t, C.dnnl_nhwc)
	return md
}

// methodsFor lists the ways to try, best first, by a rule of the shape alone.
//
// NHWC without brgemm is the fastest direct way nearly everywhere: blocked
// activations cost two reorders, and the brgemm family wants filters in layouts of
// its own. With wide groups it wins all the same.
func methodsFor(c device.Conv, dir direction) []method {
	list := []method{jitNHWC, directNHWC, directBlocked, directAny}
	if dir == forward && c.Groups > 1 && c.IC/c.Groups >= 32 {
		list[0], list[1] = list[1], list[0]
	}
	return list
}
