package onnx

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"gorgonia.org/gorgonia"

	"manvision/device"
	"manvision/exec"
	"manvision/nn"
)

// value is a result of the network by the names that it has in the file: plain with
// the axes as they are here, maps with the channels of [N,H,W,C] behind N. One of them
// may be missing until it is asked for.
type value struct{ plain, maps string }

// walker translates a graph.
type walker struct {
	b      *builder
	store  *nn.Store
	graph  *gorgonia.ExprGraph
	values map[int64]*value
	uses   map[int64]int            // readers of every node
	twins  map[int64]*gorgonia.Node // the same nodes for two images, where any number is asked for
	fold   bool
}

// inputName is the name of every file's input.
const inputName = "images"

// walk builds the network behind images [batch,h,w,3], translates it, and returns its
// results' nodes. batch 0 makes files for any number of images: the network is built for
// one and for two, which shows the axes that grow.
func walk(store *nn.Store, o Options, build func(g *nn.Graph, images *gorgonia.Node) []*gorgonia.Node) (*walker, []*gorgonia.Node, error) {
	behind := func(n int) (*nn.Graph, []*gorgonia.Node, error) {
		t, err := exec.NewTensor(store.Device(), device.Desc{Shape: []int{n, o.H, o.W, 3}})
		if err != nil {
			return nil, nil, err
		}
		g := nn.NewGraph(store, nn.Eval)
		g.Fold = false
		outs := build(g, g.Leaf(inputName, t))
		if g.Err() != nil {
			return nil, nil, fmt.Errorf("input of %dx%d: %w", o.H, o.W, g.Err())
		}
		return g, outs, nil
	}
	g, outs, err := behind(max(o.Batch, 1))
	if err != nil {
		return nil, nil, err
	}
	w := &walker{b: newBuilder(), store: store, graph: g.E, values: map[int64]*value{}, uses: map[int64]int{}, fold: o.Fold}
	w.b.taken[inputName] = true
	for _, v := range store.Vars() { // no result may be called like a parameter
		w.b.taken[v.Name] = true
	}
	seen := map[int64]bool{}
	for _, n := range outs {
		w.count(n, seen)
	}
	if o.Batch == 0 {
		two, twins, err := behind(2)
		if err != nil {
			return nil, nil, err
		}
		w.twins = map[int64]*gorgonia.Node{}
		for i, n := range outs {
			if err := w.pair(n, two.E, twins[i]); err != nil {
				return nil, nil, err
			}
		}
	}
	for _, n := range outs {
		if _, err := w.value(n); err != nil {
			return nil, nil, err
		}
	}
	return w, outs, nil
}

func children(g *gorgonia.ExprGraph, n *gorgonia.Node) []*gorgonia.Node {
	if n.Op() == nil {
		return nil
	}
	var out []*gorgonia.Node
	for it := g.From(n.ID()); it.Next(); {
		out = append(out, it.Node().(*gorgonia.Node))
	}
	return out
}

func (w *walker) count(n *gorgonia.Node, seen map[int64]bool) {
	w.uses[n.ID()]++
	if seen[n.ID()] {
		return
	}
	seen[n.ID()] = true
	for _, k := range children(w.graph, n) {
		w.count(k, seen)
	}
}

// pair finds every node's twin.
func (w *walker) pair(n *gorgonia.Node, two *gorgonia.ExprGraph, twin *gorgonia.Node) error {
	if _, ok := w.twins[n.ID()]; ok {
		return nil
	}
	w.twins[n.ID()] = twin
	a, b := children(w.graph, n), children(two, twin)
	if len(a) != len(b) || n.Dims() != twin.Dims() {
		return errors.New("this network is another one for two images than for one; name a batch size")
	}
	for i := range a {
		if err := w.pair(a[i], two, b[i]); err != nil {
			return err
		}
	}
	return nil
}

// dims is the shape of a node, -1 for an axis that grows with the number of images.
func (w *walker) dims(n *gorgonia.Node) []int {
	out := slices.Clone([]int(n.Shape()))
	if twin := w.twins[n.ID()]; twin != nil {
		for i, d := range twin.Shape() {
			if d != out[i] {
				out[i] = -1
			}
		}
	}
	return out
}

// value translates a node unless that is done.
func (w *walker) value(n *gorgonia.Node) (*value, error) {
	if v, ok := w.values[n.ID()]; ok {
		return v, nil
	}
	v, err := w.translate(n)
	if err != nil {
		return nil, err
	}
	w.values[n.ID()] = v
	return v, nil
}

// plain is the name of a node's value with its axes as they are here.
func (w *walker) plain(n *gorgonia.Node) (string, error) {
	v, err := w.value(n)
	if err != nil {
		return "", err
	}
	if v.plain == "" {
		v.plain = w.b.add("Transpose", v.maps+".nhwc", []string{v.maps}, attr{"perm", []int{0, 2, 3, 1}})
	}
	return v.plain, nil
}

// maps is the name of the value of a node [N,H,W,C] as [N,C,H,W].
func (w *walker) maps(n *gorgonia.Node) (string, error) {
	v, err := w.value(n)
	if err != nil {
		return "", err
	}
	if v.maps == "" {
		if n.Dims() != 4 {
			return "", fmt.Errorf("a map of shape %v has not four axes", n.Shape())
		}
		v.maps = w.b.add("Transpose", v.plain+".nchw", []string{v.plain}, attr{"perm", []int{0, 3, 1, 2}})
	}
	return v.maps, nil
}

// alike returns the values of nodes of equal rank for an operation to which the order
// of axes is all the same: as maps where any of them is one.
func (w *walker) alike(ns ...*gorgonia.Node) (names []string, maps bool, err error) {
	for _, n := range ns {
		v, err := w.value(n)
		if err != nil {
			return nil, false, err
		}
		maps = maps || v.maps != ""
	}
	for _, n := range ns {
		get := w.plain
		if maps {
			get = w.maps
		}
		name, err := get(n)
		if err != nil {
			return nil, false, err
		}
		names = append(names, name)
	}
	return names, maps, nil
}

func as(name string, maps bool) *value {
	if maps {
		return &value{maps: name}
	}
	return &value{plain: name}
}

// axis is the place in the file of an axis of this many axes.
func axis(i, rank int, maps bool) int {
	if maps && rank == 4 {
		return [4]int{0, 2, 3, 1}[i]
	}
	return i
}

// leaf is a parameter or the input.
func (w *walker) leaf(n *gorgonia.Node) (*value, error) {
	name := n.Name()
	if name == inputName {
		return &value{maps: name}, nil
	}
	if _, ok := w.store.Lookup(name); !ok {
		return nil, fmt.Errorf("the network reads %q, which is no parameter", name)
	}
	return &value{plain: w.parameter(name, func(dst []float32) error { return w.store.Get(name, dst) })}, nil
}

// parameter makes an initializer of the shape of a variable.
func (w *walker) parameter(name string, load func(dst []float32) error) string {
	v, _ := w.store.Lookup(name)
	w.b.initializers = append(w.b.initializers, &initializer{name: name, elem: float, shape: v.Shape, load: load})
	return name
}

// translate makes a node's ONNX nodes.
func (w *walker) translate(n *gorgonia.Node) (*value, error) {
	if n.Op() == nil {
		return w.leaf(n)
	}
	kids := children(w.graph, n)
	if a, ok := n.Op().(exec.Aliaser); ok {
		if a.Alias() != 0 {
			return nil, fmt.Errorf("output %d of %v has no translation to ONNX", a.Alias(), kids[0].Op())
		}
		return w.reshape(n, kids[0])
	}
	d, ok := n.Op().(exec.Describer)
	if !ok {
		return nil, fmt.Errorf("operation %v has no translation to ONNX", n.Op())
	}
	v, err := w.operation(n, d.Descriptor(), kids)
	if err != nil {
		var inner *opError
		if errors.As(err, &inner) {
			return nil, err
		}
		return nil, &opError{kind: d.Descriptor().Kind(), shape: fmt.Sprint(n.Shape()), err: err}
	}
	return v, nil
}

// opError tells the operation that could not be translated.
type opError struct {
	kind, shape string
	err         error
}

func (e *opError) Error() string { return fmt.Sprintf("operation %s %s: %v", e.kind, e.shape, e.err) }
func (e *opError) Unwrap() error { return e.err }

// reshape is a node that shows another's elements in its own shape.
func (w *walker) reshape(n, of *gorgonia.Node) (*value, error) {
	x, err := w.plain(of)
	if err != nil {
		return nil, err
	}
	if n.Shape().Eq(of.Shape()) {
		return &value{plain: x}, nil
	}
	var to []int64
	grows := 0
	for _, d := range w.dims(n) {
		to = append(to, int64(d))
		if d < 0 {
			grows++
		}
	}
	if grows > 1 {
		return nil, fmt.Errorf("reshape to %v: several axes grow with the number of images; name a batch size", n.Shape())
	}
	return &value{plain: w.b.add("Reshape", "", []string{x, w.b.ints(nil, to...)})}, nil
}

// layer is a parameter's layer, after which results are called; "" for other nodes.
func layer(n *gorgonia.Node) string {
	if n.Op() != nil {
		return ""
	}
	name := n.Name()
	if i := strings.LastIndexByte(name, '.'); i >= 0 {
		return name[:i]
	}
	return name
}
