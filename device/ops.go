package device

import "fmt"

func dense(shape ...int) Desc { return Desc{Shape: shape} }

func labels(n int) Desc { return Desc{DType: Int32, Shape: []int{n}} }

var scalar = Desc{Shape: []int{}}

// Conv is a two-dimensional convolution (cross-correlation, as in PyTorch's
// nn.Conv2d) with symmetric zero padding.
//
// Inputs x [N,H,W,IC], w filter [OC,IC/Groups,KH,KW], with Bias b [OC], and with
// Sum z as y, which is added. Output y [N,OH,OW,OC]; with ReLU y = max(conv, 0),
// the sum included. The gradients take no notice of Sum. With a Form the filter is
// one prepared for convolutions of this shape (see Preparer); gradients have none.
type Conv struct {
	N, H, W, IC, OC int
	KH, KW          int
	SH, SW          int // stride, at least 1
	PH, PW          int // padding on each side
	DH, DW          int // dilation, at least 1 (1 is dense)
	Groups          int // at least 1; divides IC and OC
	Bias, ReLU, Sum bool
	Form            int // of the prepared filter; 0: a plain one
}

// OH is the output height.
func (c Conv) OH() int { return (c.H+2*c.PH-c.DH*(c.KH-1)-1)/c.SH + 1 }

// OW is the output width.
func (c Conv) OW() int { return (c.W+2*c.PW-c.DW*(c.KW-1)-1)/c.SW + 1 }

// X, Y and Weight describe the convolution's tensors.
func (c Conv) X() Desc { return dense(c.N, c.H, c.W, c.IC) }

// Y describes the output.
func (c Conv) Y() Desc { return dense(c.N, c.OH(), c.OW(), c.OC) }

// Weight describes the filter.
func (c Conv) Weight() Desc {
	return Desc{Layout: Filter, Shape: []int{c.OC, c.IC / max(c.Groups, 1), c.KH, c.KW}, Groups: max(c.Groups, 1)}.prepared(c.Form)
}

// FLOPs is the number of floating-point operations (a multiply-add is two).
func (c Conv) FLOPs() float64 {
	return 2 * float64(c.N) * float64(c.OH()) * float64(c.OW()) * float64(c.OC) * float64(c.IC/c.Groups) * float64(c.KH) * float64(c.KW)
}

func (c Conv) Kind() string { return "conv" }
func (c Conv) Inputs() []Desc {
	in := []Desc{c.X(), c.Weight()}
	if c.Bias {
		in = append(in, dense(c.OC))
	}
	if c.Sum {
		in = append(in, c.Y())
	}
	return in
}
func (c Conv) Outputs() []Desc { return []Desc{c.Y()} }
func (c Conv) InPlace() [][2]int {
	if c.Sum {
		return [][2]int{{0, len(c.Inputs()) - 1}}
	}
	return nil
}
func (c Conv) Check() error {
	switch {
	case c.N < 1 || c.H < 1 || c.W < 1 || c.IC < 1 || c.OC < 1 || c.KH < 1 || c.KW < 1:
		return fmt.Errorf("convolution with a size below 1: %+v", c)
	case c.Form < 0:
		return fmt.Errorf("convolution of a filter in form %d", c.Form)
	case c.SH < 1 || c.SW < 1 || c.DH < 1 || c.DW < 1 || c.PH < 0 || c.PW < 0:
		return fmt.Errorf("convolution with a stride or dilation below 1 or negative padding: %+v", c)
	case c.Groups < 1 || c.IC%c.Groups != 0 || c.OC%c.Groups != 0:
		return fmt.Errorf("convolution: %d groups do not divide %d input and %d output channels", c.Groups, c.IC, c.OC)
	case c.DH*(c.KH-1)+1 > c.H+2*c.PH || c.DW*(c.KW-1)+1 > c.W+2*c.PW:
		return fmt.Errorf("convolution: kernel %dx%d (dilation %dx%d) is larger than the padded input %dx%d", c.KH, c.KW, c.DH, c.DW, c.H+2*c.PH, c.W+2*c.PW)
	}
	return nil
}

func (c Conv) checkGradient() error {
	if c.Form != 0 {
		return fmt.Errorf("gradient of a convolution whose filter is prepared (form %d): gradients read plain filters", c.Form)
	}
	return c.Check()
}

// ConvBackwardData is the gradient of Conv with respect to x. Inputs dy (already
// masked when the convolution has a ReLU), w. Output dx.
type ConvBackwardData struct{ Conv }

func (c ConvBackwardData) Kind() string      { return "conv.backward_data" }
func (c ConvBackwardData) Inputs() []Desc    { return []Desc{c.Y(), c.Weight()} }
func (c ConvBackwardData) Outputs() []Desc   { return []Desc{c.X()} }
func (c ConvBackwardData) InPlace() [][2]int { return nil }
func (c ConvBackwardData) Check() error      { return c.checkGradient() }

// ConvBackwardWeights is the gradient of Conv with respect to w and, with Bias,
// b. Inputs x, dy (masked). Outputs dw filter, and with Bias db [OC].
type ConvBackwardWeights struct{ Conv }

func (c ConvBackwardWeights) Kind() string   { return "conv.backward_weights" }
func (c ConvBackwardWeights) Inputs() []Desc { return []Desc{c.X(), c.Y()} }
func (c ConvBackwardWeights) Outputs() []Desc {
	out := []Desc{c.Weight()}
	if c.Bias {
		out = append(out, dense(c.OC))
	}
	return out
}
func (c ConvBackwardWeights) InPlace() [][2]int { return nil }
func (c ConvBackwardWeights) Check() error      { return c.checkGradient() }

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

// ReLU is y = max(x, 0) over any tensor.
type ReLU struct{ Size int }

func (r ReLU) Kind() string      { return "relu" }
func (r ReLU) Inputs() []Desc    { return []Desc{dense(r.Size)} }
func (r ReLU) Outputs() []Desc   { return []Desc{dense(r.Size)} }
func (r ReLU) InPlace() [][2]int { return [][2]int{{0, 0}} }
func (r ReLU) Check() error      { return positive(r, r.Size) }

// ReLUBackward is dx = dy where y > 0, else 0. Inputs y, dy; output dx. With Sum the
// gradient has two terms, inputs y, dy, dz: dx = dy + dz where y > 0.
type ReLUBackward struct {
	Size int
	Sum  bool
}

func (r ReLUBackward) Kind() string { return "relu.backward" }
func (r ReLUBackward) Inputs() []Desc {
	in := []Desc{dense(r.Size), dense(r.Size)}
	if r.Sum {
		in = append(in, dense(r.Size))
	}
	return in
}
func (r ReLUBackward) Outputs() []Desc { return []Desc{dense(r.Size)} }
func (r ReLUBackward) InPlace() [][2]int {
	if r.Sum {
		return [][2]int{{0, 1}, {0, 2}, {0, 0}}
	}
	return [][2]int{{0, 1}, {0, 0}}
}
func (r ReLUBackward) Check() error { return positive(r, r.Size) }

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

// Add is y = a + b, followed by ReLU when asked for, over storage of any one
// description (filters too, without ReLU).
type Add struct {
	Of   Desc
	ReLU bool
}

func (a Add) Kind() string      { return "add" }
func (a Add) Inputs() []Desc    { return []Desc{a.Of, a.Of} }
func (a Add) Outputs() []Desc   { return []Desc{a.Of} }
func (a Add) InPlace() [][2]int { return [][2]int{{0, 0}, {0, 1}} }
func (a Add) Check() error      { return positive(a, a.Of.Elems()) }

// Fuse is MAN++'s y = s·a + (2−s)·b (METHOD §1.1). Inputs s [1], a, b; output y.
type Fuse struct{ Size int }

func (f Fuse) Kind() string      { return "fuse" }
func (f Fuse) Inputs() []Desc    { return []Desc{dense(1), dense(f.Size), dense(f.Size)} }
func (f Fuse) Outputs() []Desc   { return []Desc{dense(f.Size)} }
func (f Fuse) InPlace() [][2]int { return [][2]int{{0, 1}, {0, 2}} }
func (f Fuse) Check() error      { return positive(f, f.Size) }

// FuseBackward is the gradient of Fuse. Inputs s [1], a, b, dy; outputs
// da = s·dy, db = (2−s)·dy, ds [1] = <dy, a−b>.
type FuseBackward struct{ Size int }

func (f FuseBackward) Kind() string { return "fuse.backward" }
func (f FuseBackward) Inputs() []Desc {
	return []Desc{dense(1), dense(f.Size), dense(f.Size), dense(f.Size)}
}
func (f FuseBackward) Outputs() []Desc   { return []Desc{dense(f.Size), dense(f.Size), dense(1)} }
func (f FuseBackward) InPlace() [][2]int { return [][2]int{{0, 1}, {0, 3}, {1, 2}} }
func (f FuseBackward) Check() error      { return positive(f, f.Size) }

// ResizeMode is the interpolation of Resize.
type ResizeMode uint8

const (
	// Nearest takes source index floor(i·in/out), PyTorch's mode "nearest".
	Nearest ResizeMode = iota
	// Bilinear uses half-pixel centres (align_corners false).
	Bilinear
	// BilinearAligned keeps the corners (align_corners true).
	BilinearAligned
)

// Resize interpolates x [N,H,W,C] to y [N,OH,OW,C].
type Resize struct {
	N, H, W, C, OH, OW int
	Mode               ResizeMode
}

func (r Resize) Kind() string      { return "resize" }
func (r Resize) Inputs() []Desc    { return []Desc{dense(r.N, r.H, r.W, r.C)} }
func (r Resize) Outputs() []Desc   { return []Desc{dense(r.N, r.OH, r.OW, r.C)} }
func (r Resize) InPlace() [][2]int { return nil }
func (r Resize) Check() error {
	if r.Mode > BilinearAligned {
		return fmt.Errorf("resize: unknown mode %d", r.Mode)
	}
	return positive(r, r.N, r.H, r.W, r.C, r.OH, r.OW)
}

// ResizeBackward is the gradient of Resize. Input dy; output dx.
type ResizeBackward struct{ Resize }

func (r ResizeBackward) Kind() string    { return "resize.backward" }
func (r ResizeBackward) Inputs() []Desc  { return r.Resize.Outputs() }
func (r ResizeBackward) Outputs() []Desc { return r.Resize.Inputs() }

// Concat joins inputs seen as [Outer, Sizes[i]] into [Outer, sum of Sizes]: a
// concatenation along any axis, Outer being the product of the axes before it and
// Sizes[i] the product of the input's axes from it on.
type Concat struct {
	Outer int
	Sizes []int
}

// Total is the sum of Sizes.
func (c Concat) Total() int {
	t := 0
	for _, s := range c.Sizes {
		t += s
	}
	return t
}

func (c Concat) Kind() string { return "concat" }
func (c Concat) Inputs() []Desc {
	in := make([]Desc, len(c.Sizes))
	for i, s := range c.Sizes {
		in[i] = dense(c.Outer, s)
	}
	return in
}
func (c Concat) Outputs() []Desc   { return []Desc{dense(c.Outer, c.Total())} }
func (c Concat) InPlace() [][2]int { return nil }
func (c Concat) Check() error {
	if len(c.Sizes) == 0 {
		return fmt.Errorf("concat of nothing")
	}
	return positive(c, append([]int{c.Outer}, c.Sizes...)...)
}

// Slice takes columns [From, From+Size) of x seen as [Outer, Total].
type Slice struct{ Outer, Total, From, Size int }

func (s Slice) Kind() string      { return "slice" }
func (s Slice) Inputs() []Desc    { return []Desc{dense(s.Outer, s.Total)} }
func (s Slice) Outputs() []Desc   { return []Desc{dense(s.Outer, s.Size)} }
func (s Slice) InPlace() [][2]int { return nil }
func (s Slice) Check() error {
	if s.From < 0 || s.From+s.Size > s.Total {
		return fmt.Errorf("slice [%d,%d) of %d columns", s.From, s.From+s.Size, s.Total)
	}
	return positive(s, s.Outer, s.Total, s.Size)
}

// SliceBackward writes dy [Outer, Size] into columns [From, From+Size) of a zero
// dx [Outer, Total].
type SliceBackward struct{ Slice }

func (s SliceBackward) Kind() string    { return "slice.backward" }
func (s SliceBackward) Inputs() []Desc  { return s.Slice.Outputs() }
func (s SliceBackward) Outputs() []Desc { return s.Slice.Inputs() }

// Linear is y = x·wᵀ + b. Inputs x [M,K], w [N,K], and with Bias b [N]; output y
// [M,N].
type Linear struct {
	M, K, N int
	Bias    bool
}

func (l Linear) Kind() string { return "linear" }
func (l Linear) Inputs() []Desc {
	in := []Desc{dense(l.M, l.K), dense(l.N, l.K)}
	if l.Bias {
		in = append(in, dense(l.N))
	}
	return in
}
func (l Linear) Outputs() []Desc   { return []Desc{dense(l.M, l.N)} }
func (l Linear) InPlace() [][2]int { return nil }
func (l Linear) Check() error      { return positive(l, l.M, l.K, l.N) }

// LinearBackwardData is dx [M,K] = dy·w. Inputs dy [M,N], w [N,K].
type LinearBackwardData struct{ Linear }

func (l LinearBackwardData) Kind() string    { return "linear.backward_data" }
func (l LinearBackwardData) Inputs() []Desc  { return []Desc{dense(l.M, l.N), dense(l.N, l.K)} }
func (l LinearBackwardData) Outputs() []Desc { return []Desc{dense(l.M, l.K)} }

// LinearBackwardWeights is dw [N,K] = dyᵀ·x and, with Bias, db [N]. Inputs x, dy.
type LinearBackwardWeights struct{ Linear }

func (l LinearBackwardWeights) Kind() string   { return "linear.backward_weights" }
func (l LinearBackwardWeights) Inputs() []Desc { return []Desc{dense(l.M, l.K), dense(l.M, l.N)} }
func (l LinearBackwardWeights) Outputs() []Desc {
	out := []Desc{dense(l.N, l.K)}
	if l.Bias {
		out = append(out, dense(l.N))
	}
	return out
}

// Fill writes one value.
type Fill struct {
	Of    Desc
	Value float64
}

func (f Fill) Kind() string      { return "fill" }
func (f Fill) Inputs() []Desc    { return nil }
func (f Fill) Outputs() []Desc   { return []Desc{f.Of} }
func (f Fill) InPlace() [][2]int { return nil }
func (f Fill) Check() error      { return positive(f, f.Of.Elems()) }

func positive(op any, sizes ...int) error {
	for _, s := range sizes {
		if s < 1 {
			return fmt.Errorf("size below 1: %T%+v", op, op)
		}
	}
	return nil
}
