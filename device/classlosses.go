package device

import "fmt"

// SoftCrossEntropy is the cross-entropy of softmax(logits) against a distribution a
// row, which label smoothing and mixup make of labels: Weight times the mean over
// rows of −Σ target·log softmax(logits). Inputs logits, target [Rows,Classes]; output
// loss, a scalar.
type SoftCrossEntropy struct {
	Rows, Classes int
	Weight        float64
}

func (s SoftCrossEntropy) Kind() string { return "soft_crossentropy" }
func (s SoftCrossEntropy) Inputs() []Desc {
	return []Desc{dense(s.Rows, s.Classes), dense(s.Rows, s.Classes)}
}
func (s SoftCrossEntropy) Outputs() []Desc   { return []Desc{scalar} }
func (s SoftCrossEntropy) InPlace() [][2]int { return nil }
func (s SoftCrossEntropy) Check() error {
	if !weighs(s.Weight) {
		return fmt.Errorf("soft cross-entropy: weight %v must be a number not below 0", s.Weight)
	}
	return positive(s, s.Rows, s.Classes)
}

// SoftCrossEntropyBackward is the gradient of SoftCrossEntropy with respect to the
// logits. Inputs logits, target, dloss (scalar); output dlogits.
type SoftCrossEntropyBackward struct{ SoftCrossEntropy }

func (s SoftCrossEntropyBackward) Kind() string { return "soft_crossentropy.backward" }
func (s SoftCrossEntropyBackward) Inputs() []Desc {
	return append(s.SoftCrossEntropy.Inputs(), scalar)
}
func (s SoftCrossEntropyBackward) Outputs() []Desc   { return []Desc{dense(s.Rows, s.Classes)} }
func (s SoftCrossEntropyBackward) InPlace() [][2]int { return [][2]int{{0, 0}, {0, 1}} }

// SupCon is the supervised contrastive loss of Khosla et al. 2020 (arXiv
// 2004.11362, eq. 2) with one view of every image. With f the rows of x, each divided
// by its length, z_ij = f_i·f_j / Temperature and P_i the other rows of i's label,
//
//	l_i = log Σ_{j≠i} exp z_ij − mean_{p∈P_i} z_ip, or 0 where P_i is empty
//
// and the loss is Weight times the mean of l over all rows. Inputs x [Rows,Dim],
// labels int32 [Rows]; output loss, a scalar.
type SupCon struct {
	Rows, Dim           int
	Temperature, Weight float64
}

func (s SupCon) Kind() string      { return "supcon" }
func (s SupCon) Inputs() []Desc    { return []Desc{dense(s.Rows, s.Dim), labels(s.Rows)} }
func (s SupCon) Outputs() []Desc   { return []Desc{scalar} }
func (s SupCon) InPlace() [][2]int { return nil }
func (s SupCon) Check() error {
	if !(s.Temperature > 0) || !weighs(s.Weight) {
		return fmt.Errorf("contrastive loss: temperature %v must be above 0 and weight %v not below", s.Temperature, s.Weight)
	}
	return positive(s, s.Rows, s.Dim)
}

// SupConBackward is the gradient of SupCon with respect to x. Inputs x, labels,
// dloss (scalar); output dx.
type SupConBackward struct{ SupCon }

func (s SupConBackward) Kind() string    { return "supcon.backward" }
func (s SupConBackward) Inputs() []Desc  { return append(s.SupCon.Inputs(), scalar) }
func (s SupConBackward) Outputs() []Desc { return []Desc{dense(s.Rows, s.Dim)} }

// Similarity is the similarity matching loss of Nøkland and Eidnes 2019 (arXiv
// 1901.06656, §2): images that share a class should have like features. An image's
// features are, for each channel, the standard deviation over its cells (the value
// itself where there is one cell only), centred over the channels; R_ij is the cosine
// of those of images i and j, Y_ij that of their labels as centred one-hot vectors of
// Classes elements. The loss is Weight times the mean of (R_ij − Y_ij)² over all
// pairs. Inputs x [N,Cells,C], labels int32 [N]; output loss, a scalar.
type Similarity struct {
	N, Cells, C, Classes int
	Weight               float64
}

// SimilarityEps is added to lengths before dividing by them.
const SimilarityEps = 1e-8

func (s Similarity) Kind() string      { return "similarity" }
func (s Similarity) Inputs() []Desc    { return []Desc{dense(s.N, s.Cells, s.C), labels(s.N)} }
func (s Similarity) Outputs() []Desc   { return []Desc{scalar} }
func (s Similarity) InPlace() [][2]int { return nil }
func (s Similarity) Check() error {
	if !weighs(s.Weight) {
		return fmt.Errorf("similarity loss: weight %v must be a number not below 0", s.Weight)
	}
	if s.C < 2 || s.Classes < 2 {
		return fmt.Errorf("similarity loss: %d channels and %d classes; cosines of centred vectors need at least 2", s.C, s.Classes)
	}
	return positive(s, s.N, s.Cells)
}

// SimilarityBackward is the gradient of Similarity with respect to x. Inputs x,
// labels, dloss (scalar); output dx.
type SimilarityBackward struct{ Similarity }

func (s SimilarityBackward) Kind() string    { return "similarity.backward" }
func (s SimilarityBackward) Inputs() []Desc  { return append(s.Similarity.Inputs(), scalar) }
func (s SimilarityBackward) Outputs() []Desc { return []Desc{dense(s.N, s.Cells, s.C)} }
