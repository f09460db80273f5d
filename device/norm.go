package device

import "fmt"

// BatchNorm normalises x [N,H,W,C] (or [N,C] with H = W = 1) over all but the
// last axis, y = γ·(x−μ)/sqrt(σ²+Eps) + β, with Sum + z, followed by ReLU when asked
// for.
//
// With Global false (training) the batch's own mean and biased variance are
// used: inputs x, γ, β; outputs y, mean [C], var [C], and with ReLU mask (Bits).
// With Global true (evaluation, frozen statistics) they are given: inputs x, γ,
// β, mean, var; outputs y, and with ReLU mask. Sum adds an input z as x behind the
// others; then there is no mask: its gradient is ReLUBackward's and, without Sum and
// ReLU, BatchNormBackward's.
type BatchNorm struct {
	N, H, W, C        int
	Eps               float64
	ReLU, Global, Sum bool
}

// X describes the input and the output.
func (b BatchNorm) X() Desc { return dense(b.N, b.H, b.W, b.C) }

// Mask describes the record of which outputs were positive.
func (b BatchNorm) Mask() Desc { return Desc{DType: Bits, Shape: []int{b.N, b.H, b.W, b.C}} }

func (b BatchNorm) Kind() string { return "bn" }
func (b BatchNorm) Inputs() []Desc {
	in := []Desc{b.X(), dense(b.C), dense(b.C)}
	if b.Global {
		in = append(in, dense(b.C), dense(b.C))
	}
	if b.Sum {
		in = append(in, b.X())
	}
	return in
}
func (b BatchNorm) Outputs() []Desc {
	out := []Desc{b.X()}
	if !b.Global {
		out = append(out, dense(b.C), dense(b.C))
	}
	if b.ReLU && !b.Sum {
		out = append(out, b.Mask())
	}
	return out
}
func (b BatchNorm) InPlace() [][2]int {
	if b.Sum {
		return [][2]int{{0, 0}, {0, len(b.Inputs()) - 1}}
	}
	return [][2]int{{0, 0}}
}
func (b BatchNorm) Check() error {
	if b.N < 1 || b.H < 1 || b.W < 1 || b.C < 1 || b.Eps <= 0 {
		return fmt.Errorf("batch norm with a size below 1 or eps <= 0: %+v", b)
	}
	return nil
}

// BatchNormBackward is the gradient of BatchNorm. Inputs x, dy, γ, mean, var,
// and with ReLU mask. Outputs dx, dγ, dβ. With Global the statistics are
// constants.
type BatchNormBackward struct{ BatchNorm }

func (b BatchNormBackward) Kind() string { return "bn.backward" }
func (b BatchNormBackward) Inputs() []Desc {
	in := []Desc{b.X(), b.X(), dense(b.C), dense(b.C), dense(b.C)}
	if b.ReLU {
		in = append(in, b.Mask())
	}
	return in
}
func (b BatchNormBackward) Outputs() []Desc   { return []Desc{b.X(), dense(b.C), dense(b.C)} }
func (b BatchNormBackward) InPlace() [][2]int { return [][2]int{{0, 1}, {0, 0}} }
func (b BatchNormBackward) Check() error {
	if b.Sum {
		return fmt.Errorf("gradient of a batch norm with a sum: that of the sum is taken apart from it")
	}
	return b.BatchNorm.Check()
}

// RunningStats moves running statistics towards a batch's:
// running = (1−Momentum)·running + Momentum·batch, the variance made unbiased by
// Rows/(Rows−1) (Rows = N·H·W; with one row the biased variance is used).
// Inputs mean [C], var [C]; outputs, read and written, running mean and variance.
type RunningStats struct {
	C, Rows  int
	Momentum float64
}

func (r RunningStats) Kind() string      { return "bn.running" }
func (r RunningStats) Inputs() []Desc    { return []Desc{dense(r.C), dense(r.C)} }
func (r RunningStats) Outputs() []Desc   { return []Desc{dense(r.C), dense(r.C)} }
func (r RunningStats) InPlace() [][2]int { return nil }
func (r RunningStats) Check() error      { return positive(r, r.C, r.Rows) }
