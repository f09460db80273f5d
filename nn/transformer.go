package nn

import (
	"fmt"

	"github.com/chewxy/hm"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"manvision/device"
)

// LayerNorm normalises x [..., C] over its last axis, scales by gamma [C] and
// shifts by beta [C].
func LayerNorm(x, gamma, beta *gorgonia.Node, eps float64) (*gorgonia.Node, error) {
	if err := present("layer norm", x, gamma, beta); err != nil {
		return nil, err
	}
	if x.Dims() < 2 {
		return nil, fmt.Errorf("layer norm: x %v must have an axis of channels after the batch's", x.Shape())
	}
	n, c := rows(x)
	d := device.LayerNorm{Rows: n, C: c, Eps: eps}
	grad := func(in gorgonia.Nodes, _, dy *gorgonia.Node) (gorgonia.Nodes, error) {
		gamma, err := recomputed(in[1])
		if err != nil {
			return nil, err
		}
		dx, err := apply(device.LayerNormBackward{LayerNorm: d}, in[0].Shape().Clone(), nil, nil, in[0], dy, gamma)
		if err != nil {
			return nil, err
		}
		dgamma, err := output(dx, 1)
		if err != nil {
			return nil, err
		}
		dbeta, err := output(dx, 2)
		return nodes(err, dx, dgamma, dbeta)
	}
	return apply(d, x.Shape().Clone(), []bool{true, true, true}, grad, x, gamma, beta)
}

// GELU is x·Φ(x), exact.
func GELU(x *gorgonia.Node) (*gorgonia.Node, error) {
	if err := present("gelu", x); err != nil {
		return nil, err
	}
	d := device.GELU{Size: x.Shape().TotalSize()}
	grad := func(in gorgonia.Nodes, _, dy *gorgonia.Node) (gorgonia.Nodes, error) {
		dx, err := apply(device.GELUBackward(d), in[0].Shape().Clone(), nil, nil, in[0], dy)
		return nodes(err, dx)
	}
	return apply(d, x.Shape().Clone(), []bool{true}, grad, x)
}

// Attention is the self-attention of heads heads over qkv [N,T,3·D], the queries,
// keys and values of all heads side by side: softmax(scale·q·kᵀ)·v by head. The
// result is [N,T,D].
func Attention(qkv *gorgonia.Node, heads int, scale float64) (*gorgonia.Node, error) {
	if err := present("attention", qkv); err != nil {
		return nil, err
	}
	s := qkv.Shape()
	if len(s) != 3 || heads < 1 || s[2]%(3*heads) != 0 {
		return nil, fmt.Errorf("attention: qkv %v must be [N,T,3·D], D a multiple of the %d heads", s, heads)
	}
	d := device.Attention{N: s[0], T: s[1], Heads: heads, Dim: s[2] / (3 * heads), Scale: scale}
	grad := func(in gorgonia.Nodes, _, dy *gorgonia.Node) (gorgonia.Nodes, error) {
		dx, err := apply(device.AttentionBackward{Attention: d}, in[0].Shape().Clone(), nil, nil, in[0], dy)
		return nodes(err, dx)
	}
	return apply(d, tensor.Shape{s[0], s[1], s[2] / 3}, []bool{true}, grad, qkv)
}

// Tokens puts the class token cls in front of every image's tokens x [N,T,D] and
// adds the positions pos. cls has D elements, pos (T+1)·D. The result is [N,T+1,D].
func Tokens(x, cls, pos *gorgonia.Node) (*gorgonia.Node, error) {
	if err := present("tokens", x, cls, pos); err != nil {
		return nil, err
	}
	s := x.Shape()
	if len(s) != 3 {
		return nil, fmt.Errorf("tokens: x %v must be [N,T,D]", s)
	}
	d := device.Tokens{N: s[0], Patches: s[1], D: s[2]}
	grad := func(in gorgonia.Nodes, _, dy *gorgonia.Node) (gorgonia.Nodes, error) {
		dx, err := apply(device.TokensBackward{Tokens: d}, in[0].Shape().Clone(), nil, nil, dy)
		if err != nil {
			return nil, err
		}
		out := gorgonia.Nodes{dx, nil, nil}
		for i := 1; i < 3; i++ {
			g, err := output(dx, i)
			if err != nil {
				return nil, err
			}
			if out[i], err = Reshape(g, in[i].Shape()...); err != nil {
				return nil, err
			}
		}
		return out, nil
	}
	return apply(d, tensor.Shape{s[0], s[1] + 1, s[2]}, []bool{true, true, true}, grad, x, cls, pos)
}

// Renewed shows w to forward passes while gradients read later instead, a node of
// w's storage description: backpropagation through weights that were changed after
// the forward pass. Neither gets a gradient.
func Renewed(w, later *gorgonia.Node) (*gorgonia.Node, error) {
	if err := present("renewed", w, later); err != nil {
		return nil, err
	}
	if !w.Shape().Eq(later.Shape()) {
		return nil, fmt.Errorf("renewed: shapes %v and %v differ", w.Shape(), later.Shape())
	}
	v := &view{}
	v.op = op{serial: serials.Add(1), shape: w.Shape().Clone(), in: []hm.Type{w.Type()}, shapes: []tensor.Shape{w.Shape().Clone()},
		out: typeOf(w.Dtype(), w.Dims()), desc: viewDesc{}, wrt: []bool{false}, second: later}
	v.again = func() (*gorgonia.Node, error) { return later, nil }
	return gorgonia.ApplyOp(v, w)
}

// average is m·a + (1−m)·b of storage described by d.
func average(d device.Desc, a, b *gorgonia.Node, m float64) (*gorgonia.Node, error) {
	return apply(device.Average{Of: d, Momentum: m}, a.Shape().Clone(), []bool{false, false}, nil, a, b)
}

// Affine is a linear layer over the last axis of x whose weight [out,in] and bias
// [out] have names of their own. Initial values of nil are zeros.
func (g *Graph) Affine(x *gorgonia.Node, weight, bias string, out int, init, biasInit Init) *gorgonia.Node {
	if g.err != nil {
		return nil
	}
	in := g.channels(x, weight)
	if init == nil {
		init = Constant(0)
	}
	if biasInit == nil {
		biasInit = Constant(0)
	}
	w := g.Weight(weight, []int{out, in}, init)
	b := g.Weight(bias, []int{out}, biasInit)
	return g.try(weight, func() (*gorgonia.Node, error) { return Linear(x, w, b) })
}

// LayerNorm normalises x over its last axis with parameters name.weight and
// name.bias. With Recompute gradients compute the result once more.
func (g *Graph) LayerNorm(x *gorgonia.Node, name string, eps float64) *gorgonia.Node {
	if g.err != nil {
		return nil
	}
	c := g.channels(x, name)
	if g.err != nil {
		return nil
	}
	gamma, beta := g.Weight(name+".weight", []int{c}, Constant(1)), g.Weight(name+".bias", []int{c}, Constant(0))
	return g.try(name, func() (*gorgonia.Node, error) { return g.again(LayerNorm(x, gamma, beta, eps)) })
}

// GELU is x·Φ(x). With Recompute gradients compute the result once more.
func (g *Graph) GELU(x *gorgonia.Node) *gorgonia.Node {
	return g.try("", func() (*gorgonia.Node, error) { return g.again(GELU(x)) })
}

// again marks a result for recomputation where the graph wants it.
func (g *Graph) again(y *gorgonia.Node, err error) (*gorgonia.Node, error) {
	if err == nil && g.Recompute {
		err = Recompute(y)
	}
	return y, err
}

// Attention is self-attention of heads heads over qkv [N,T,3·D]; the result is
// [N,T,D].
func (g *Graph) Attention(qkv *gorgonia.Node, heads int, scale float64) *gorgonia.Node {
	return g.try("", func() (*gorgonia.Node, error) { return Attention(qkv, heads, scale) })
}

// Tokens puts a class token, the parameter cls [1,1,D], in front of every image's
// tokens x [N,T,D] and adds the positions, the parameter pos [1,T+1,D]. Initial values
// of nil are zeros.
func (g *Graph) Tokens(x *gorgonia.Node, cls, pos string, clsInit, posInit Init) *gorgonia.Node {
	if g.err != nil {
		return nil
	}
	if x.Dims() != 3 {
		g.Fail(fmt.Errorf("%s: tokens %v must be [N,T,D]", cls, x.Shape()))
		return nil
	}
	if clsInit == nil {
		clsInit = Constant(0)
	}
	if posInit == nil {
		posInit = Constant(0)
	}
	t, d := x.Shape()[1], x.Shape()[2]
	c := g.Weight(cls, []int{1, 1, d}, clsInit)
	p := g.Weight(pos, []int{1, t + 1, d}, posInit)
	return g.try(cls, func() (*gorgonia.Node, error) { return Tokens(x, c, p) })
}

// Token takes token i of x [N,T,D]; the result is [N,D].
func (g *Graph) Token(x *gorgonia.Node, i int) *gorgonia.Node {
	return g.try("token", func() (*gorgonia.Node, error) {
		if err := present("token", x); err != nil {
			return nil, err
		}
		if x.Dims() != 3 {
			return nil, fmt.Errorf("token of %v, want [N,T,D]", x.Shape())
		}
		y, err := Slice(x, 1, i, i+1)
		if err != nil {
			return nil, err
		}
		return Reshape(y, x.Shape()[0], x.Shape()[2])
	})
}

// Renew makes the backward pass read a frozen parameter v as its running average with
// another variable, m·v + (1−m)·of(v), while the forward pass
// reads what they are: as if the average were taken between the two. The variables
// themselves are not changed. It acts on parameters asked for while Frozen is set;
// nil ends it.
func (g *Graph) Renew(of func(v *Var) (*Var, error), m float64) {
	if of == nil {
		g.renew = nil
		return
	}
	g.renew = func(v *Var, n *gorgonia.Node) (*gorgonia.Node, error) {
		to, err := of(v)
		if err != nil {
			return nil, err
		}
		later, err := average(v.Value.Desc, n, g.Leaf(to.Name, to.Value), m)
		if err != nil {
			return nil, err
		}
		return Renewed(n, later)
	}
}
