// Package nn holds the layers: Gorgonia operations with shape inference and
// symbolic gradients, described to the device below as package device's
// descriptors, and a Graph that builds models out of them.
//
// Activations are [N,H,W,C], convolution weights [O, I/groups, H, W], linear
// weights [out, in], as torchvision names and shapes them.
package nn

import (
	"errors"
	"fmt"
	"hash"
	"sync/atomic"

	"github.com/chewxy/hm"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	_ "go4.org/unsafe/assume-no-moving-gc" // Gorgonia refuses to start on current Go without it

	"manvision/device"
)

var serials atomic.Uint32

// op adapts a device descriptor to Gorgonia. Every op has its own serial number
// in its hash, because Gorgonia merges nodes of equal hash.
type op struct {
	desc   device.Op
	serial uint32
	in     []hm.Type
	shapes []tensor.Shape // of the inputs, checked by InferShape
	out    hm.Type
	shape  tensor.Shape
	wrt    []bool
	grad   func(in gorgonia.Nodes, out, dy *gorgonia.Node) (gorgonia.Nodes, error)
	args   gorgonia.Nodes
	again  func() (*gorgonia.Node, error) // see Recompute
	second *gorgonia.Node                 // what again made
}

func (o *op) Descriptor() device.Op { return o.desc }
func (o *op) Arity() int            { return len(o.in) }
func (o *op) Type() hm.Type         { return hm.NewFnType(append(append([]hm.Type{}, o.in...), o.out)...) }
func (o *op) InferShape(ds ...gorgonia.DimSizer) (tensor.Shape, error) {
	if len(ds) != len(o.shapes) {
		return nil, fmt.Errorf("%s: %d inputs, want %d", o.desc.Kind(), len(ds), len(o.shapes))
	}
	got, err := gorgonia.DimSizersToShapes(ds)
	if err != nil {
		return nil, err
	}
	for i, s := range got {
		if !s.Eq(o.shapes[i]) {
			return nil, fmt.Errorf("%s: input %d has shape %v, want %v", o.desc.Kind(), i, s, o.shapes[i])
		}
	}
	return o.shape.Clone(), nil
}
func (o *op) Do(...gorgonia.Value) (gorgonia.Value, error) {
	return nil, errors.New("nn: this operation runs on package exec, not on Gorgonia's own machines")
}
func (o *op) ReturnsPtr() bool      { return false }
func (o *op) CallsExtern() bool     { return true }
func (o *op) OverwritesInput() int  { return -1 }
func (o *op) WriteHash(h hash.Hash) { fmt.Fprintf(h, "manvision %d", o.serial) }
func (o *op) Hashcode() uint32      { return o.serial }
func (o *op) String() string        { return o.desc.Kind() }
func (o *op) DiffWRT(n int) []bool {
	if o.wrt == nil {
		return make([]bool, n)
	}
	return o.wrt
}
func (o *op) SymDiff(in gorgonia.Nodes, out, dy *gorgonia.Node) (gorgonia.Nodes, error) {
	if o.grad == nil {
		return nil, fmt.Errorf("%s has no gradient", o.desc.Kind())
	}
	return o.grad(in, out, dy)
}

// present reports a nil among the inputs of an operation.
func present(kind string, in ...*gorgonia.Node) error {
	for i, n := range in {
		if n == nil {
			return fmt.Errorf("%s: input %d is nil", kind, i)
		}
	}
	return nil
}

type gradient func(in gorgonia.Nodes, out, dy *gorgonia.Node) (gorgonia.Nodes, error)

// apply makes a node of a descriptor. shape is the shape of output 0; wrt says
// which inputs have a gradient, which grad makes.
func apply(desc device.Op, shape tensor.Shape, wrt []bool, grad gradient, in ...*gorgonia.Node) (*gorgonia.Node, error) {
	if err := desc.Check(); err != nil {
		return nil, err
	}
	want := desc.Inputs()
	if len(want) != len(in) {
		return nil, fmt.Errorf("%s: %d inputs, want %d", desc.Kind(), len(in), len(want))
	}
	o := &op{desc: desc, serial: serials.Add(1), shape: shape, wrt: wrt, grad: grad, args: in}
	if err := present(desc.Kind(), in...); err != nil {
		return nil, err
	}
	for i, n := range in {
		if n.Shape().TotalSize() != want[i].Elems() || n.Dtype() != gorgoniaType(want[i].DType) {
			return nil, fmt.Errorf("%s: input %d is %v%v, want %v", desc.Kind(), i, n.Dtype(), n.Shape(), want[i])
		}
		o.in = append(o.in, n.Type())
		o.shapes = append(o.shapes, n.Shape().Clone())
	}
	o.out = typeOf(gorgoniaType(desc.Outputs()[0].DType), len(shape))
	return gorgonia.ApplyOp(o, in...)
}

// Float is Gorgonia's name for the compute type. Devices choose their own width:
// float32 on oneDNN, float64 on the reference device.
var Float = tensor.Float32

func gorgoniaType(t device.DType) tensor.Dtype {
	switch t {
	case device.Int32:
		return tensor.Int32
	case device.Bits, device.Window:
		return tensor.Uint8
	}
	return Float
}

func typeOf(t tensor.Dtype, dims int) hm.Type {
	if dims == 0 {
		return t
	}
	return gorgonia.TensorType{Dims: dims, Of: t}
}

// view is an op that computes nothing: output i of a node's kernel, or the same
// elements in another shape.
type view struct {
	op
	output int
}

func (v *view) Alias() int            { return v.output }
func (v *view) String() string        { return fmt.Sprintf("view %d", v.output) }
func (v *view) Descriptor() device.Op { return nil }

// output returns output i (from 1) of the kernel behind node n. It has no
// gradient.
func output(n *gorgonia.Node, i int) (*gorgonia.Node, error) {
	d := n.Op().(*op).desc.Outputs()[i]
	shape := tensor.Shape(append([]int{}, d.Shape...))
	v := &view{output: i}
	v.op = op{serial: serials.Add(1), shape: shape, in: []hm.Type{n.Type()}, shapes: []tensor.Shape{n.Shape().Clone()},
		out: typeOf(gorgoniaType(d.DType), len(shape)), desc: viewDesc{}}
	return gorgonia.ApplyOp(v, n)
}

// Reshape shows x's elements, row-major, in another shape of as many elements.
func Reshape(x *gorgonia.Node, shape ...int) (*gorgonia.Node, error) {
	if err := present("reshape", x); err != nil {
		return nil, err
	}
	s := tensor.Shape(append([]int{}, shape...))
	for _, d := range s {
		if d < 1 {
			return nil, fmt.Errorf("reshape of %v to %v: size below 1", x.Shape(), s)
		}
	}
	if s.TotalSize() != x.Shape().TotalSize() {
		return nil, fmt.Errorf("reshape: %v has %d elements, %v has %d", x.Shape(), x.Shape().TotalSize(), s, s.TotalSize())
	}
	v := &view{}
	v.op = op{serial: serials.Add(1), shape: s, in: []hm.Type{x.Type()}, shapes: []tensor.Shape{x.Shape().Clone()},
		out: typeOf(x.Dtype(), len(s)), desc: viewDesc{}, wrt: []bool{true},
		grad: func(in gorgonia.Nodes, _, dy *gorgonia.Node) (gorgonia.Nodes, error) {
			dx, err := Reshape(dy, in[0].Shape()...)
			return gorgonia.Nodes{dx}, err
		}}
	return gorgonia.ApplyOp(v, x)
}

// viewDesc gives views a name in messages; no device ever sees it.
type viewDesc struct{ device.Op }

func (viewDesc) Kind() string { return "view" }

func nodes(err error, ns ...*gorgonia.Node) (gorgonia.Nodes, error) {
	if err != nil {
		return nil, err
	}
	return ns, nil
}
