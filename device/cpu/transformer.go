package cpu

/*
#include "kernels.h"
*/
import "C"

import "manvision/device"

// attentionRows is how many queries of a head are weighed at a time: what their
// weights take stays in a core's cache up to some thousand tokens.
const attentionRows = 128

func attentionSizes(o device.Attention) []int {
	return []int{o.N, o.T, o.Heads, o.Dim, min(o.T, attentionRows)}
}

// attentionMemory is the threads' own memory: tables of rows·T weights.
func (k *kernel) attentionMemory(o device.Attention, tables int) place {
	return k.reserve(int64(k.d.threads) * int64(C.mv_attention_scratch(C.int64_t(o.T), C.int64_t(min(o.T, attentionRows)), C.int64_t(tables))))
}

func (k *kernel) attention(o device.Attention) error {
	return k.loop(C.mv_attention, append(k.arguments(), k.attentionMemory(o, 1)), attentionSizes(o), o.Scale)
}

func (k *kernel) attentionBackward(o device.Attention) error {
	return k.loop(C.mv_attention_backward, append(k.arguments(), k.attentionMemory(o, 2)), attentionSizes(o), o.Scale)
}

func (k *kernel) layerNormBackward(o device.LayerNorm) error {
	return k.loop(C.mv_layernorm_backward, append(k.arguments(), k.partials(2*o.C)), []int{o.Rows, o.C}, o.Eps)
}
