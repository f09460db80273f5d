package cpu

/*
#include "kernels.h"
*/
import "C"

import (
	"math"
	"unsafe"

	"manvision/device"
)

// rows reserves room for n floats.
func (k *kernel) rows(n int) place { return k.reserve(int64(4 * n)) }

// supCon adds the contrastive loss or its gradient.
func (k *kernel) supCon(fn unsafe.Pointer, o device.SupCon) error {
	list := append(k.arguments(), k.rows(o.Rows*o.Dim), k.rows(o.Rows), k.rows(o.Rows*o.Rows), k.partials(1))
	return k.loop(fn, list, []int{o.Rows, o.Dim}, o.Temperature, o.Weight)
}

// similarity adds the similarity loss or its gradient.
func (k *kernel) similarity(o device.Similarity, backward bool) error {
	each := o.N * o.C
	list := append(k.arguments(), k.rows(each), k.rows(each), k.rows(each), k.rows(o.N))
	classes := float64(o.Classes)
	q := math.Sqrt((classes - 1) / classes)
	q /= q + device.SimilarityEps
	f := []float64{o.Weight, device.SimilarityEps, q * q, -q * q / (classes - 1)}
	n := []int{o.N, o.Cells, o.C}
	if backward {
		return k.loop(C.mv_similarity_backward, append(list, k.rows(each)), n, f...)
	}
	return k.loop(C.mv_similarity, append(list, k.partials(1)), n, f...)
}
