package device

import "fmt"

// FocalLoss is the sigmoid focal loss of RetinaNet (Lin et al. 2017, eq. 5),
// summed over all non-ignored rows and classes and divided by norm:
//
//	p = σ(logit); t = 1 for the row's class, else 0
//	loss = Σ α_t·(1−p_t)^γ·(−log p_t) / norm
//
// Inputs logits [Rows,Classes], labels int32 [Rows] (0..Classes-1 a class,
// Background, or Ignore), norm [1] (greater than 0); output loss, a scalar.
type FocalLoss struct {
	Rows, Classes int
	Alpha, Gamma  float64
}

// Labels that are not classes.
const (
	Background = -1 // a negative anchor
	Ignore     = -2 // counts in no loss
)

func (f FocalLoss) Kind() string { return "focal" }
func (f FocalLoss) Inputs() []Desc {
	return []Desc{dense(f.Rows, f.Classes), labels(f.Rows), dense(1)}
}
func (f FocalLoss) Outputs() []Desc   { return []Desc{scalar} }
func (f FocalLoss) InPlace() [][2]int { return nil }
func (f FocalLoss) Check() error {
	if f.Alpha < 0 || f.Alpha > 1 || f.Gamma < 0 {
		return fmt.Errorf("focal loss: alpha %v must be in [0,1] and gamma %v not negative", f.Alpha, f.Gamma)
	}
	return positive(f, f.Rows, f.Classes)
}

// FocalLossBackward is the gradient of FocalLoss. Inputs logits, labels, norm,
// dloss (scalar); output dlogits.
type FocalLossBackward struct{ FocalLoss }

func (f FocalLossBackward) Kind() string      { return "focal.backward" }
func (f FocalLossBackward) Inputs() []Desc    { return append(f.FocalLoss.Inputs(), scalar) }
func (f FocalLossBackward) Outputs() []Desc   { return []Desc{dense(f.Rows, f.Classes)} }
func (f FocalLossBackward) InPlace() [][2]int { return [][2]int{{0, 0}} }

// SmoothL1 is the Huber-like box loss: with d = |pred−target|, d²/(2·Beta) below
// Beta, else d − Beta/2 (Beta 0 is L1), summed over rows whose label is a class
// (>= 0) and divided by norm. Inputs pred [Rows,Dim], target [Rows,Dim], labels
// int32 [Rows], norm [1]; output loss, a scalar.
type SmoothL1 struct {
	Rows, Dim int
	Beta      float64
}

func (s SmoothL1) Kind() string { return "smoothl1" }
func (s SmoothL1) Inputs() []Desc {
	return []Desc{dense(s.Rows, s.Dim), dense(s.Rows, s.Dim), labels(s.Rows), dense(1)}
}
func (s SmoothL1) Outputs() []Desc   { return []Desc{scalar} }
func (s SmoothL1) InPlace() [][2]int { return nil }
func (s SmoothL1) Check() error {
	if s.Beta < 0 {
		return fmt.Errorf("smooth-L1: beta %v is negative", s.Beta)
	}
	return positive(s, s.Rows, s.Dim)
}

// SmoothL1Backward is the gradient of SmoothL1 with respect to pred. Inputs pred,
// target, labels, norm, dloss (scalar); output dpred.
type SmoothL1Backward struct{ SmoothL1 }

func (s SmoothL1Backward) Kind() string      { return "smoothl1.backward" }
func (s SmoothL1Backward) Inputs() []Desc    { return append(s.SmoothL1.Inputs(), scalar) }
func (s SmoothL1Backward) Outputs() []Desc   { return []Desc{dense(s.Rows, s.Dim)} }
func (s SmoothL1Backward) InPlace() [][2]int { return [][2]int{{0, 0}} }

// CrossEntropy is the mean over rows whose label is not IgnoreIndex of −log
// softmax(logits)[label]; 0 when every row is ignored. Inputs logits
// [Rows,Classes], labels int32 [Rows] in [0,Classes) or IgnoreIndex; output loss,
// a scalar.
type CrossEntropy struct {
	Rows, Classes int
	IgnoreIndex   int32
}

func (c CrossEntropy) Kind() string      { return "crossentropy" }
func (c CrossEntropy) Inputs() []Desc    { return []Desc{dense(c.Rows, c.Classes), labels(c.Rows)} }
func (c CrossEntropy) Outputs() []Desc   { return []Desc{scalar} }
func (c CrossEntropy) InPlace() [][2]int { return nil }
func (c CrossEntropy) Check() error      { return positive(c, c.Rows, c.Classes) }

// CrossEntropyBackward is the gradient of CrossEntropy. Inputs logits, labels,
// dloss (scalar); output dlogits.
type CrossEntropyBackward struct{ CrossEntropy }

func (c CrossEntropyBackward) Kind() string      { return "crossentropy.backward" }
func (c CrossEntropyBackward) Inputs() []Desc    { return append(c.CrossEntropy.Inputs(), scalar) }
func (c CrossEntropyBackward) Outputs() []Desc   { return []Desc{dense(c.Rows, c.Classes)} }
func (c CrossEntropyBackward) InPlace() [][2]int { return [][2]int{{0, 0}} }
