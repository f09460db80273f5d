package cpu

/*
#include "engine.h"
#include "kernels.h"
*/
import "C"

import "manvision/device"

// isPointwise tells whether a convolution is a product of matrices.
func isPointwise(c device.Conv) bool {
	return c.KH == 1 && c.KW == 1 && c.SH == 1 && c.SW == 1 && c.PH == 0 && c.PW == 0 && c.Groups == 1
}

// pointwiseWeightsFor tells whether a weight gradient is made by a matrix product, by a
// rule of its shape alone: where many rows meet a small filter that is much longer than
// wide. There it takes 0.74 to 0.97 of the convolution's time (1 and 2 threads of an
// AVX-512 machine, 16 to 1024 channels, 1568 to 25088 rows); elsewhere as long or longer.
func pointwiseWeightsFor(c device.Conv) bool {
	short, long, size := min(c.IC, c.OC), max(c.IC, c.OC), c.IC*c.OC
	return isPointwise(c) && long >= 2*short && long <= 512 && size >= 1<<13 && size <= 1<<16 && c.N*c.H*c.W >= 1<<12
}

// pointwiseWeights adds the steps of such a weight gradient. The product is the faster
// the longer its rows are, so it is [I,O] or [O,I].
func (k *kernel) pointwiseWeights(c device.Conv) error {
	f, err := k.d.filterOf(c.Weight())
	if err != nil {
		return err
	}
	x, dy := argument(0), argument(1)
	size := int64(4 * c.IC * c.OC)
	product := k.reserve(size)
	parts := k.reserve(size * int64(k.d.threads-1))
	rows := c.N * c.H * c.W
	list, n, layout := []place{x, dy, product, parts}, []int{rows, c.IC, c.OC}, hwio(c.OC, c.IC, 1, 1, c.OC)
	if c.IC > c.OC {
		list[0], list[1], n[1], n[2], layout = dy, x, c.OC, c.IC, f.plain
	}
	if err := k.loop(C.mv_pointwise_weights, list, n); err != nil {
		return err
	}
	if err := k.reorder(layout, product, f.md, argument(k.in)); err != nil || !c.Bias {
		return err
	}
	return k.columnSums(dy, argument(k.in+1), rows, c.OC, false)
}
