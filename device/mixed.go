package device

import (
	"fmt"
	"slices"
)

// Mixed is an operation some of whose arguments are BF16 instead of Float: all the
// arithmetic stays as Of describes it, inputs are widened as they are read and
// outputs rounded to nearest even as they are written. Parameters, their gradients,
// statistics, losses and optimizer state are never BF16.
type Mixed struct {
	Of Op
	// In and Out tell which inputs and outputs are BF16; they are as long as Of's.
	In, Out []bool
}

func (m Mixed) Kind() string    { return m.Of.Kind() }
func (m Mixed) Inputs() []Desc  { return narrowed(m.Of.Inputs(), m.In) }
func (m Mixed) Outputs() []Desc { return narrowed(m.Of.Outputs(), m.Out) }
func (m Mixed) Check() error    { return m.Of.Check() }
func (m Mixed) InPlace() [][2]int {
	var pairs [][2]int
	for _, p := range m.Of.InPlace() {
		if p[0] < len(m.Out) && p[1] < len(m.In) && m.Out[p[0]] == m.In[p[1]] {
			pairs = append(pairs, p)
		}
	}
	return pairs
}

func narrowed(list []Desc, which []bool) []Desc {
	list = slices.Clone(list)
	for i := range list {
		if which[i] {
			list[i].DType = BF16
		}
	}
	return list
}

// Reduce returns the form of an operation whose activations and their gradients are
// BF16, and whether there is one: operations on tokens, losses and updates have none.
func Reduce(op Op) (m Mixed, ok bool) {
	var in, out []int
	switch o := op.(type) {
	case Conv:
		in, out = []int{0}, []int{0}
		if o.Sum {
			in = append(in, len(o.Inputs())-1)
		}
	case ConvBackwardWeights:
		in = []int{0, 1}
	case BatchNorm:
		in, out = []int{0}, []int{0}
		if o.Sum {
			in = append(in, len(o.Inputs())-1)
		}
	case ReLUBackward:
		in, out = []int{0, 1}, []int{0}
		if o.Sum {
			in = append(in, 2)
		}
	case ConvBackwardData, ReLU, MaxPool, AvgPool, AvgPoolBackward, Resize, ResizeBackward, Slice, SliceBackward, Dropout:
		in, out = []int{0}, []int{0}
	case BatchNormBackward:
		in, out = []int{0, 1}, []int{0}
	case Add:
		if o.Of.Layout != Dense || o.Of.DType != Float {
			return m, false
		}
		in, out = []int{0, 1}, []int{0}
	case MaxPoolBackward:
		in, out = []int{1}, []int{0}
	case GlobalAvgPool:
		in = []int{0}
	case GlobalAvgPoolBackward:
		out = []int{0}
	case Fuse:
		in, out = []int{1, 2}, []int{0}
	case FuseBackward:
		in, out = []int{1, 2, 3}, []int{0, 1}
	case Concat:
		for i := range o.Sizes {
			in = append(in, i)
		}
		out = []int{0}
	default:
		return m, false
	}
	m = Mixed{Of: op, In: make([]bool, len(op.Inputs())), Out: make([]bool, len(op.Outputs()))}
	for _, i := range in {
		m.In[i] = true
	}
	for _, i := range out {
		m.Out[i] = true
	}
	return m, true
}

// Cast changes the element type of Size numbers from Float to BF16 or back. Input x;
// output y.
type Cast struct {
	Size     int
	From, To DType
}

func (c Cast) Kind() string      { return "cast" }
func (c Cast) Inputs() []Desc    { return []Desc{{DType: c.From, Shape: []int{c.Size}}} }
func (c Cast) Outputs() []Desc   { return []Desc{{DType: c.To, Shape: []int{c.Size}}} }
func (c Cast) InPlace() [][2]int { return nil }
func (c Cast) Check() error {
	if !(c.From == Float && c.To == BF16 || c.From == BF16 && c.To == Float) {
		return fmt.Errorf("cast from %v to %v: want float and bf16", c.From, c.To)
	}
	return positive(c, c.Size)
}

// Reducer is a device that can hold activations as BF16.
type Reducer interface {
	// BF16 tells in which type convolutions on bf16 activations multiply, or why the
	// device does not hold any. Memory is saved either way; time only where products
	// of bf16 numbers are faster.
	BF16() (arithmetic string, err error)
}
