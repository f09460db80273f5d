package backbone

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"gorgonia.org/gorgonia"

	"manvision/nn"
)

// ViT describes a vision transformer (Dosovitskiy et al. 2020, arXiv 2010.11929):
// pictures are cut into patches, a class token goes in front, positions are added,
// and transformer blocks with the norm in front follow. Features are tokens [N,1+T,D],
// the class token first. All layer norms have an ε of 1e-6, GELU is exact.
type ViT struct {
	Name  string
	Patch int // pixels of a patch's side
	Width int // D
	Heads int // divides Width
	Depth int // transformer blocks
	// Released is the variant of the official MAN++ release (METHOD §1.6): a layer norm
	// after the patch embedding, and its names: patch.proj, patch.norm, cls, pos,
	// blocks.0.attn.qkv, norm, head. Otherwise it is torchvision's, names included:
	// conv_proj, class_token, encoder.pos_embedding, encoder.layers.encoder_layer_0,
	// encoder.ln, heads.head.
	Released bool
}

const (
	vitEps      = 1e-6
	vitReleased = "_manpp" // ends the names of the released variant
	mlpRatio    = 4
)

var vits = func() map[string]ViT {
	m := map[string]ViT{}
	for _, v := range []ViT{
		{Name: "vit_ti_16", Patch: 16, Width: 192, Heads: 3, Depth: 12},
		{Name: "vit_s_16", Patch: 16, Width: 384, Heads: 6, Depth: 12},
		{Name: "vit_b_16", Patch: 16, Width: 768, Heads: 12, Depth: 12},
	} {
		m[v.Name] = v
		v.Name += vitReleased
		v.Released = true
		m[v.Name] = v
	}
	return m
}()

// ViTNames lists the vision transformers that NewViT knows. Those that end in _manpp
// are the official MAN++ release's variant.
func ViTNames() []string {
	return slices.SortedFunc(maps.Keys(vits), func(a, b string) int {
		return cmp.Or(strings.Count(a, vitReleased)-strings.Count(b, vitReleased), vits[a].Width-vits[b].Width)
	})
}

// NewViT returns a vision transformer as a backbone: the patch embedding with class
// token and positions, then the transformer blocks, a quarter of them a stage, so
// that cuts by stages are the paper's K=4. The norm behind the last block is the
// classifier's (Classify).
func NewViT(v ViT) (*Backbone, error) {
	switch {
	case v.Patch < 1 || v.Width < 1 || v.Heads < 1 || v.Depth < 1:
		return nil, fmt.Errorf("backbone %s: patch %d, width %d, %d heads and depth %d must be at least 1", v.Name, v.Patch, v.Width, v.Heads, v.Depth)
	case v.Width%v.Heads != 0:
		return nil, fmt.Errorf("backbone %s: %d heads do not divide the width %d", v.Name, v.Heads, v.Width)
	}
	b := &Backbone{Name: v.Name, ViT: &v}
	b.Units = append(b.Units, Unit{Last: true, In: 3, Out: v.Width, Stride: v.Patch, kind: patches, vit: &v})
	for i := range v.Depth {
		name := fmt.Sprintf("encoder.layers.encoder_layer_%d", i)
		if v.Released {
			name = fmt.Sprintf("blocks.%d", i)
		}
		b.Units = append(b.Units, Unit{Name: name, Stage: 1 + 4*i/v.Depth, Last: i == v.Depth-1 || 4*i/v.Depth < 4*(i+1)/v.Depth,
			In: v.Width, Out: v.Width, Stride: 1, kind: encoder, vit: &v})
	}
	return b, nil
}

// vitNames are the names of a variant's parameters: prefixes of ".weight" and ".bias",
// but for cls, pos and qkv.
type vitNames struct {
	proj, patchNorm, cls, pos                 string
	norm1, qkv, qkvBias, out, norm2, fc1, fc2 string
	norm, head                                string
}

// vitInits are a variant's initial values; biases not listed start at 0.
type vitInits struct {
	proj, projBias, cls, pos nn.Init
	qkv, out, mlp, mlpBias   nn.Init
	head                     nn.Init
}

func (v *ViT) names() vitNames {
	if v.Released {
		return vitNames{
			proj: "patch.proj", patchNorm: "patch.norm", cls: "cls", pos: "pos",
			norm1: "n1", qkv: "attn.qkv.weight", qkvBias: "attn.qkv.bias", out: "attn.proj", norm2: "n2", fc1: "mlp.fc1", fc2: "mlp.fc2",
			norm: "norm", head: "head",
		}
	}
	return vitNames{
		proj: "conv_proj", cls: "class_token", pos: "encoder.pos_embedding",
		norm1: "ln_1", qkv: "self_attention.in_proj_weight", qkvBias: "self_attention.in_proj_bias", out: "self_attention.out_proj",
		norm2: "ln_2", fc1: "mlp.0", fc2: "mlp.3",
		norm: "encoder.ln", head: "heads.head",
	}
}

// inits are the release's (METHOD §1.6: linear layers truncated normal with 0.02, the
// patches' convolution PyTorch's default) or torchvision's, whose classifier starts
// at 0.
func (v *ViT) inits() vitInits {
	fan := 1 / math.Sqrt(float64(3*v.Patch*v.Patch))
	if v.Released {
		std := nn.TruncatedNormal(0.02)
		return vitInits{proj: nn.FrameworkDefault, projBias: nn.UniformIn(fan), cls: std, pos: std, qkv: std, out: std, mlp: std, head: std}
	}
	return vitInits{
		proj: nn.TruncatedNormal(fan), pos: nn.Gaussian(0.02),
		qkv: nn.XavierUniform, out: nn.FrameworkDefault, mlp: nn.XavierUniform, mlpBias: nn.Gaussian(1e-6),
	}
}

// patches turns pictures x [N,H,W,3] into tokens [N,1+H/P·W/P,D].
func (u Unit) patches(g *nn.Graph, x *gorgonia.Node, p string) *gorgonia.Node {
	v, n, init := u.vit, u.vit.names(), u.vit.inits()
	if x == nil || g.Err() != nil {
		return nil
	}
	if s := x.Shape(); len(s) != 4 || s[1]%v.Patch != 0 || s[2]%v.Patch != 0 {
		g.Fail(fmt.Errorf("%s: height and width of pictures %v must be multiples of the patch's %d pixels", v.Name, s, v.Patch))
		return nil
	}
	y := g.Conv(x, p+n.proj, nn.Layer{Out: v.Width, Kernel: v.Patch, ConvOptions: nn.ConvOptions{Stride: v.Patch},
		Bias: true, Init: init.proj, BiasInit: init.projBias}) // [N,H/P,W/P,D]
	if g.Err() != nil {
		return nil
	}
	s := y.Shape()
	y = g.Reshape(y, s[0], s[1]*s[2], s[3])
	if v.Released {
		y = g.LayerNorm(y, p+n.patchNorm, vitEps)
	}
	return g.Tokens(y, p+n.cls, p+n.pos, init.cls, init.pos)
}

// encoder is a transformer block: x + attention(norm x), then x + mlp(norm x).
func (u Unit) encoder(g *nn.Graph, x *gorgonia.Node, p string) *gorgonia.Node {
	v, n, init := u.vit, u.vit.names(), u.vit.inits()
	layer := func(x *gorgonia.Node, name string, out int, init, bias nn.Init) *gorgonia.Node {
		return g.Affine(x, p+name+".weight", p+name+".bias", out, init, bias)
	}
	y := g.LayerNorm(x, p+n.norm1, vitEps)
	y = g.Affine(y, p+n.qkv, p+n.qkvBias, 3*v.Width, init.qkv, nil)    // [N,T,3D]
	y = g.Attention(y, v.Heads, 1/math.Sqrt(float64(v.Width/v.Heads))) // [N,T,D]
	x = g.Add(x, layer(y, n.out, v.Width, init.out, nil))
	y = layer(g.LayerNorm(x, p+n.norm2, vitEps), n.fc1, mlpRatio*v.Width, init.mlp, init.mlpBias) // [N,T,4D]
	return g.Add(x, layer(g.GELU(y), n.fc2, v.Width, init.mlp, init.mlpBias))
}

// Classify appends the network's own classifier to the last features x [N,1+T,D]: a
// layer norm and a linear layer on the class token. The result is [N,classes].
func (v *ViT) Classify(g *nn.Graph, x *gorgonia.Node, prefix string, classes int) *gorgonia.Node {
	n := v.names()
	return v.classify(g, x, prefix+n.norm, prefix+n.head, classes, v.inits().head)
}

// ClassifyLocal is the classifier of MAN++'s local blocks, of the same layers, with
// parameters prefix + "norm" and prefix + "head".
func (v *ViT) ClassifyLocal(g *nn.Graph, x *gorgonia.Node, prefix string, classes int) *gorgonia.Node {
	return v.classify(g, x, prefix+"norm", prefix+"head", classes, nn.TruncatedNormal(0.02))
}

func (v *ViT) classify(g *nn.Graph, x *gorgonia.Node, norm, head string, classes int, init nn.Init) *gorgonia.Node {
	y := g.LayerNorm(g.Token(x, 0), norm, vitEps)
	return g.Affine(y, head+".weight", head+".bias", classes, init, nil)
}
