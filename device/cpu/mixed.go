package cpu

/*
#include "engine.h"
#include "kernels.h"

static int mv_has_bf16(void) {
#if defined(__x86_64__)
	return __builtin_cpu_supports("avx512bf16");
#else
	return 0;
#endif
}
*/
import "C"

import (
	"errors"
	"math"

	"manvision/device"
)

var _ device.Reducer = (*Device)(nil)

// SupportsBF16 implements device.Reducer. Without the instructions oneDNN emulates
// them, which is slower than float32.
func (d *Device) SupportsBF16() error {
	if C.mv_has_bf16() == 0 {
		return errors.New("this CPU has no bf16 instructions (avx512_bf16)")
	}
	return nil
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
		return k.loop(C.mv_relu_backward_bf16, k.arguments(), []int{o.Size})
	case device.Add:
		return k.loop(C.mv_add_bf16, k.arguments(), []int{o.Of.Elems(), number(o.ReLU)})
	case device.Fuse:
		return k.loop(C.mv_fuse_bf16, k.arguments(), []int{o.Size})
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
	return k.widened(m)
}

// widened computes an operation in float32 on copies of its bf16 arguments.
func (k *kernel) widened(m device.Mixed) error {
	in, out := m.Inputs(), m.Outputs()
	moved := map[C.int]place{}
	for i, d := range append(in[:len(in):len(in)], out...) {
		if d.DType != device.BF16 {
			continue
		}
		p := k.reserve(int64(4 * d.Elems()))
		if i < len(in) {
			if err := k.cast(false, argument(i), p, d.Elems()); err != nil {
				return err
			}
		}
		moved[C.int(i)] = p
	}
	k.moved = moved
	err := k.build(m.Of)
	k.moved = nil
	if err != nil {
		return err
	}
	for i, d := range out {
		if p, ok := moved[C.int(k.in+i)]; ok {
			if err := k.cast(true, p, argument(k.in+i), d.Elems()); err != nil {
				return err
			}
		}
	}
	return nil
}

// cast adds a step that converts n numbers to bf16 or back.
func (k *kernel) cast(narrow bool, x, y place, n int) error {
	if narrow {
		return k.loop(C.mv_cast_bf16, []place{x, y}, []int{n})
	}
	return k.loop(C.mv_cast_wide, []place{x, y}, []int{n})
}
