package nn

import (
	"errors"
	"fmt"
	"strings"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"manvision/device"
	"manvision/exec"
)

// Mode says how batch norm behaves.
type Mode uint8

const (
	// Train normalises with the batch's statistics and updates the running ones.
	Train Mode = iota
	// Eval normalises with the running statistics.
	Eval
)

// Graph builds a model's expression graph out of named layers. Errors stick: once
// a layer fails, later calls return nil and Err tells the first failure, so that a
// model reads top to bottom.
type Graph struct {
	E     *gorgonia.ExprGraph
	Store *Store
	Mode  Mode
	// Frozen makes the parameters of the layers that follow constants: they get
	// no gradient and no update, gradients pass through (EMA copies).
	Frozen bool
	// FrozenNorm makes batch norms use and keep their running statistics also in
	// Train mode.
	FrozenNorm bool
	// Recompute trades time for memory: what a batch norm gives to a convolution is
	// computed once more for the gradient instead of kept (see Recompute).
	Recompute bool
	// RecomputeConvs does the same to what 1x1 convolutions that widen at least
	// four-fold give to batch norms: the last and the projection of a bottleneck.
	RecomputeConvs bool
	// Fold makes ConvNorm one convolution in Eval mode: its weight and bias are
	// computed from the parameters and running statistics whenever these changed
	// (device.FoldNorm); a sum with the result of a convolution becomes part of the
	// convolution. NewGraph sets it to the store's Fold. Such a graph cannot be
	// differentiated.
	Fold bool
	// NormMomentum is the share of the batch in the running statistics.
	NormMomentum float64
	// Device, if not nil, runs the program instead of the store's device, on the same
	// memory (see device.Laner).
	Device device.Device
	// Settled are nodes that all posts wait for (see exec.Spec).
	Settled []*gorgonia.Node

	err     error
	leaves  map[string]*gorgonia.Node
	bind    map[*gorgonia.Node]*exec.Tensor
	posts   []exec.Post
	derived []*exec.Derived
	params  []*Var           // trainable, in order of first use
	nodes   []*gorgonia.Node // of params

	differentiated bool
	renew          func(*Var, *gorgonia.Node) (*gorgonia.Node, error) // see Renew
}

// normEps is the ε of every batch norm, PyTorch's default.
const normEps = 1e-5

// NewGraph returns an empty graph over the variables of store.
func NewGraph(store *Store, mode Mode) *Graph {
	return &Graph{E: gorgonia.NewGraph(), Store: store, Mode: mode, Fold: store.Fold, NormMomentum: 0.1,
		leaves: map[string]*gorgonia.Node{}, bind: map[*gorgonia.Node]*exec.Tensor{}}
}

// Err is the first failure while building.
func (g *Graph) Err() error { return g.err }

// Fail records a failure unless there is one already.
func (g *Graph) Fail(err error) {
	if g.err == nil {
		g.err = err
	}
}

// try runs a layer function unless a former one failed.
func (g *Graph) try(name string, f func() (*gorgonia.Node, error)) *gorgonia.Node {
	if g.err != nil {
		return nil
	}
	n, err := f()
	if err != nil {
		if name != "" {
			err = fmt.Errorf("%s: %w", name, err)
		}
		g.err = err
		return nil
	}
	return n
}

// Leaf returns the node of storage outside the graph: an input or a boundary.
// The same name gives the same node.
func (g *Graph) Leaf(name string, t *exec.Tensor) *gorgonia.Node {
	if n, ok := g.leaves[name]; ok || g.err != nil {
		return n
	}
	shape := tensor.Shape(append([]int{}, t.Desc.Shape...))
	dt := gorgoniaType(t.Desc.DType)
	n := gorgonia.NewTensor(g.E, dt, len(shape), gorgonia.WithShape(shape...), gorgonia.WithName(name))
	g.leaves[name] = n
	g.bind[n] = t
	return n
}

// Input makes fresh storage of a description and returns its node and storage.
func (g *Graph) Input(name string, d device.Desc) (*gorgonia.Node, *exec.Tensor) {
	if g.err != nil {
		return nil, nil
	}
	t, err := exec.NewTensor(g.Store.dev, d)
	if err != nil {
		g.Fail(fmt.Errorf("input %s: %w", name, err))
		return nil, nil
	}
	return g.Leaf(name, t), t
}

// Write has the value of node n computed straight into t.
func (g *Graph) Write(n *gorgonia.Node, t *exec.Tensor) {
	if g.err == nil {
		g.bind[n] = t
	}
}

// Post adds work after the graph's own (see exec.Post).
func (g *Graph) Post(p exec.Post) { g.posts = append(g.posts, p) }

func (g *Graph) param(name string, d device.Desc, shape []int, init Init) *gorgonia.Node {
	if g.err != nil {
		return nil
	}
	v, err := g.Store.variable(name, d, shape, init)
	if err != nil {
		g.Fail(err)
		return nil
	}
	if g.Frozen {
		v.Trainable = false
	}
	_, known := g.leaves[name]
	n := g.Leaf(name, v.Value)
	if !known && v.Trainable {
		g.params = append(g.params, v)
		g.nodes = append(g.nodes, n)
	}
	if g.Frozen && g.renew != nil {
		return g.try(name, func() (*gorgonia.Node, error) { return g.renew(v, n) })
	}
	return n
}

// Filter is a convolution weight [O, I/groups, KH, KW].
func (g *Graph) Filter(name string, shape []int, groups int, init Init) *gorgonia.Node {
	return g.param(name, device.Desc{Layout: device.Filter, Shape: shape, Groups: groups}, shape, init)
}

// Weight is a dense parameter: a linear weight, a bias, γ or β.
func (g *Graph) Weight(name string, shape []int, init Init) *gorgonia.Node {
	return g.param(name, device.Desc{Shape: shape}, shape, init)
}

// Scalar is a single trainable number, a node of shape [1], saved without axes.
func (g *Graph) Scalar(name string, init float64) *gorgonia.Node {
	return g.param(name, device.Desc{Shape: []int{1}}, []int{}, Constant(init))
}

func (g *Graph) buffer(name string, n int, init float64) (*gorgonia.Node, *exec.Tensor) {
	if g.err != nil {
		return nil, nil
	}
	v, err := g.Store.variable(name, device.Desc{Shape: []int{n}}, []int{n}, Constant(init))
	if err != nil {
		g.Fail(err)
		return nil, nil
	}
	v.Buffer, v.Trainable = true, false
	if g.Mode == Train && !g.FrozenNorm {
		return nil, v.Value
	}
	return g.Leaf(name, v.Value), v.Value
}

// Layer is a convolution layer's settings.
type Layer struct {
	Out, Kernel int
	ConvOptions
	Bias     bool
	Init     Init // of the weight; nil: KaimingFanOut
	BiasInit Init // nil: zero
}

// channels is the size of the last axis of a layer's input.
func (g *Graph) channels(x *gorgonia.Node, name string) int {
	if x == nil || x.Dims() < 2 {
		g.Fail(fmt.Errorf("%s: the input must have an axis of channels after the batch's", name))
		return 0
	}
	return x.Shape()[x.Dims()-1]
}

// Conv is a convolution layer with parameters name.weight and name.bias.
func (g *Graph) Conv(x *gorgonia.Node, name string, l Layer) *gorgonia.Node {
	w, b := g.convParams(x, name, l)
	if g.folds() {
		return g.preparedConv(x, name, w, b, l.ConvOptions)
	}
	return g.try(name, func() (*gorgonia.Node, error) { return Conv2D(x, w, b, l.ConvOptions) })
}

// convParams are the parameters of a convolution layer; b is nil without bias.
func (g *Graph) convParams(x *gorgonia.Node, name string, l Layer) (w, b *gorgonia.Node) {
	if g.err != nil {
		return nil, nil
	}
	init := l.Init
	if init == nil {
		init = KaimingFanOut
	}
	groups := orOne(l.Groups)
	in := g.channels(x, name)
	if g.err == nil && (groups < 1 || in%groups != 0) {
		g.Fail(fmt.Errorf("%s: %d groups do not divide %d input channels", name, groups, in))
	}
	if g.err != nil {
		return nil, nil
	}
	w = g.Filter(name+".weight", []int{l.Out, in / groups, l.Kernel, l.Kernel}, groups, init)
	if l.Bias {
		bi := l.BiasInit
		if bi == nil {
			bi = Constant(0)
		}
		b = g.Weight(name+".bias", []int{l.Out}, bi)
	}
	return w, b
}

// normParams are the parameters and buffers of a batch norm layer.
type normParams struct {
	gamma, beta     *gorgonia.Node
	mean, variance  *gorgonia.Node // nil where the batch's own statistics are used
	runMean, runVar *exec.Tensor
}

func (g *Graph) normParams(name string, channels int) normParams {
	var p normParams
	p.gamma = g.Weight(name+".weight", []int{channels}, Constant(1))
	p.beta = g.Weight(name+".bias", []int{channels}, Constant(0))
	p.mean, p.runMean = g.buffer(name+".running_mean", channels, 0)
	p.variance, p.runVar = g.buffer(name+".running_var", channels, 1)
	return p
}

// Norm is a batch norm layer with parameters name.weight, name.bias and buffers
// name.running_mean, name.running_var.
func (g *Graph) Norm(x *gorgonia.Node, name string, relu bool) *gorgonia.Node {
	if g.err != nil {
		return nil
	}
	c := g.channels(x, name)
	if g.err != nil {
		return nil
	}
	p := g.normParams(name, c)
	return g.try(name, func() (*gorgonia.Node, error) {
		if p.mean != nil {
			return BatchNormGlobal(x, p.gamma, p.beta, p.mean, p.variance, normEps, relu)
		}
		y, m, v, err := BatchNormTrain(x, p.gamma, p.beta, normEps, relu)
		if err != nil {
			return nil, err
		}
		g.Post(exec.Post{
			Op:  device.RunningStats{C: c, Rows: x.Shape().TotalSize() / c, Momentum: g.NormMomentum},
			In:  []exec.Source{{Node: m}, {Node: v}},
			Out: []*exec.Tensor{p.runMean, p.runVar},
		})
		if g.Recompute {
			return y, Recompute(y)
		}
		return y, nil
	})
}

// ConvNorm is a convolution followed by a batch norm and, if relu, a ReLU. With
// Fold they are one convolution.
func (g *Graph) ConvNorm(x *gorgonia.Node, conv, norm string, l Layer, relu bool) *gorgonia.Node {
	if g.folds() && !l.ReLU {
		return g.foldedConv(x, conv, norm, l, relu)
	}
	y := g.Conv(x, conv, l)
	if g.RecomputeConvs && g.err == nil && l.Kernel == 1 && !l.ReLU && l.Out >= 4*g.channels(x, conv) {
		if err := Recompute(y); err != nil {
			g.Fail(err)
		}
	}
	return g.Norm(y, norm, relu)
}

// FC is a linear layer with parameters name.weight [out,in] and name.bias.
func (g *Graph) FC(x *gorgonia.Node, name string, out int, init Init) *gorgonia.Node {
	if g.err != nil {
		return nil
	}
	in := g.channels(x, name)
	if g.err != nil {
		return nil
	}
	w := g.Weight(name+".weight", []int{out, in}, init)
	b := g.Weight(name+".bias", []int{out}, Constant(0))
	return g.try(name, func() (*gorgonia.Node, error) { return Linear(x, w, b) })
}

// The layers without parameters, with sticky errors.

// ReLU is max(x, 0).
func (g *Graph) ReLU(x *gorgonia.Node) *gorgonia.Node {
	return g.try("", func() (*gorgonia.Node, error) { return ReLU(x) })
}

// Add is a + b.
func (g *Graph) Add(a, b *gorgonia.Node) *gorgonia.Node {
	if y := g.summed(a, b, false); y != nil {
		return y
	}
	return g.try("", func() (*gorgonia.Node, error) { return Add(a, b) })
}

// AddReLU is max(a+b, 0).
func (g *Graph) AddReLU(a, b *gorgonia.Node) *gorgonia.Node {
	if y := g.summed(a, b, true); y != nil {
		return y
	}
	return g.try("", func() (*gorgonia.Node, error) { return AddReLU(a, b) })
}

// Fuse is s·lb + (2−s)·ema.
func (g *Graph) Fuse(s, lb, ema *gorgonia.Node) *gorgonia.Node {
	return g.try("", func() (*gorgonia.Node, error) { return Fuse(s, lb, ema) })
}

// MaxPool pools windows by their maximum.
func (g *Graph) MaxPool(x *gorgonia.Node, o PoolOptions) *gorgonia.Node {
	return g.try("", func() (*gorgonia.Node, error) { return MaxPool(x, o) })
}

// GlobalAvgPool averages each map.
func (g *Graph) GlobalAvgPool(x *gorgonia.Node) *gorgonia.Node {
	return g.try("", func() (*gorgonia.Node, error) { return GlobalAvgPool(x) })
}

// Resize interpolates to h×w.
func (g *Graph) Resize(x *gorgonia.Node, h, w int, mode device.ResizeMode) *gorgonia.Node {
	return g.try("", func() (*gorgonia.Node, error) { return Resize(x, h, w, mode) })
}

// Concat joins along an axis.
func (g *Graph) Concat(axis int, xs ...*gorgonia.Node) *gorgonia.Node {
	if len(xs) == 1 {
		return xs[0]
	}
	return g.try("", func() (*gorgonia.Node, error) { return Concat(axis, xs...) })
}

// Reshape shows x in another shape.
func (g *Graph) Reshape(x *gorgonia.Node, shape ...int) *gorgonia.Node {
	return g.try("", func() (*gorgonia.Node, error) { return Reshape(x, shape...) })
}

// FocalLoss, SmoothL1 and CrossEntropy are the losses of the same names.
func (g *Graph) FocalLoss(logits, labels, norm *gorgonia.Node, alpha, gamma float64) *gorgonia.Node {
	return g.try("focal loss", func() (*gorgonia.Node, error) { return FocalLoss(logits, labels, norm, alpha, gamma) })
}

// SmoothL1 is the box loss.
func (g *Graph) SmoothL1(pred, target, labels, norm *gorgonia.Node, beta float64) *gorgonia.Node {
	return g.try("smooth-L1", func() (*gorgonia.Node, error) { return SmoothL1(pred, target, labels, norm, beta) })
}

// CrossEntropy is the mean cross-entropy.
func (g *Graph) CrossEntropy(logits, labels *gorgonia.Node, ignore int32) *gorgonia.Node {
	return g.try("cross-entropy", func() (*gorgonia.Node, error) { return CrossEntropy(logits, labels, ignore) })
}

// PixelCrossEntropy is the cross-entropy of interpolated logits.
func (g *Graph) PixelCrossEntropy(logits, labels *gorgonia.Node, o PixelLoss) *gorgonia.Node {
	return g.try("", func() (*gorgonia.Node, error) { return PixelCrossEntropy(logits, labels, o) })
}

// SigmoidBCE is the mean binary cross-entropy times weight.
func (g *Graph) SigmoidBCE(logits, target *gorgonia.Node, weight float64) *gorgonia.Node {
	return g.try("", func() (*gorgonia.Node, error) { return SigmoidBCE(logits, target, weight) })
}

// Gradient pairs a parameter with the node of its gradient.
type Gradient struct {
	Var  *Var
	Node *gorgonia.Node
}

// Gradients differentiates the sum of the losses with respect to every trainable
// parameter used so far. It can be called once a graph.
func (g *Graph) Gradients(losses ...*gorgonia.Node) ([]Gradient, error) {
	if g.err != nil {
		return nil, g.err
	}
	if g.differentiated {
		return nil, errors.New("gradients: a graph can be differentiated once; sum the losses")
	}
	if err := present("gradients", losses...); err != nil || len(losses) == 0 {
		return nil, errors.Join(errors.New("gradients: a loss is missing"), err)
	}
	if len(g.derived) > 0 {
		return nil, errors.New("gradients: a graph with folded batch norms has none")
	}
	g.differentiated = true
	total := losses[0]
	for _, l := range losses[1:] {
		total = g.Add(total, l)
	}
	if g.err != nil {
		return nil, g.err
	}
	if len(g.nodes) == 0 {
		return nil, nil
	}
	if idle := g.unused(total); len(idle) > 0 {
		return nil, fmt.Errorf("gradients: the loss does not depend on %s; freeze what is not trained or leave it out of the graph", strings.Join(idle, ", "))
	}
	grads, err := gorgonia.Grad(total, g.nodes...)
	if err != nil {
		return nil, fmt.Errorf("gradients: %w", err)
	}
	out := make([]Gradient, len(grads))
	for i, n := range grads {
		out[i] = Gradient{g.params[i], n}
	}
	return out, nil
}

// unused names the trainable parameters that a loss gives no gradient to.
func (g *Graph) unused(loss *gorgonia.Node) []string {
	reached := map[*gorgonia.Node]bool{}
	stack := []*gorgonia.Node{loss}
	for len(stack) > 0 {
		n := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if reached[n] {
			continue
		}
		reached[n] = true
		d, ok := n.Op().(gorgonia.SDOp)
		if !ok {
			continue
		}
		it := g.E.From(n.ID())
		for _, wrt := range d.DiffWRT(it.Len()) {
			it.Next()
			if wrt {
				stack = append(stack, it.Node().(*gorgonia.Node))
			}
		}
	}
	var names []string
	for i, n := range g.nodes {
		if !reached[n] {
			names = append(names, g.params[i].Name)
		}
	}
	return names
}

// Compile makes a program of the graph that computes what is bound by Write, the
// kept nodes and all posts.
func (g *Graph) Compile(name string, arena *exec.Arena, keep ...*gorgonia.Node) (*exec.Program, error) {
	if g.err != nil {
		return nil, fmt.Errorf("%s: %w", name, g.err)
	}
	dev := g.Store.dev
	if g.Device != nil {
		dev = g.Device
	}
	return exec.Compile(dev, exec.Spec{Name: name, Graph: g.E, Bind: g.bind, Keep: keep, Posts: g.posts, Settled: g.Settled, Derived: g.derived, Arena: arena,
		Activations: g.Store.Activations})
}
