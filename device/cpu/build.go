package cpu

/*
#include "engine.h"
#include "kernels.h"
*/
import "C"

import (
	"fmt"
	"slices"
	"unsafe"

	"manvision/device"
)

// build adds the steps of an operation.
func (k *kernel) build(op device.Op) error {
	switch o := op.(type) {
	case device.Mixed:
		return k.mixed(o)
	case device.Cast:
		return k.cast(o.To == device.BF16, argument(0), argument(1), o.Size)
	case device.Conv:
		return k.conv(o, forward)
	case device.ConvBackwardData:
		return k.conv(o.Conv, backwardData)
	case device.ConvBackwardWeights:
		return k.conv(o.Conv, backwardWeights)
	case device.BatchNorm:
		return k.batchNorm(o, false)
	case device.BatchNormBackward:
		return k.batchNormBackward(o.BatchNorm, false)
	case device.RunningStats:
		correction := 1.0
		if o.Rows > 1 {
			correction = float64(o.Rows) / float64(o.Rows-1)
		}
		return k.loop(C.mv_running, k.arguments(), []int{o.C}, o.Momentum, correction)
	case device.FoldNorm:
		return k.foldNorm(o)
	case device.PrepareFilter:
		f, err := k.d.filterOf(o.Filter)
		if err != nil {
			return err
		}
		return k.prepareFilter(o.Filter, o.Form, f.md, argument(0), argument(1))
	case device.ReLU:
		return k.loop(C.mv_relu, k.arguments(), []int{o.Size})
	case device.ReLUBackward:
		return k.loop(C.mv_relu_backward, k.arguments(), []int{o.Size, number(o.Sum)})
	case device.MaxPool:
		return k.loop(C.mv_maxpool, k.arguments(), window(o.Pool))
	case device.MaxPoolBackward:
		return k.loop(C.mv_maxpool_backward, k.arguments(), window(o.Pool))
	case device.AvgPool:
		return k.loop(C.mv_avgpool, k.arguments(), append(window(o.Pool), number(o.CountPad)))
	case device.AvgPoolBackward:
		return k.loop(C.mv_avgpool_backward, k.arguments(), append(window(o.Pool), number(o.CountPad)))
	case device.GlobalAvgPool:
		return k.loop(C.mv_gap, k.arguments(), []int{o.N, o.H * o.W, o.C})
	case device.GlobalAvgPoolBackward:
		return k.loop(C.mv_gap_backward, k.arguments(), []int{o.N, o.H * o.W, o.C})
	case device.Add:
		return k.elementwise(C.mv_add, o.Of, []int{number(o.ReLU)})
	case device.Fuse:
		return k.loop(C.mv_fuse, k.arguments(), []int{o.Size})
	case device.FuseBackward:
		return k.fuseBackward(o, false)
	case device.Resize:
		return k.resize(C.mv_resize, o)
	case device.ResizeBackward:
		return k.resizeBackward(C.mv_resize_backward, o.Resize)
	case device.Concat:
		return k.concat(C.mv_columns, o)
	case device.Slice:
		return k.loop(C.mv_columns, k.arguments(), []int{o.Outer, o.Size, o.Total, o.From, o.Size, 0, 0})
	case device.SliceBackward:
		return k.loop(C.mv_columns, k.arguments(), []int{o.Outer, o.Size, o.Size, 0, o.Total, o.From, 1})
	case device.Linear:
		return k.linear(o)
	case device.LinearBackwardData:
		return k.matmul(o.M, o.N, o.K, false, false, argument(0), argument(1), argument(2), nil)
	case device.LinearBackwardWeights:
		return k.linearBackwardWeights(o.Linear)
	case device.Fill:
		return k.fill(o)
	case device.FocalLoss:
		return k.loop(C.mv_focal, append(k.arguments(), k.partials(1)), []int{o.Rows, o.Classes}, o.Alpha, o.Gamma)
	case device.FocalLossBackward:
		return k.loop(C.mv_focal_backward, k.arguments(), []int{o.Rows, o.Classes}, o.Alpha, o.Gamma)
	case device.SmoothL1:
		return k.loop(C.mv_smoothl1, append(k.arguments(), k.partials(1)), []int{o.Rows, o.Dim}, o.Beta)
	case device.SmoothL1Backward:
		return k.loop(C.mv_smoothl1_backward, k.arguments(), []int{o.Rows, o.Dim}, o.Beta)
	case device.CrossEntropy:
		return k.loop(C.mv_crossentropy, append(k.arguments(), k.partials(2)), []int{o.Rows, o.Classes, int(o.IgnoreIndex), k.d.threads})
	case device.CrossEntropyBackward:
		return k.loop(C.mv_crossentropy_backward, k.arguments(), []int{o.Rows, o.Classes, int(o.IgnoreIndex)})
	case device.PixelCrossEntropy:
		return k.pixelLoss(o)
	case device.PixelCrossEntropyBackward:
		return k.pixelLossBackward(o.PixelCrossEntropy)
	case device.SigmoidBCE:
		return k.loop(C.mv_sigmoid_bce, append(k.arguments(), k.partials(1)), []int{o.Size}, o.Weight)
	case device.SigmoidBCEBackward:
		return k.loop(C.mv_sigmoid_bce_backward, k.arguments(), []int{o.Size}, o.Weight)
	case device.SoftCrossEntropy:
		return k.loop(C.mv_soft_crossentropy, append(k.arguments(), k.partials(1)), []int{o.Rows, o.Classes}, o.Weight)
	case device.SoftCrossEntropyBackward:
		return k.loop(C.mv_soft_crossentropy_backward, k.arguments(), []int{o.Rows, o.Classes}, o.Weight)
	case device.SupCon:
		return k.supCon(C.mv_supcon, o)
	case device.SupConBackward:
		return k.supCon(C.mv_supcon_backward, o.SupCon)
	case device.Similarity:
		return k.similarity(o, false)
	case device.SimilarityBackward:
		return k.similarity(o.Similarity, true)
	case device.Dropout:
		return k.dropout(o, false)
	case device.LayerNorm:
		return k.loop(C.mv_layernorm, k.arguments(), []int{o.Rows, o.C}, o.Eps)
	case device.LayerNormBackward:
		return k.layerNormBackward(o.LayerNorm)
	case device.GELU:
		return k.loop(C.mv_gelu, k.arguments(), []int{o.Size})
	case device.GELUBackward:
		return k.loop(C.mv_gelu_backward, k.arguments(), []int{o.Size})
	case device.Attention:
		return k.attention(o)
	case device.AttentionBackward:
		return k.attentionBackward(o.Attention)
	case device.Tokens:
		return k.loop(C.mv_tokens, k.arguments(), []int{o.N, o.Patches, o.D})
	case device.TokensBackward:
		return k.loop(C.mv_tokens_backward, k.arguments(), []int{o.N, o.Patches, o.D})
	case device.Average:
		return k.elementwise(C.mv_average, o.Of, nil, o.Momentum)
	case device.SGD, device.AdamW, device.EMA:
		return k.update(op)
	case device.Together:
		return k.together(o)
	case device.SquaredNorm:
		return k.reduction(C.mv_norm2, o.Of)
	case device.SquaredDistance:
		return k.reduction(C.mv_distance2, o.Of)
	}
	return fmt.Errorf("cpu device: unknown operation %s (%T)", op.Kind(), op)
}

func number(b bool) int {
	if b {
		return 1
	}
	return 0
}

func window(p device.Pool) []int {
	return []int{p.N, p.H, p.W, p.C, p.OH(), p.OW(), p.KH, p.KW, p.SH, p.SW, p.PH, p.PW}
}

// stored returns the number of floats in a tensor's storage, padding included.
func (k *kernel) stored(d device.Desc) (int, error) {
	if d.DType != device.Float {
		return 0, fmt.Errorf("cpu device: %s: works on float tensors, not %v", k.what, d)
	}
	size, err := k.d.Size(d)
	return int(size / 4), err
}

// elementwise adds a loop over whole storages.
func (k *kernel) elementwise(fn unsafe.Pointer, of device.Desc, n []int, f ...float64) error {
	size, err := k.stored(of)
	if err != nil {
		return err
	}
	return k.loop(fn, k.arguments(), append([]int{size}, n...), f...)
}

// reduction adds a loop that sums over a storage (padding is zero).
func (k *kernel) reduction(fn unsafe.Pointer, of device.Desc) error {
	size, err := k.stored(of)
	if err != nil {
		return err
	}
	return k.loop(fn, append(k.arguments(), k.partials(1)), []int{size})
}

// partials is scratch for n double sums of each thread.
func (k *kernel) partials(n int) place { return k.reserve(int64(8 * n * k.d.threads)) }

// batchNorm adds the loop of a batch norm on floats or, if half, on bf16.
func (k *kernel) batchNorm(b device.BatchNorm, half bool) error {
	n := []int{b.N * b.H * b.W, b.C, number(b.ReLU), number(half), number(b.Sum)}
	a := k.arguments()
	fn := unsafe.Pointer(C.mv_bn)
	if b.Sum { // the loops take z last
		a = append(slices.Delete(a, k.in-1, k.in), argument(k.in-1))
	}
	list := append([]place{}, a[:6]...)
	size := k.normScratch(b.C, half)
	if b.Global {
		fn = C.mv_bn_global
		if !half {
			size = int64(4 * b.C)
		}
	}
	return k.loop(fn, append(append(list, k.reserve(size)), a[6:]...), n, b.Eps)
}

func (k *kernel) normScratch(channels int, half bool) int64 {
	if half {
		return int64(C.mv_bn_half_scratch(C.int64_t(channels), C.int64_t(k.d.threads)))
	}
	return int64(C.mv_bn_scratch(C.int64_t(channels), C.int64_t(k.d.threads)))
}

func (k *kernel) batchNormBackward(b device.BatchNorm, half bool) error {
	n := []int{b.N * b.H * b.W, b.C, number(b.ReLU), number(b.Global), number(half)}
	a := k.arguments()
	scratch := k.reserve(k.normScratch(b.C, half))
	list := append(append([]place{}, a[:5]...), a[k.in:]...)
	list = append(list, scratch)
	if b.ReLU {
		list = append(list, a[5])
	}
	return k.loop(C.mv_bn_backward, list, n, b.Eps)
}

// concat copies the inputs' columns by loop fn, one after the other.
func (k *kernel) concat(fn unsafe.Pointer, o device.Concat) error {
	at := 0
	for i, size := range o.Sizes {
		if err := k.loop(fn, []place{argument(i), argument(k.in)}, []int{o.Outer, size, size, 0, o.Total(), at, 0}); err != nil {
			return err
		}
		at += size
	}
	return nil
}

// fill writes a constant; a filter goes through its plain order, so that padding
// stays zero.
func (k *kernel) fill(o device.Fill) error {
	if o.Of.Layout != device.Filter {
		return k.elementwise(C.mv_fill, o.Of, nil, o.Value)
	}
	f, err := k.d.filterOf(o.Of)
	if err != nil {
		return err
	}
	n := o.Of.Elems()
	if f.size == int64(4*n) || o.Value == 0 {
		return k.loop(C.mv_fill, k.arguments(), []int{int(f.size / 4)}, o.Value)
	}
	plain := k.reserve(int64(4 * n))
	if err := k.loop(C.mv_fill, []place{plain}, []int{n}, o.Value); err != nil {
		return err
	}
	return k.reorder(f.plain, plain, f.md, argument(0))
}

func (k *kernel) fuseBackward(o device.FuseBackward, half bool) error {
	return k.loop(C.mv_fuse_backward, append(k.arguments(), k.partials(1)), []int{o.Size, number(half)})
}

func (k *kernel) dropout(o device.Dropout, half bool) error {
	return k.loop(C.mv_dropout, k.arguments(), []int{o.Size, int(o.Threshold()), int(o.Seed), number(half)}, 1/(1-o.P))
}
