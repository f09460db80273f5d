package cpu

/*
#include "engine.h"
#include "kernels.h"
*/
import "C"

import (
	"fmt"

	"manvision/device"
)

var _ device.Preparer = (*Device)(nil)

// form is a way in which convolutions read a filter that is not its storage: in the
// layout md, or transformed for Winograd's algorithm.
type form struct {
	filter string // the description of the plain filter
	kr, kc int    // kinds of Winograd's transforms; 0: none
	md     C.dnnl_memory_desc_t
	size   int64
}

// FilterForm implements device.Preparer.
func (d *Device) FilterForm(c device.Conv) (int, error) {
	c.Form = 0
	if err := c.Check(); err != nil {
		return 0, fmt.Errorf("cpu device: %w", err)
	}
	n := 0
	err := d.here(func() error {
		var err error
		_, n, err = d.preparedPlan(c)
		return err
	})
	return n, err
}

// preparedPlan chooses how to make a forward convolution whose filter seldom changes, by
// a rule of its shape alone: by oneDNN as planned or, the plan being nil, by Winograd's
// algorithm or with panels, as its form says; and the filter's form, 0 meaning the plain
// filter.
func (d *Device) preparedPlan(c device.Conv) (*convPlan, int, error) {
	c.Form, c.Bias, c.ReLU, c.Sum = 0, true, false, false
	weight := c.Weight()
	f, err := d.filterOf(weight)
	if err != nil {
		return nil, 0, err
	}
	if winogradPreparedFor(c) {
		rows, cols := preparedSides(c)
		return nil, d.formOf(form{filter: weight.String(), kr: rows.kind, kc: cols.kind,
			size: int64(4 * rows.kind * cols.kind * (c.IC*whole(c.OC) + lanes))}), nil
	}
	if panelsFor(c) {
		md := panelsOf(weight)
		return nil, d.formOf(form{filter: weight.String(), md: md, size: int64(4 * weight.Elems())}), nil
	}
	p, err := d.freePlanOf(c)
	if err != nil || C.dnnl_memory_desc_equal(&p.w, &f.md) != 0 {
		return p, 0, err
	}
	return p, d.formOf(form{filter: weight.String(), md: p.w, size: int64(C.dnnl_memory_desc_get_size(&p.w))}), nil
}

// formOf returns the number of a form.
func (d *Device) formOf(f form) int {
	for i, g := range d.forms {
		if g.filter == f.filter && g.kr == f.kr && g.kc == f.kc && C.dnnl_memory_desc_equal(&g.md, &f.md) != 0 {
			return i + 1
		}
	}
	d.forms = append(d.forms, f)
	return len(d.forms)
}

// form returns a form of a filter.
func (d *Device) form(desc device.Desc, n int) (*form, error) {
	desc.Layout, desc.Form = device.Filter, 0
	if n < 1 || n > len(d.forms) || d.forms[n-1].filter != desc.String() {
		return nil, fmt.Errorf("cpu device: %v has no form %d", desc, n)
	}
	return &d.forms[n-1], nil
}

// prepared adds the steps of a convolution whose filter is prepared.
func (k *kernel) prepared(c device.Conv) error {
	p, n, err := k.d.preparedPlan(c)
	if err != nil {
		return err
	}
	if n != c.Form {
		return fmt.Errorf("cpu device: %s: the filter is prepared in form %d, this convolution reads form %d", k.what, c.Form, n)
	}
	f := &k.d.forms[n-1]
	if p == nil && f.kr == 0 {
		return k.panels(c)
	}
	if err := k.startSum(c); err != nil {
		return err
	}
	if p == nil {
		return k.winograd(c, forward, halves{})
	}
	if p, err = k.d.freePlanOf(c); err != nil {
		return err
	}
	return k.convBy(p, c, forward, &f.md)
}

// freePlanOf returns the remembered plan of a forward convolution whose filter may lie
// as the primitive likes: in one group the brgemm family is the fastest then.
func (d *Device) freePlanOf(c device.Conv) (*convPlan, error) {
	c.Form = -1 // tells it from the plan for stored filters
	key := convKey{c, forward}
	if p := d.convs[key]; p != nil {
		return p, nil
	}
	methods := []method{directNHWC, directBlocked, directAny}
	if c.Groups > 1 {
		methods = methodsFor(c, forward)
	}
	p, err := d.planConv(c, forward, methods)
	if err == nil {
		d.convs[key] = p
	}
	return p, err
}

// prepareFilter adds the steps that bring a filter, lying at from as md says, into a
// form at to.
func (k *kernel) prepareFilter(desc device.Desc, n int, md C.dnnl_memory_desc_t, from, to place) error {
	f, err := k.d.form(desc, n)
	if err != nil {
		return err
	}
	if f.kr == 0 {
		return k.reorder(md, from, f.md, to)
	}
	o, i := desc.Shape[0], desc.Shape[1]
	width := whole(o)
	plain := k.reserve(int64(4 * 9 * i * width))
	order := hwio(o, i, 3, 3, width)
	if inPanels(i, width, f.kr, f.kc) {
		order = hwPanels(desc)
	}
	if err := k.reorder(md, from, order, plain); err != nil {
		return err
	}
	return k.loop(C.mv_winograd_taps, []place{plain, to}, []int{i, width, f.kr, f.kc, 0})
}
