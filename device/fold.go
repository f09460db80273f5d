package device

import "fmt"

// FoldNorm folds a batch norm with given statistics into the convolution before
// it: with k = γ/sqrt(σ²+Eps) by output channel, w' = w·k and b' = β + (b − μ)·k.
// Inputs w filter [OC, IC/groups, KH, KW], γ, β, μ, σ² [OC] and, with Bias, b
// [OC]; outputs w', as w or, with a Form, prepared (see Preparer), and b' [OC].
type FoldNorm struct {
	Filter Desc
	Eps    float64
	Bias   bool
	Form   int
}

func (f FoldNorm) Kind() string { return "bn.fold" }
func (f FoldNorm) Inputs() []Desc {
	c := dense(f.channels())
	in := []Desc{f.Filter, c, c, c, c}
	if f.Bias {
		in = append(in, c)
	}
	return in
}
func (f FoldNorm) Outputs() []Desc   { return []Desc{f.Filter.prepared(f.Form), dense(f.channels())} }
func (f FoldNorm) InPlace() [][2]int { return nil }
func (f FoldNorm) Check() error {
	if f.Filter.Layout != Filter || len(f.Filter.Shape) != 4 || f.Eps <= 0 {
		return fmt.Errorf("folding a batch norm of eps %v into %v: want a filter [O,I,KH,KW] and eps above 0", f.Eps, f.Filter)
	}
	if f.Form < 0 {
		return fmt.Errorf("folding a batch norm into a filter in form %d", f.Form)
	}
	return positive(f, f.Filter.Elems())
}

func (f FoldNorm) channels() int {
	if len(f.Filter.Shape) == 0 {
		return 0
	}
	return f.Filter.Shape[0]
}
