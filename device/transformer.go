package device

import (
	"fmt"
	"math"
)

// LayerNorm normalises each row of x [Rows,C] by its own mean and biased variance:
// y = γ·(x−μ)/sqrt(σ²+Eps) + β. Inputs x, γ [C], β [C]; output y.
type LayerNorm struct {
	Rows, C int
	Eps     float64
}

func (l LayerNorm) Kind() string      { return "layernorm" }
func (l LayerNorm) Inputs() []Desc    { return []Desc{dense(l.Rows, l.C), dense(l.C), dense(l.C)} }
func (l LayerNorm) Outputs() []Desc   { return []Desc{dense(l.Rows, l.C)} }
func (l LayerNorm) InPlace() [][2]int { return [][2]int{{0, 0}} }
func (l LayerNorm) Check() error {
	if !(l.Eps > 0) || math.IsInf(l.Eps, 0) {
		return fmt.Errorf("layer norm: eps %v must be above 0", l.Eps)
	}
	return positive(l, l.Rows, l.C)
}

// LayerNormBackward is the gradient of LayerNorm; it takes the rows' statistics
// from x again. Inputs x, dy, γ; outputs dx, dγ, dβ.
type LayerNormBackward struct{ LayerNorm }

func (l LayerNormBackward) Kind() string { return "layernorm.backward" }
func (l LayerNormBackward) Inputs() []Desc {
	return []Desc{dense(l.Rows, l.C), dense(l.Rows, l.C), dense(l.C)}
}
func (l LayerNormBackward) Outputs() []Desc {
	return []Desc{dense(l.Rows, l.C), dense(l.C), dense(l.C)}
}
func (l LayerNormBackward) InPlace() [][2]int { return [][2]int{{0, 1}, {0, 0}} }

// GELU is x·Φ(x) with the standard normal distribution Φ itself, not its tanh
// approximation (Hendrycks and Gimpel 2016).
type GELU struct{ Size int }

func (g GELU) Kind() string      { return "gelu" }
func (g GELU) Inputs() []Desc    { return []Desc{dense(g.Size)} }
func (g GELU) Outputs() []Desc   { return []Desc{dense(g.Size)} }
func (g GELU) InPlace() [][2]int { return [][2]int{{0, 0}} }
func (g GELU) Check() error      { return positive(g, g.Size) }

// GELUBackward is dx = dy·(Φ(x) + x·φ(x)). Inputs x, dy; output dx.
type GELUBackward struct{ Size int }

func (g GELUBackward) Kind() string      { return "gelu.backward" }
func (g GELUBackward) Inputs() []Desc    { return []Desc{dense(g.Size), dense(g.Size)} }
func (g GELUBackward) Outputs() []Desc   { return []Desc{dense(g.Size)} }
func (g GELUBackward) InPlace() [][2]int { return [][2]int{{0, 1}, {0, 0}} }
func (g GELUBackward) Check() error      { return positive(g, g.Size) }

// Attention is self-attention of Heads heads over T tokens: for every image and
// head y = softmax(Scale·q·kᵀ)·v. Input qkv [N,T,3,Heads,Dim], queries, keys and
// values side by side; output y [N,T,Heads,Dim]. The T·T weights of a head are
// never stored for the gradient, which computes them again.
type Attention struct {
	N, T, Heads int
	Dim         int     // channels of a head
	Scale       float64 // usually 1/sqrt(Dim)
}

// QKV and Y describe the input and the output.
func (a Attention) QKV() Desc { return dense(a.N, a.T, 3, a.Heads, a.Dim) }

// Y describes the output.
func (a Attention) Y() Desc { return dense(a.N, a.T, a.Heads, a.Dim) }

func (a Attention) Kind() string      { return "attention" }
func (a Attention) Inputs() []Desc    { return []Desc{a.QKV()} }
func (a Attention) Outputs() []Desc   { return []Desc{a.Y()} }
func (a Attention) InPlace() [][2]int { return nil }
func (a Attention) Check() error {
	if !(a.Scale > 0) || math.IsInf(a.Scale, 0) {
		return fmt.Errorf("attention: scale %v must be above 0", a.Scale)
	}
	return positive(a, a.N, a.T, a.Heads, a.Dim)
}

// AttentionBackward is the gradient of Attention. Inputs qkv, dy; output dqkv.
type AttentionBackward struct{ Attention }

func (a AttentionBackward) Kind() string    { return "attention.backward" }
func (a AttentionBackward) Inputs() []Desc  { return []Desc{a.QKV(), a.Y()} }
func (a AttentionBackward) Outputs() []Desc { return []Desc{a.QKV()} }

// Tokens puts a class token in front of every image's patches and adds the
// position embedding: y[n,0] = cls + pos[0], y[n,t] = x[n,t−1] + pos[t]. Inputs x
// [N,Patches,D], cls [D], pos [Patches+1,D]; output y [N,Patches+1,D].
type Tokens struct{ N, Patches, D int }

func (t Tokens) Kind() string { return "tokens" }
func (t Tokens) Inputs() []Desc {
	return []Desc{dense(t.N, t.Patches, t.D), dense(t.D), dense(t.Patches+1, t.D)}
}
func (t Tokens) Outputs() []Desc   { return []Desc{dense(t.N, t.Patches+1, t.D)} }
func (t Tokens) InPlace() [][2]int { return nil }
func (t Tokens) Check() error      { return positive(t, t.N, t.Patches, t.D) }

// TokensBackward is the gradient of Tokens. Input dy; outputs dx, dcls, dpos.
type TokensBackward struct{ Tokens }

func (t TokensBackward) Kind() string    { return "tokens.backward" }
func (t TokensBackward) Inputs() []Desc  { return t.Tokens.Outputs() }
func (t TokensBackward) Outputs() []Desc { return t.Tokens.Inputs() }

// Average is y = Momentum·a + (1−Momentum)·b over storage of any one description:
// what EMA makes of a, written elsewhere.
type Average struct {
	Of       Desc
	Momentum float64
}

func (a Average) Kind() string      { return "average" }
func (a Average) Inputs() []Desc    { return []Desc{a.Of, a.Of} }
func (a Average) Outputs() []Desc   { return []Desc{a.Of} }
func (a Average) InPlace() [][2]int { return [][2]int{{0, 0}, {0, 1}} }
func (a Average) Check() error {
	if !(a.Momentum >= 0 && a.Momentum <= 1) {
		return fmt.Errorf("average: momentum %v is outside [0, 1]", a.Momentum)
	}
	return positive(a, a.Of.Elems())
}
