package device

import "fmt"

// Pool is a pooling window over [N,H,W,C].
type Pool struct {
	N, H, W, C int
	KH, KW     int
	SH, SW     int
	PH, PW     int
	Ceil       bool // round the output size up, as PyTorch's ceil_mode
}

func (p Pool) out(n, k, s, pad int) int {
	if !p.Ceil {
		return (n+2*pad-k)/s + 1
	}
	o := (n+2*pad-k+s-1)/s + 1
	if (o-1)*s >= n+pad {
		o--
	}
	return o
}

// OH is the output height.
func (p Pool) OH() int { return p.out(p.H, p.KH, p.SH, p.PH) }

// OW is the output width.
func (p Pool) OW() int { return p.out(p.W, p.KW, p.SW, p.PW) }

// X and Y describe the input and the output.
func (p Pool) X() Desc { return dense(p.N, p.H, p.W, p.C) }

// Y describes the output.
func (p Pool) Y() Desc { return dense(p.N, p.OH(), p.OW(), p.C) }

// Argmax describes the winners of a max pooling.
func (p Pool) Argmax() Desc { return Desc{DType: Window, Shape: []int{p.N, p.OH(), p.OW(), p.C}} }

func (p Pool) Check() error {
	if err := positive(p, p.N, p.H, p.W, p.C, p.KH, p.KW, p.SH, p.SW); err != nil {
		return err
	}
	if p.PH < 0 || p.PW < 0 || 2*p.PH > p.KH || 2*p.PW > p.KW {
		return fmt.Errorf("pooling: padding %dx%d must be within half the window %dx%d", p.PH, p.PW, p.KH, p.KW)
	}
	if p.H+2*p.PH < p.KH || p.W+2*p.PW < p.KW {
		return fmt.Errorf("pooling: window %dx%d is larger than the padded input %dx%d", p.KH, p.KW, p.H+2*p.PH, p.W+2*p.PW)
	}
	if p.KH*p.KW > 255 {
		return fmt.Errorf("pooling: window %dx%d has more than 255 cells", p.KH, p.KW)
	}
	return nil
}

// MaxPool takes the maximum of each window; padding never wins; the first of
// equals wins. Input x; outputs y, argmax.
type MaxPool struct{ Pool }

func (p MaxPool) Kind() string      { return "maxpool" }
func (p MaxPool) Inputs() []Desc    { return []Desc{p.X()} }
func (p MaxPool) Outputs() []Desc   { return []Desc{p.Y(), p.Argmax()} }
func (p MaxPool) InPlace() [][2]int { return nil }

// MaxPoolBackward sends dy to the winners. Inputs argmax, dy; output dx.
type MaxPoolBackward struct{ Pool }

func (p MaxPoolBackward) Kind() string      { return "maxpool.backward" }
func (p MaxPoolBackward) Inputs() []Desc    { return []Desc{p.Argmax(), p.Y()} }
func (p MaxPoolBackward) Outputs() []Desc   { return []Desc{p.X()} }
func (p MaxPoolBackward) InPlace() [][2]int { return nil }

// AvgPool averages each window; padding counts as zeros when CountPad is set
// (PyTorch's count_include_pad). Input x; output y.
type AvgPool struct {
	Pool
	CountPad bool
}

func (p AvgPool) Kind() string      { return "avgpool" }
func (p AvgPool) Inputs() []Desc    { return []Desc{p.X()} }
func (p AvgPool) Outputs() []Desc   { return []Desc{p.Y()} }
func (p AvgPool) InPlace() [][2]int { return nil }

// AvgPoolBackward is the gradient of AvgPool. Input dy; output dx.
type AvgPoolBackward struct {
	Pool
	CountPad bool
}

func (p AvgPoolBackward) Kind() string      { return "avgpool.backward" }
func (p AvgPoolBackward) Inputs() []Desc    { return []Desc{p.Y()} }
func (p AvgPoolBackward) Outputs() []Desc   { return []Desc{p.X()} }
func (p AvgPoolBackward) InPlace() [][2]int { return nil }

// GlobalAvgPool averages each map: x [N,H,W,C] to y [N,C].
type GlobalAvgPool struct{ N, H, W, C int }

func (p GlobalAvgPool) Kind() string      { return "gap" }
func (p GlobalAvgPool) Inputs() []Desc    { return []Desc{dense(p.N, p.H, p.W, p.C)} }
func (p GlobalAvgPool) Outputs() []Desc   { return []Desc{dense(p.N, p.C)} }
func (p GlobalAvgPool) InPlace() [][2]int { return nil }
func (p GlobalAvgPool) Check() error      { return positive(p, p.N, p.H, p.W, p.C) }

// GlobalAvgPoolBackward is the gradient of GlobalAvgPool. Input dy [N,C]; output
// dx [N,H,W,C].
type GlobalAvgPoolBackward struct{ N, H, W, C int }

func (p GlobalAvgPoolBackward) Kind() string      { return "gap.backward" }
func (p GlobalAvgPoolBackward) Inputs() []Desc    { return []Desc{dense(p.N, p.C)} }
func (p GlobalAvgPoolBackward) Outputs() []Desc   { return []Desc{dense(p.N, p.H, p.W, p.C)} }
func (p GlobalAvgPoolBackward) InPlace() [][2]int { return nil }
func (p GlobalAvgPoolBackward) Check() error      { return positive(p, p.N, p.H, p.W, p.C) }
