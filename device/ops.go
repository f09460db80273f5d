package device

import "fmt"

func dense(shape ...int) Desc { return Desc{Shape: shape} }

func labels(n int) Desc { return Desc{DType: Int32, Shape: []int{n}} }

var scalar = Desc{Shape: []int{}}

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
