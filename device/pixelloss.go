package device

import (
	"fmt"
	"math"
)

// PixelCrossEntropy is the cross-entropy of a segmentation head: logits
// [N,H,W,C] are interpolated bilinearly with half-pixel centres (Resize's
// Bilinear) to [N,OH,OW,C] and scored there, without the interpolated logits ever
// being stored:
//
//	loss = Weight · mean of −log softmax(logits)[label] over the pixels kept
//
// Pixels labelled IgnoreIndex are not kept. With hard example mining (Threshold
// or MinKept above 0; Shrivastava et al. 2016 and its common use in segmentation)
// only those are whose probability of their own class is at most Threshold or, if
// these are fewer than MinKept, the MinKept with the smallest probability and
// their equals. When no pixel is kept the loss and its gradient are 0 (PyTorch
// gives NaN).
//
// Inputs logits, labels int32 [N,OH,OW], each in [0,C) or IgnoreIndex; outputs
// loss, a scalar, and for the gradient state [2]: Weight divided by the number of
// pixels kept (0 when none is), and the smallest −log probability that is kept (−1
// when all are).
type PixelCrossEntropy struct {
	N, H, W, C  int
	OH, OW      int
	IgnoreIndex int32
	Weight      float64
	Threshold   float64 // a probability
	MinKept     int     // of all N images together
}

// Mined reports whether hard example mining is on.
func (p PixelCrossEntropy) Mined() bool { return p.Threshold > 0 || p.MinKept > 0 }

func (p PixelCrossEntropy) Kind() string { return "pixel_crossentropy" }
func (p PixelCrossEntropy) Inputs() []Desc {
	return []Desc{dense(p.N, p.H, p.W, p.C), {DType: Int32, Shape: []int{p.N, p.OH, p.OW}}}
}
func (p PixelCrossEntropy) Outputs() []Desc   { return []Desc{scalar, dense(2)} }
func (p PixelCrossEntropy) InPlace() [][2]int { return nil }
func (p PixelCrossEntropy) Check() error {
	switch {
	case !weighs(p.Weight):
		return fmt.Errorf("pixel cross-entropy: weight %v must be a number not below 0", p.Weight)
	case !(p.Threshold >= 0 && p.Threshold <= 1):
		return fmt.Errorf("pixel cross-entropy: threshold %v is not a probability", p.Threshold)
	case p.MinKept < 0:
		return fmt.Errorf("pixel cross-entropy: the least number of pixels kept, %d, is negative", p.MinKept)
	}
	return positive(p, p.N, p.H, p.W, p.C, p.OH, p.OW)
}

// weighs reports whether w can be a loss's weight.
func weighs(w float64) bool { return w >= 0 && !math.IsInf(w, 0) }

// PixelCrossEntropyBackward is the gradient of PixelCrossEntropy. Inputs logits,
// labels, state, dloss (scalar); output dlogits.
type PixelCrossEntropyBackward struct{ PixelCrossEntropy }

func (p PixelCrossEntropyBackward) Kind() string { return "pixel_crossentropy.backward" }
func (p PixelCrossEntropyBackward) Inputs() []Desc {
	return append(p.PixelCrossEntropy.Inputs(), dense(2), scalar)
}
func (p PixelCrossEntropyBackward) Outputs() []Desc { return []Desc{dense(p.N, p.H, p.W, p.C)} }

// SigmoidBCE is the binary cross-entropy of σ(logits) against targets in [0,1],
// Weight times its mean over all elements. Inputs logits, target [Size]; output
// loss, a scalar.
type SigmoidBCE struct {
	Size   int
	Weight float64
}

func (s SigmoidBCE) Kind() string      { return "sigmoid_bce" }
func (s SigmoidBCE) Inputs() []Desc    { return []Desc{dense(s.Size), dense(s.Size)} }
func (s SigmoidBCE) Outputs() []Desc   { return []Desc{scalar} }
func (s SigmoidBCE) InPlace() [][2]int { return nil }
func (s SigmoidBCE) Check() error {
	if !weighs(s.Weight) {
		return fmt.Errorf("sigmoid cross-entropy: weight %v must be a number not below 0", s.Weight)
	}
	return positive(s, s.Size)
}

// SigmoidBCEBackward is the gradient of SigmoidBCE with respect to the logits.
// Inputs logits, target, dloss (scalar); output dlogits.
type SigmoidBCEBackward struct{ SigmoidBCE }

func (s SigmoidBCEBackward) Kind() string      { return "sigmoid_bce.backward" }
func (s SigmoidBCEBackward) Inputs() []Desc    { return append(s.SigmoidBCE.Inputs(), scalar) }
func (s SigmoidBCEBackward) Outputs() []Desc   { return []Desc{dense(s.Size)} }
func (s SigmoidBCEBackward) InPlace() [][2]int { return [][2]int{{0, 0}, {0, 1}} }
