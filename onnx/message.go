package onnx

import (
	"fmt"
	"math"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// Versions that files declare.
const (
	irVersion = 8
	opset     = 17
)

// dataType is onnx.TensorProto.DataType.
type dataType int

const (
	float  dataType = 1
	uint8s dataType = 2
	int64s dataType = 7
)

// bytes is the size of an element.
func (d dataType) bytes() int {
	return map[dataType]int{float: 4, uint8s: 1, int64s: 8}[d]
}

// String is the element type's name in a summary.
func (d dataType) String() string {
	return map[dataType]string{float: "float32", uint8s: "uint8", int64s: "int64"}[d]
}

// attr is an attribute of a node: an int, a float64, a string or a list of ints.
type attr struct {
	name  string
	value any
}

// node is an onnx.NodeProto.
type node struct {
	op, name string
	in, out  []string
	attrs    []attr
}

// Dim is one axis of an input or output: its size, or a name where the size is only
// known at run time.
type Dim struct {
	Size int
	Name string // "" where Size is known
}

// String is the size or the name.
func (d Dim) String() string {
	if d.Name != "" {
		return d.Name
	}
	return fmt.Sprint(d.Size)
}

// Value is an input or output of a file.
type Value struct {
	Name string
	Type string // of its elements: float32, uint8 or int64
	Dims []Dim

	elem dataType
}

func appendString(b []byte, field protowire.Number, s string) []byte {
	return protowire.AppendString(protowire.AppendTag(b, field, protowire.BytesType), s)
}

func appendBytes(b []byte, field protowire.Number, v []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, field, protowire.BytesType), v)
}

func appendInt(b []byte, field protowire.Number, v int64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), uint64(v))
}

// packed is a list of integers as one field.
func packed[T int | int64](b []byte, field protowire.Number, list []T) []byte {
	var p []byte
	for _, v := range list {
		p = protowire.AppendVarint(p, uint64(v))
	}
	return appendBytes(b, field, p)
}

// encode is the AttributeProto.
func (a attr) encode() []byte {
	const kindFloat, kindInt, kindString, kindInts = 1, 2, 3, 7
	b := appendString(nil, 1, a.name)
	switch v := a.value.(type) {
	case int:
		return appendInt(appendInt(b, 3, int64(v)), 20, kindInt)
	case float64:
		b = protowire.AppendTag(b, 2, protowire.Fixed32Type)
		b = protowire.AppendFixed32(b, math.Float32bits(float32(v)))
		return appendInt(b, 20, kindFloat)
	case string:
		return appendInt(appendString(b, 4, v), 20, kindString)
	case []int:
		return appendInt(packed(b, 8, v), 20, kindInts)
	}
	panic(fmt.Sprintf("onnx: attribute %s of type %T", a.name, a.value))
}

// encode is the NodeProto.
func (n *node) encode() []byte {
	var b []byte
	for _, s := range n.in {
		b = appendString(b, 1, s)
	}
	for _, s := range n.out {
		b = appendString(b, 2, s)
	}
	b = appendString(appendString(b, 3, n.name), 4, n.op)
	for _, a := range n.attrs {
		b = appendBytes(b, 5, a.encode())
	}
	return b
}

// encode is the ValueInfoProto.
func (v Value) encode() []byte {
	var shape []byte
	for _, d := range v.Dims {
		if d.Name != "" {
			shape = appendBytes(shape, 1, appendString(nil, 2, d.Name))
		} else {
			shape = appendBytes(shape, 1, appendInt(nil, 1, int64(d.Size)))
		}
	}
	tensor := appendBytes(appendInt(nil, 1, int64(v.elem)), 2, shape)
	return appendBytes(appendString(nil, 1, v.Name), 2, appendBytes(nil, 1, tensor))
}

// initializer is a TensorProto: a constant of the file or a parameter.
type initializer struct {
	name  string
	elem  dataType
	shape []int
	ints  []int64
	// floats are the values of a float constant; load reads those of a parameter.
	floats []float32
	load   func(dst []float32) error
}

func (t *initializer) elems() int {
	n := 1
	for _, d := range t.shape {
		n *= d
	}
	return n
}

// head is the TensorProto up to its data, which follow it raw.
func (t *initializer) head() []byte {
	b := packed(nil, 1, t.shape)
	b = appendInt(b, 2, int64(t.elem))
	b = appendString(b, 8, t.name)
	b = protowire.AppendTag(b, 9, protowire.BytesType)
	return protowire.AppendVarint(b, uint64(t.elems()*t.elem.bytes()))
}

// builder collects the nodes and initializers of a file.
type builder struct {
	nodes        []*node
	initializers []*initializer
	taken        map[string]bool
	constants    map[string]string
}

func newBuilder() *builder { return &builder{taken: map[string]bool{}, constants: map[string]string{}} }

// unique returns a name that no other value has.
func (b *builder) unique(name string) string {
	free := name
	for i := 1; b.taken[free]; i++ {
		free = fmt.Sprintf("%s_%d", name, i)
	}
	b.taken[free] = true
	return free
}

// add makes a node of one output, whose name begins with hint, and returns that name.
func (b *builder) add(op, hint string, in []string, attrs ...attr) string {
	return b.addN(op, hint, 1, in, attrs...)[0]
}

// addN is add of a node of several outputs.
func (b *builder) addN(op, hint string, outs int, in []string, attrs ...attr) []string {
	if hint == "" {
		hint = op
	}
	n := &node{op: op, in: in, attrs: attrs}
	for range outs {
		n.out = append(n.out, b.unique(hint))
	}
	n.name = n.out[0]
	b.nodes = append(b.nodes, n)
	return n.out
}

// ints is a constant of integers; shape nil means a list, an empty one a scalar. Equal
// constants are one.
func (b *builder) ints(shape []int, values ...int64) string {
	if shape == nil {
		shape = []int{len(values)}
	}
	key := fmt.Sprint("ints", shape, values)
	if name, ok := b.constants[key]; ok {
		return name
	}
	t := &initializer{name: b.unique("constant"), elem: int64s, shape: shape, ints: values}
	b.initializers = append(b.initializers, t)
	b.constants[key] = t.name
	return t.name
}

// floats is a constant of floats; an empty shape is a scalar.
func (b *builder) floats(hint string, shape []int, values ...float32) string {
	key := ""
	if len(values) <= 8 {
		key = fmt.Sprint("floats", shape, values)
		if name, ok := b.constants[key]; ok {
			return name
		}
	}
	t := &initializer{name: b.unique(hint), elem: float, shape: shape, floats: values}
	b.initializers = append(b.initializers, t)
	if key != "" {
		b.constants[key] = t.name
	}
	return t.name
}

// scalar is a float constant without axes.
func (b *builder) scalar(v float64) string { return b.floats("constant", []int{}, float32(v)) }

// result gives a value the name of an output of the file.
func (b *builder) result(value, name string) {
	if b.taken[name] {
		panic("onnx: two values are called " + name)
	}
	b.taken[name] = true
	for _, n := range b.nodes {
		if i := slices.Index(n.out, value); i >= 0 {
			n.out[i] = name
			for _, m := range b.nodes {
				for j, in := range m.in {
					if in == value {
						m.in[j] = name
					}
				}
			}
			return
		}
	}
	b.nodes = append(b.nodes, &node{op: "Identity", name: name, in: []string{value}, out: []string{name}})
}
