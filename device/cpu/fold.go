package cpu

/*
#include "kernels.h"
*/
import "C"

import "manvision/device"

// foldNorm scales the filter in plain order, where an output channel's weights lie
// together.
func (k *kernel) foldNorm(o device.FoldNorm) error {
	f, err := k.d.filterOf(o.Filter)
	if err != nil {
		return err
	}
	oc := o.Filter.Shape[0]
	plain, scale := k.reserve(int64(4*o.Filter.Elems())), k.reserve(int64(4*oc))
	if err := k.reorder(f.md, argument(0), f.plain, plain); err != nil {
		return err
	}
	bias := argument(2) // any; not read
	if o.Bias {
		bias = argument(5)
	}
	list := []place{plain, argument(1), argument(2), argument(3), argument(4), bias, argument(k.in + 1), scale}
	if err := k.loop(C.mv_fold, list, []int{oc, o.Filter.Elems() / oc, number(o.Bias)}, o.Eps); err != nil {
		return err
	}
	if o.Form != 0 {
		return k.prepareFilter(o.Filter, o.Form, f.plain, plain, argument(k.in))
	}
	return k.reorder(f.plain, plain, f.md, argument(k.in))
}
