package cpu

/*
#include "engine.h"
#include "kernels.h"
*/
import "C"

import (
	"fmt"
	"math"
	"sync"

	"manvision/device"
)

var _ device.Reducer = (*Device)(nil)

// worthRate is how many products of bf16 numbers a CPU must make in the time of one of
// float32 to be asked for them. CPUs are far from it on either side: some make half as
// many, others twice, with tiles many times as many.
const worthRate = 1.4

// bf16Rate is measured once in a process.
var bf16Rate = sync.OnceValue(func() float64 { return float64(C.mv_bf16_rate()) })

// BF16 implements device.Reducer.
func (d *Device) BF16() (arithmetic string, err error) {
	if !d.products {
		return fmt.Sprintf("float32 (this CPU's bf16 products run at %.1f times float32's rate)", bf16Rate()), nil
	}
	return "bf16", nil
}

// moveBF16 converts between bf16 memory and host values.
func moveBF16(mem []uint16, h []float32, up bool) {
	if !up {
		for i, v := range mem {
			h[i] = math.Float32frombits(uint32(v) << 16)
		}
		return
	}
	for i, v := range h {
		b := math.Float32bits(v)
		if v != v {
			mem[i] = uint16(b>>16 | 0x40)
		} else {
			mem[i] = uint16((b + 0x7fff + b>>16&1) >> 16)
		}
	}
}

// mixed adds the steps of an operation on bf16 activations.
func (k *kernel) mixed(m device.Mixed) error {
	switch o := m.Of.(type) {
	case device.Conv:
		return k.reducedConv(m, o, forward)
	case device.ConvBackwardData:
		return k.reducedConv(m, o.Conv, backwardData)
	case device.ConvBackwardWeights:
		return k.reducedConv(m, o.Conv, backwardWeights)
	case device.BatchNorm:
		return k.batchNorm(o, true)
	case device.BatchNormBackward:
		return k.batchNormBackward(o.BatchNorm, true)
	case device.ReLU:
		return k.loop(C.mv_relu_bf16, k.arguments(), []int{o.Size})
	case device.ReLUBackward:
		return k.loop(C.mv_relu_backward_bf16, k.arguments(), []int{o.Size, number(o.Sum)})
	case device.Add:
		return k.loop(C.mv_add_bf16, k.arguments(), []int{o.Of.Elems(), number(o.ReLU)})
	case device.Fuse:
		return k.loop(C.mv_fuse_bf16, k.arguments(), []int{o.Size})
	case device.FuseBackward:
		return k.fuseBackward(o, true)
	case device.Dropout:
		return k.dropout(o, true)
	case device.MaxPool:
		return k.loop(C.mv_maxpool_bf16, k.arguments(), window(o.Pool))
	case device.MaxPoolBackward:
		return k.loop(C.mv_maxpool_backward_bf16, k.arguments(), window(o.Pool))
	case device.AvgPool:
		return k.loop(C.mv_avgpool_bf16, k.arguments(), append(window(o.Pool), number(o.CountPad)))
	case device.AvgPoolBackward:
		return k.loop(C.mv_avgpool_backward_bf16, k.arguments(), append(window(o.Pool), number(o.CountPad)))
	case device.Resize:
		return k.resize(C.mv_resize_bf16, o)
	case device.ResizeBackward:
		return k.resizeBackward(C.mv_resize_backward_bf16, o.Resize)
	case device.GlobalAvgPool:
		return k.loop(C.mv_gap_bf16, k.arguments(), []int{o.N, o.H * o.W, o.C})
	case device.GlobalAvgPoolBackward:
		return k.loop(C.mv_gap_backward_bf16, k.arguments(), []int{o.N, o.H * o.W, o.C})
	case device.Concat:
		return k.concat(C.mv_columns_bf16, o)
	case device.Slice:
		return k.loop(C.mv_columns_bf16, k.arguments(), []int{o.Outer, o.Size, o.Total, o.From, o.Size, 0, 0})
	case device.SliceBackward:
		return k.loop(C.mv_columns_bf16, k.arguments(), []int{o.Outer, o.Size, o.Size, 0, o.Total, o.From, 1})
	}
	return fmt.Errorf("cpu device: %s has no form on bf16 activations", m.Of.Kind())
}

// cast adds a step that converts n numbers to bf16 or back.
func (k *kernel) cast(narrow bool, x, y place, n int) error {
	if narrow {
		return k.loop(C.mv_cast_bf16, []place{x, y}, []int{n})
	}
	return k.loop(C.mv_cast_wide, []place{x, y}, []int{n})
}
