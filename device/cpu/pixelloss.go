package cpu

/*
#include "kernels.h"
*/
import "C"

import (
	"math"

	"manvision/device"
)

// pixelTaps lists what the loops read of the interpolation: row indices and
// weights, then left and right column indices, left and right column weights.
func (k *kernel) pixelTaps(o device.PixelCrossEntropy) []place {
	y, x := tapsOf(o.H, o.OH, device.Bilinear), tapsOf(o.W, o.OW, device.Bilinear)
	var index [2][]int32
	var weight [2][]float32
	for i := range x.index {
		index[i%2], weight[i%2] = append(index[i%2], x.index[i]), append(weight[i%2], x.weight[i])
	}
	return []place{k.ints(y.index), k.floats(y.weight), k.ints(index[0]), k.ints(index[1]), k.floats(weight[0]), k.floats(weight[1])}
}

// pixelMemory is the threads' own memory.
func (k *kernel) pixelMemory(o device.PixelCrossEntropy) place {
	each := C.mv_pixel_scratch(C.int64_t(o.C), C.int64_t(o.OW))
	return k.reserve(int64(each) * int64(k.d.threads))
}

func pixelSizes(o device.PixelCrossEntropy) []int {
	return []int{o.N, o.H, o.W, o.C, o.OH, o.OW, int(o.IgnoreIndex)}
}

func (k *kernel) pixelLoss(o device.PixelCrossEntropy) error {
	losses := 1
	if o.Mined() {
		losses = o.N * o.OH * o.OW
	}
	list := append(k.arguments(), k.partials(2), k.pixelMemory(o), k.reserve(int64(4*losses)))
	n := append(pixelSizes(o), k.d.threads, number(o.Mined()), o.MinKept)
	return k.loop(C.mv_pixel_loss, append(list, k.pixelTaps(o)...), n, o.Weight, -math.Log(o.Threshold))
}

func (k *kernel) pixelLossBackward(o device.PixelCrossEntropy) error {
	r := tapsOf(o.W, o.OW, device.Bilinear).readers(o.W)
	list := append(append(k.arguments(), k.pixelMemory(o)), k.pixelTaps(o)...)
	list = append(list, k.ints(r.start), k.ints(r.index), k.floats(r.weight))
	return k.loop(C.mv_pixel_loss_backward, list, pixelSizes(o))
}
