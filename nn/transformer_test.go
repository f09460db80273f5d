package nn

import (
	"math"
	"strings"
	"testing"

	"gorgonia.org/gorgonia"

	"manvision/device/ref"
)

func TestGradientsOfTransformer(t *testing.T) {
	for name, build := range map[string]func(b *bench) *gorgonia.Node{
		"layer norm": func(b *bench) *gorgonia.Node {
			return b.must(LayerNorm(b.in("x", 2, 3, 5), b.positive("gamma", 5), b.in("beta", 5), 1e-6))
		},
		"gelu":      func(b *bench) *gorgonia.Node { return b.must(GELU(b.in("x", 2, 3, 5))) },
		"attention": func(b *bench) *gorgonia.Node { return b.must(Attention(b.in("qkv", 2, 4, 18), 2, 0.7)) },
		"tokens": func(b *bench) *gorgonia.Node {
			return b.must(Tokens(b.in("x", 2, 3, 4), b.in("cls", 1, 1, 4), b.in("pos", 1, 4, 4)))
		},
		"token": func(b *bench) *gorgonia.Node { return b.g.Token(b.in("x", 2, 3, 4), 1) },
		"linear, rank 3": func(b *bench) *gorgonia.Node {
			return b.must(Linear(b.in("x", 2, 3, 4), b.in("w", 5, 4), b.in("b", 5)))
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.verify(b.project("y", build(b)))
		})
	}
}

// encoder is a transformer block on names of its own.
func encoder(b *bench) *gorgonia.Node {
	g, x := b.g, b.in("x", 2, 4, 6)
	layer := func(x *gorgonia.Node, name string, out int) *gorgonia.Node {
		b.names = append(b.names, name+".weight", name+".bias")
		return g.Affine(x, name+".weight", name+".bias", out, UniformIn(1), UniformIn(1))
	}
	norm := func(x *gorgonia.Node, name string) *gorgonia.Node {
		b.names = append(b.names, name+".weight", name+".bias")
		return g.LayerNorm(x, name, 1e-6)
	}
	y := layer(g.Attention(layer(norm(x, "n1"), "qkv", 18), 2, 0.7), "proj", 6)
	x = g.Add(x, y)
	y = layer(g.GELU(layer(norm(x, "n2"), "fc1", 24)), "fc2", 6)
	return g.Add(x, y)
}

func TestGradientOfEncoder(t *testing.T) {
	for _, again := range []bool{false, true} {
		b := newBench(t)
		b.g.Recompute = again
		b.verify(b.project("y", encoder(b)))
	}
}

// TestRenewed: the forward pass multiplies by w, the gradient by 0.75·w + 0.25·u.
func TestRenewed(t *testing.T) {
	dev := ref.NewThreads(1)
	store := NewStore(dev, 3)
	defer func() {
		store.Free()
		dev.Close()
	}()
	g := NewGraph(store, Train)
	x := g.Weight("x", []int{1, 2}, UniformIn(1))
	u, err := store.Declare("u", plain(x), []int{1, 2}, UniformIn(1))
	if err != nil {
		t.Fatal(err)
	}
	g.Frozen = true
	g.Renew(func(v *Var) (*Var, error) { return u, nil }, 0.75)
	w := g.Weight("w", []int{1, 2}, UniformIn(1))
	g.Renew(nil, 0)
	g.Frozen = false
	y := g.try("", func() (*gorgonia.Node, error) { return Linear(x, w, nil) })
	loss := g.Reshape(y)
	grads, err := g.Gradients(loss)
	if err != nil {
		t.Fatal(err)
	}
	p, err := g.Compile("renewed", nil, loss, grads[0].Node)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if err := store.Realize(); err != nil {
		t.Fatal(err)
	}
	if err := p.Run(); err != nil {
		t.Fatal(err)
	}
	value := func(name string) []float64 {
		v := make([]float64, 2)
		if err := store.Get(name, v); err != nil {
			t.Fatal(err)
		}
		return v
	}
	xv, wv, uv := value("x"), value("w"), value("u")
	got, grad := make([]float64, 1), make([]float64, 2)
	if err := p.Download(got, loss); err != nil {
		t.Fatal(err)
	}
	if err := p.Download(grad, grads[0].Node); err != nil {
		t.Fatal(err)
	}
	if want := xv[0]*wv[0] + xv[1]*wv[1]; math.Abs(got[0]-want) > 1e-15 {
		t.Errorf("forward %v, want %v", got[0], want)
	}
	for i := range grad {
		if want := 0.75*wv[i] + 0.25*uv[i]; math.Abs(grad[i]-want) > 1e-15 {
			t.Errorf("gradient %d: %v, want %v", i, grad[i], want)
		}
	}
}

func TestTransformerErrors(t *testing.T) {
	b := newBench(t)
	x2, x3, v := b.in("x2", 3, 6), b.in("x3", 2, 3, 6), b.in("v", 6)
	for want, f := range map[string]func() (*gorgonia.Node, error){
		"layer norm: x":           func() (*gorgonia.Node, error) { return LayerNorm(v, v, v, 1e-6) },
		"eps":                     func() (*gorgonia.Node, error) { return LayerNorm(x2, v, v, 0) },
		"layernorm: input 1":      func() (*gorgonia.Node, error) { return LayerNorm(x2, x2, v, 1) },
		"gelu: input 0 is nil":    func() (*gorgonia.Node, error) { return GELU(nil) },
		"multiple of the 4 heads": func() (*gorgonia.Node, error) { return Attention(x3, 4, 1) },
		"multiple of the 1 heads": func() (*gorgonia.Node, error) { return Attention(x2, 1, 1) },
		"scale":                   func() (*gorgonia.Node, error) { return Attention(x3, 1, 0) },
		"tokens: x":               func() (*gorgonia.Node, error) { return Tokens(x2, v, x2) },
		"tokens: input 2":         func() (*gorgonia.Node, error) { return Tokens(x3, v, x2) },
		"renewed: shapes":         func() (*gorgonia.Node, error) { return Renewed(x2, x3) },
		"renewed: input 1 is nil": func() (*gorgonia.Node, error) { return Renewed(x2, nil) },
	} {
		if _, err := f(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want an error with %q, have %v", want, err)
		}
	}
	if b.g.Token(x2, 0); b.g.Err() == nil {
		t.Error("token of a matrix: no error")
	}
}
