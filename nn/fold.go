package nn

import (
	"fmt"

	"gorgonia.org/gorgonia"

	"manvision/device"
	"manvision/exec"
)

// folded holds a convolution's parameters with the norm behind it folded in, or its
// prepared filter alone; bias is nil then.
type folded struct {
	weight, bias *exec.Tensor
	derived      *exec.Derived
}

// fold finds or makes the folded parameters of a convolution weight, its bias (or
// nil), γ, β, mean and variance, the weight in a form of the device's. They belong to
// the store, which counts and frees them; programs keep them up to date (see
// exec.Derived).
func (s *Store) fold(name string, form int, weight *exec.Tensor, bias *exec.Tensor, norm [4]*exec.Tensor) (*folded, error) {
	in := append([]*exec.Tensor{weight}, norm[:]...)
	if bias != nil {
		in = append(in, bias)
	}
	return s.derive(formName(name, form), device.FoldNorm{Filter: weight.Desc, Eps: normEps, Bias: bias != nil, Form: form}, in)
}

// prepare finds or makes a convolution weight in a form of the device's, as fold does.
func (s *Store) prepare(name string, form int, weight *exec.Tensor) (*folded, error) {
	return s.derive(formName(name, form), device.PrepareFilter{Filter: weight.Desc, Form: form}, []*exec.Tensor{weight})
}

// formName names a derived filter: one on maps of several sizes may have several forms.
func formName(name string, form int) string {
	if form == 0 {
		return name
	}
	return fmt.Sprintf("%s in form %d", name, form)
}

func (s *Store) derive(name string, op device.Op, in []*exec.Tensor) (*folded, error) {
	if f, ok := s.folds[name]; ok {
		return f, nil
	}
	f := &folded{derived: &exec.Derived{Op: op, In: in}}
	for _, d := range op.Outputs() {
		t, err := exec.NewTensor(s.dev, d)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		f.derived.Out = append(f.derived.Out, t)
	}
	f.weight = f.derived.Out[0]
	if len(f.derived.Out) > 1 {
		f.bias = f.derived.Out[1]
	}
	if s.folds == nil {
		s.folds = map[string]*folded{}
	}
	s.folds[name] = f
	return f, nil
}

// FoldedBytes is the storage of folded and prepared parameters; Bytes includes it.
func (s *Store) FoldedBytes() int64 {
	var n int64
	for _, f := range s.folds {
		for _, t := range f.derived.Out {
			n += t.Bytes()
		}
	}
	return n
}

// FreeFolded gives the storage of folded and prepared parameters back. Programs that use them
// compute them again.
func (s *Store) FreeFolded() {
	for _, f := range s.folds {
		for _, t := range f.derived.Out {
			t.Free()
		}
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
	o := l.ConvOptions
	o.ReLU = relu
	form, err := g.form(x, w, o)
	var f *folded
	if err == nil {
		f, err = g.Store.fold("folded "+conv+" and "+norm, form, g.bind[w], bias, [4]*exec.Tensor{g.bind[p.gamma], g.bind[p.beta], p.runMean, p.runVar})
	}
	if err != nil {
		g.Fail(fmt.Errorf("%s: %w", conv, err))
		return nil
	}
	name := formName("folded "+conv+" and "+norm, form)
	w = g.leafOf(name+" weight", f.weight, f)
	return g.try(conv, func() (*gorgonia.Node, error) {
		return conv2D(x, w, g.Leaf(name+" bias", f.bias), o, form)
	})
}

// preparedConv is a convolution without a norm whose weight w is prepared, if the
// device reads it faster so.
func (g *Graph) preparedConv(x *gorgonia.Node, conv string, w, b *gorgonia.Node, o ConvOptions) *gorgonia.Node {
	if g.err != nil {
		return nil
	}
	form, err := g.form(x, w, o)
	if err == nil && form != 0 {
		var f *folded
		if f, err = g.Store.prepare("prepared "+conv, form, g.bind[w]); err == nil {
			w = g.leafOf(formName("prepared "+conv, form), f.weight, f)
		}
	}
	return g.try(conv, func() (*gorgonia.Node, error) {
		if err != nil {
			return nil, err
		}
		return conv2D(x, w, b, o, form)
	})
}

// leafOf is the leaf of a derived weight, which the graph then keeps up to date.
func (g *Graph) leafOf(name string, t *exec.Tensor, f *folded) *gorgonia.Node {
	if _, ok := g.leaves[name]; !ok {
		g.derived = append(g.derived, f.derived)
	}
	return g.Leaf(name, t)
}

// form asks the device for the form in which a convolution of x reads w best; 0 means
// as it is.
func (g *Graph) form(x, w *gorgonia.Node, o ConvOptions) (int, error) {
	p, ok := g.Store.dev.(device.Preparer)
	if !ok || !g.Store.Prepare || g.Store.Activations != device.Float {
		return 0, nil
	}
	c, err := convOf(x, w, o)
	if err != nil {
		return 0, err
	}
	return p.FilterForm(c)
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
