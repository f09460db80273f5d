package cpu

/*
#include "engine.h"
#include "kernels.h"
*/
import "C"

import "manvision/device"

// pointwiseFor tells whether a convolution is made by a matrix product: of 1x1
// convolutions those whose filter fills a core's cache and that have many pixels: with
// fewer (8x7x7, 2x19x25) oneDNN's convolutions take 0.7 to 0.9 of the product's time on 4
// threads. Weight gradients have a rule of their own.
func pointwiseFor(c device.Conv, dir direction) bool {
	return isPointwise(c) && dir != backwardWeights && c.IC*c.OC >= 1<<19 && c.N*c.H*c.W >= 1024
}

// pointwise adds the steps of such a convolution.
func (k *kernel) pointwise(c device.Conv, dir direction, half halves) error {
	in, out := c.IC, c.OC
	if dir == backwardData {
		in, out = out, in
	}
	w := argument(1)
	if c.Form == 0 {
		f, err := k.d.filterOf(c.Weight())
		if err != nil {
			return err
		}
		w = k.reserve(int64(4 * in * out))
		if err := k.reorder(f.md, argument(1), hwio(c.OC, c.IC, 1, 1, c.OC), w); err != nil {
			return err
		}
	}
	bias := k.constant(int64(4 * out))
	added := c.Bias && dir == forward
	if added {
		bias = argument(2)
	}
	rows := c.N * c.H * c.W
	var x, y place
	if half.in {
		x = k.reserve(int64(4 * rows * in))
	}
	if half.out {
		y = k.reserve(int64(4 * rows * out))
	}
	return k.loop(C.mv_pointwise, []place{argument(0), w, bias, argument(k.in), x, y},
		[]int{rows, in, out, number(dir == backwardData), number(added || c.ReLU), number(c.ReLU), number(c.Sum), number(half.in), number(half.out)})
}
