package devicetest

import (
	"math"

	"manvision/device"
)

// Tolerance bounds the error of every element of an output by
// (Flat + Root·√K) times the output's largest magnitude, K being the number of
// terms summed in an element (for a convolution channels·KH·KW; for its weight
// gradient the output pixels). Rounding errors of a sum grow with √K while they
// are independent.
type Tolerance struct{ Flat, Root float64 }

// Tolerances are the accepted errors by kind of operation.
type Tolerances struct {
	// Kinds has an entry for each kind; a kind without one must be exact.
	Kinds map[string]Tolerance
	// MayRefuse reports operations that the device's Prepare may answer with an
	// error; nil means none.
	MayRefuse func(device.Op) bool
}

func (t Tolerances) limit(c Case) float64 {
	if c.Exact {
		return 0
	}
	k := t.Kinds[c.Op.Kind()]
	return k.Flat + k.Root*math.Sqrt(float64(c.Terms))
}

// Exact accepts no difference at all: what the reference must reach against
// itself.
func Exact() Tolerances { return Tolerances{} }

// Float32 is for devices that compute in float32 (unit roundoff u = 6e-8).
//
// Operations that only move, select or clip numbers have no entry: they are exact.
func Float32() Tolerances {
	// Convolutions: 4e-6 covers Winograd, whose transforms lose one to one and a
	// half digits (direct sums stay within 1e-6); 2e-8·√K the sum. A bfloat16 or
	// TF32 product (u = 4e-3, 5e-4) fails by far.
	conv := Tolerance{4e-6, 2e-8}
	// Elementwise: a handful of roundings.
	few := Tolerance{5e-7, 0}
	// Means and sums of numbers of one sign, losses: the functions' own error
	// (exp, log to a few u) and a sum that need not be compensated.
	sum := Tolerance{2e-6, 1e-7}
	return Tolerances{Kinds: map[string]Tolerance{
		"conv":                    conv,
		"conv.backward_data":      conv,
		"conv.backward_weights":   {4e-6, 5e-8},
		"linear":                  conv,
		"linear.backward_data":    conv,
		"linear.backward_weights": conv,
		// x−μ cancels digits when the mean is large: the cases go up to 30 σ,
		// 30·u = 2e-6.
		"bn":                    {3e-6, 0},
		"bn.backward":           {4e-6, 5e-8},
		"bn.running":            few,
		"bn.fold":               few,
		"add":                   few,
		"relu.backward":         few, // with a sum; without one exact
		"fuse":                  few,
		"fuse.backward":         sum,
		"avgpool":               few,
		"avgpool.backward":      few,
		"maxpool.backward":      few,
		"gap":                   sum,
		"gap.backward":          few,
		"resize":                {2e-6, 0}, // source positions in float32
		"resize.backward":       {4e-6, 1e-7},
		"focal":                 sum,
		"focal.backward":        {4e-6, 0},
		"smoothl1":              sum,
		"smoothl1.backward":     few,
		"crossentropy":          sum,
		"crossentropy.backward": {4e-6, 0},
		// Interpolated logits carry the rounding of positions and weights.
		"pixel_crossentropy":          sum,
		"pixel_crossentropy.backward": {8e-6, 1e-7},
		"sigmoid_bce":                 sum,
		"sigmoid_bce.backward":        {1e-6, 0},
		"soft_crossentropy":           sum,
		"soft_crossentropy.backward":  {4e-6, 0},
		// Cosines are divided by the temperature before exp, and near each other.
		"supcon":              {1e-5, 1e-7},
		"supcon.backward":     {2e-5, 1e-6},
		"similarity":          {1e-5, 1e-7},
		"similarity.backward": {2e-5, 1e-6},
		"dropout":             few,
		"layernorm":           {3e-6, 0}, // as bn
		"layernorm.backward":  {4e-6, 5e-8},
		"gelu":                {1e-6, 0},
		"gelu.backward":       {1e-6, 0},
		"attention":           conv,
		"attention.backward":  {8e-6, 5e-8},
		"tokens":              few,
		"tokens.backward":     few,
		"average":             few,
		"sgd":                 {1e-6, 0},
		"adamw":               {2e-6, 0},
		"ema":                 few,
		"norm2":               sum,
		"together":            sum,
		"distance2":           sum,
		"fill":                {1e-7, 0}, // the value itself is rounded
	}}
}
