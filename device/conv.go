package device

import "fmt"

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
