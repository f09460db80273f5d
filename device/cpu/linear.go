package cpu

/*
#include "engine.h"
#include "kernels.h"
*/
import "C"

import "manvision/device"

// matmul adds y[m,n] = a[m,k]·b[k,n] (+ bias), a and b as they lie in memory or
// transposed.
func (k *kernel) matmul(m, inner, n int, ta, tb bool, a, b, y place, bias *place) error {
	var pd C.dnnl_primitive_desc_t
	status := C.mv_matmul_pd(k.d.engine, C.int64_t(m), C.int64_t(inner), C.int64_t(n), C.int(number(ta)), C.int(number(tb)), C.int(number(bias != nil)), &pd)
	if err := k.check(status); err != nil {
		return err
	}
	defer C.dnnl_primitive_desc_destroy(pd)
	args := []tensor{{id: C.DNNL_ARG_SRC, at: a}, {id: C.DNNL_ARG_WEIGHTS, at: b}, {id: C.DNNL_ARG_DST, at: y}}
	C.mv_query_md(pd, C.dnnl_query_src_md, 0, &args[0].md)
	C.mv_query_md(pd, C.dnnl_query_weights_md, 0, &args[1].md)
	C.mv_query_md(pd, C.dnnl_query_dst_md, 0, &args[2].md)
	if bias != nil {
		t := tensor{id: C.DNNL_ARG_BIAS, at: *bias}
		dims := [2]C.int64_t{1, C.int64_t(n)}
		C.mv_dense_md(&t.md, 2, &dims[0])
		args = append(args, t)
	}
	return k.primitive(pd, args...)
}

// linear takes one row for itself: of a product with a matrix oneDNN's matrix product reads
// the matrix at two fifths of the rate.
func (k *kernel) linear(l device.Linear) error {
	if l.M == 1 {
		bias := argument(2)
		if !l.Bias {
			bias = k.constant(int64(4 * l.N))
		}
		return k.loop(C.mv_linear_row, []place{argument(0), argument(1), bias, argument(k.in)}, []int{l.K, l.N})
	}
	var bias *place
	if l.Bias {
		b := argument(2)
		bias = &b
	}
	return k.matmul(l.M, l.K, l.N, false, true, argument(0), argument(1), argument(k.in), bias)
}

func (k *kernel) linearBackwardWeights(l device.Linear) error {
	if err := k.matmul(l.N, l.M, l.K, true, false, argument(1), argument(0), argument(2), nil); err != nil || !l.Bias {
		return err
	}
	return k.loop(C.mv_column_sums, []place{argument(1), argument(3)}, []int{l.M, l.N})
}
