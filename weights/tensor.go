package weights

import (
	"fmt"
	"math"
)

// DType is the element type of a stored tensor, by its safetensors name.
type DType string

// The element types that can be read. F32, F64 and I64 can be written too.
const (
	F64  DType = "F64"
	F32  DType = "F32"
	F16  DType = "F16"
	BF16 DType = "BF16"
	I64  DType = "I64"
	I32  DType = "I32"
	I16  DType = "I16"
	I8   DType = "I8"
	U8   DType = "U8"
	Bool DType = "BOOL"
)

// dtypeBytes has the size of every element type whose layout is checked; a file
// may hold tensors of the others, Read refuses them.
var dtypeBytes = map[DType]int64{
	F64: 8, F32: 4, F16: 2, BF16: 2, I64: 8, I32: 4, I16: 2, I8: 1, U8: 1, Bool: 1,
	"U64": 8, "U32": 4, "U16": 2,
}

// Tensor is a named array in row-major order. One of the slices holds its
// elements; Data where there are none.
type Tensor struct {
	Name  string
	Shape []int // [] is a scalar with one element
	Data  []float32
	F64   []float64
	I64   []int64
}

// DType returns the type in which the tensor is written.
func (t Tensor) DType() DType {
	switch {
	case t.F64 != nil:
		return F64
	case t.I64 != nil:
		return I64
	}
	return F32
}

// Len returns the number of elements held.
func (t Tensor) Len() int { return len(t.Data) + len(t.F64) + len(t.I64) }

// check says why the tensor cannot be stored, or returns nil.
func (t Tensor) check() error {
	set := 0
	for _, has := range []bool{t.Data != nil, t.F64 != nil, t.I64 != nil} {
		if has {
			set++
		}
	}
	if set > 1 {
		return fmt.Errorf("tensor %q has elements of several types", t.Name)
	}
	n, err := elements(t.Shape)
	if err != nil {
		return fmt.Errorf("tensor %q: %w", t.Name, err)
	}
	if n != int64(t.Len()) {
		return fmt.Errorf("tensor %q of shape %v needs %d elements and has %d", t.Name, t.Shape, n, t.Len())
	}
	return nil
}

// elements multiplies a shape out, refusing negative sizes and overflow.
func elements(shape []int) (int64, error) {
	n, zero := int64(1), false
	for _, d := range shape {
		switch {
		case d < 0:
			return 0, fmt.Errorf("shape %v has a negative size", shape)
		case d == 0:
			zero = true
		case n > math.MaxInt64/8/int64(d):
			return 0, fmt.Errorf("shape %v is too large", shape)
		default:
			n *= int64(d)
		}
	}
	if zero {
		n = 0
	}
	return n, nil
}

// half converts an IEEE 754 binary16 number, exactly.
func half(h uint16) float32 {
	sign := uint32(h>>15) << 31
	exp, frac := uint32(h>>10)&31, uint32(h)&1023
	switch exp {
	case 0: // zero and subnormal: frac·2^-24
		f := float32(frac) / (1 << 24)
		return math.Float32frombits(math.Float32bits(f) | sign)
	case 31:
		return math.Float32frombits(sign | 0x7f800000 | frac<<13)
	}
	return math.Float32frombits(sign | (exp+112)<<23 | frac<<13)
}

// bfloat converts a bfloat16 number, exactly.
func bfloat(b uint16) float32 { return math.Float32frombits(uint32(b) << 16) }
