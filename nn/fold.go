package nn

import (
	"fmt"

	"gorgonia.org/gorgonia"

	"manvision/device"
	"manvision/exec"
)

// folded holds a convolution's parameters with the norm behind it folded in.
type folded struct {
	weight, bias *exec.Tensor
	derived      *exec.Derived
}

// fold finds or makes the folded parameters of a convolution weight, its bias (or
// nil), γ, β, mean and variance. They belong to the store, which counts and frees
// them; programs keep them up to date (see exec.Derived).
func (s *Store) fold(name string, weight *exec.Tensor, bias *exec.Tensor, norm [4]*exec.Tensor) (*folded, error) {
	if f, ok := s.folds[name]; ok {
		return f, nil
	}
	op := device.FoldNorm{Filter: weight.Desc, Eps: normEps, Bias: bias != nil}
	f := &folded{derived: &exec.Derived{Op: op, In: append([]*exec.Tensor{weight}, norm[:]...)}}
	if bias != nil {
		f.derived.In = append(f.derived.In, bias)
	}
	for _, d := range op.Outputs() {
		t, err := exec.NewTensor(s.dev, d)
		if err != nil {
			return nil, fmt.Errorf("folded %s: %w", name, err)
		}
		f.derived.Out = append(f.derived.Out, t)
	}
	f.weight, f.bias = f.derived.Out[0], f.derived.Out[1]
	if s.folds == nil {
		s.folds = map[string]*folded{}
	}
	s.folds[name] = f
	return f, nil
}

// FoldedBytes is the storage of folded parameters; Bytes includes it.
func (s *Store) FoldedBytes() int64 {
	var n int64
	for _, f := range s.folds {
		n += f.weight.Bytes() + f.bias.Bytes()
	}
	return n
}

// FreeFolded gives the storage of folded parameters back. Programs that use them
// compute them again.
func (s *Store) FreeFolded() {
	for _, f := range s.folds {
		f.weight.Free()
		f.bias.Free()
	}
}

// folds reports whether norms are folded into the convolutions before them.
func (g *Graph) folds() bool { return g.Fold && g.Mode == Eval }

// foldedConv is a convolution and its norm as one convolution.
func (g *Graph) foldedConv(x *gorgonia.Node, conv, norm string, l Layer, relu bool) *gorgonia.Node {
	w, b := g.convParams(x, conv, l)
	if g.err != nil {
		return nil
	}
	p := g.normParams(norm, l.Out)
	if g.err != nil {
		return nil
	}
	var bias *exec.Tensor
	if b != nil {
		bias = g.bind[b]
	}
	f, err := g.Store.fold(conv+" and "+norm, g.bind[w], bias, [4]*exec.Tensor{g.bind[p.gamma], g.bind[p.beta], p.runMean, p.runVar})
	if err != nil {
		g.Fail(err)
		return nil
	}
	name := "folded " + conv + " and " + norm
	if _, ok := g.leaves[name+" weight"]; !ok {
		g.derived = append(g.derived, f.derived)
	}
	o := l.ConvOptions
	o.ReLU = relu
	return g.try(conv, func() (*gorgonia.Node, error) {
		return Conv2D(x, g.Leaf(name+" weight", f.weight), g.Leaf(name+" bias", f.bias), o)
	})
}

// summed returns the sum of a folded graph's nodes, and its ReLU if asked for, as
// part of the convolution that one of them is the result of; nil where neither is.
// Where both are, a 1x1 convolution takes the sum: it has the least to do beside it.
func (g *Graph) summed(a, b *gorgonia.Node, relu bool) *gorgonia.Node {
	if g.err != nil || !g.folds() || a == nil || b == nil || !a.Shape().Eq(b.Shape()) {
		return nil
	}
	conv, other := a, b
	first, ok := addend(a)
	if second, also := addend(b); also && (!ok || first.KH*first.KW > 1 && second.KH*second.KW == 1) {
		conv, other, first, ok = b, a, second, true
	}
	if !ok {
		return nil
	}
	first.Sum, first.ReLU = true, relu
	o := conv.Op().(*op)
	in := append(o.args[:len(o.args):len(o.args)], other)
	return g.try("", func() (*gorgonia.Node, error) { return apply(first, conv.Shape().Clone(), nil, nil, in...) })
}

// addend tells whether a node is a convolution that a sum can become part of.
func addend(n *gorgonia.Node) (device.Conv, bool) {
	o, ok := n.Op().(*op)
	if !ok {
		return device.Conv{}, false
	}
	c, ok := o.desc.(device.Conv)
	return c, ok && !c.ReLU && !c.Sum
}
