package backbone

import (
	"math"
	"slices"
	"strings"
	"testing"

	"gorgonia.org/gorgonia"

	"manvision/device"
	"manvision/device/ref"
	"manvision/nn"
)

// TestEveryViTLearns runs narrow transformers of both variants: shapes, and a finite
// gradient that is not zero for every parameter.
func TestEveryViTLearns(t *testing.T) {
	for _, name := range ViTNames() {
		t.Run(name, func(t *testing.T) {
			dev := ref.New()
			defer dev.Close()
			store := nn.NewStore(dev, 1)
			defer store.Free()
			b, err := New(name, 12)
			if err != nil {
				t.Fatal(err)
			}
			g := nn.NewGraph(store, nn.Train)
			g.Recompute = true
			y, in := g.Input("input", device.Desc{Shape: []int{2, 32, 48, 3}})
			for i, u := range b.Units {
				if y = u.Forward(g, y, "p."); g.Err() != nil {
					t.Fatal(g.Err())
				}
				if s := y.Shape(); !slices.Equal(s, []int{2, 7, 12}) {
					t.Errorf("unit %d gives %v, want [2 7 12]", i, s)
				}
			}
			l, labels := g.Input("labels", device.Desc{DType: device.Int32, Shape: []int{2}})
			loss := g.CrossEntropy(b.ViT.Classify(g, y, "p.", 5), l, -1)
			grads, err := g.Gradients(loss)
			if err != nil {
				t.Fatal(err)
			}
			keep := []*gorgonia.Node{loss}
			for _, gr := range grads {
				keep = append(keep, gr.Node)
			}
			p, err := g.Compile(name, nil, keep...)
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			x := make([]float64, 2*32*48*3)
			nn.UniformIn(1)(x, nil, nn.NewStream(1, "image"))
			for _, err := range []error{store.Realize(), in.Upload(x), labels.Upload([]int32{1, 3})} {
				if err != nil {
					t.Fatal(err)
				}
			}
			for _, v := range store.Vars() {
				if !strings.HasPrefix(v.Name, "p.") {
					t.Errorf("%s lacks the prefix", v.Name)
				}
				// torchvision's classifier starts at zero, which would stop all gradients.
				w := make([]float64, v.Elems())
				nn.UniformIn(0.3)(w, nil, nn.NewStream(2, v.Name))
				if err := store.Set(v.Name, w); err != nil {
					t.Fatal(err)
				}
			}
			if err := p.Run(); err != nil {
				t.Fatal(err)
			}
			if len(grads) != len(store.Vars()) {
				t.Errorf("%d gradients of %d parameters", len(grads), len(store.Vars()))
			}
			for _, gr := range grads {
				d := make([]float64, gr.Var.Elems())
				if err := p.Download(d, gr.Node); err != nil {
					t.Fatal(err)
				}
				sum := 0.0
				for _, v := range d {
					sum += math.Abs(v)
				}
				if sum == 0 || math.IsNaN(sum) || math.IsInf(sum, 0) {
					t.Errorf("the gradient of %s sums to %v", gr.Var.Name, sum)
				}
			}
		})
	}
}

// TestViTParameters: the number of parameters with 1000 classes. vit_b_16 is
// torchvision's published number, vit_s_16 and vit_ti_16 timm's (22,050,664 and
// 5,717,416 for vit_small_patch16_224 and vit_tiny_patch16_224); the released variant
// has a layer norm, 2·D, more.
func TestViTParameters(t *testing.T) {
	dev := ref.New()
	defer dev.Close()
	for name, want := range map[string]int{
		"vit_ti_16": 5717416, "vit_s_16": 22050664, "vit_b_16": 86567656,
		"vit_ti_16_manpp": 5717416 + 2*192, "vit_s_16_manpp": 22050664 + 2*384, "vit_b_16_manpp": 86567656 + 2*768,
	} {
		b, err := New(name, PublishedWidth(name))
		if err != nil {
			t.Fatal(err)
		}
		store := nn.NewStore(dev, 1)
		g := nn.NewGraph(store, nn.Eval)
		x, _ := g.Input("input", device.Desc{Shape: []int{1, 224, 224, 3}})
		for _, u := range b.Units {
			x = u.Forward(g, x, "")
		}
		b.ViT.Classify(g, x, "", 1000)
		if g.Err() != nil {
			t.Fatal(g.Err())
		}
		n := 0
		for _, v := range store.Vars() {
			n += v.Elems()
		}
		if n != want {
			t.Errorf("%s has %d parameters, want %d", name, n, want)
		}
	}
}

// TestViTNames: torchvision's names and shapes (0.14, vit_b_16().state_dict()).
func TestViTNames(t *testing.T) {
	dev := ref.New()
	defer dev.Close()
	b, err := New("vit_b_16", 768)
	if err != nil {
		t.Fatal(err)
	}
	store := nn.NewStore(dev, 1)
	g := nn.NewGraph(store, nn.Eval)
	x, _ := g.Input("input", device.Desc{Shape: []int{1, 224, 224, 3}})
	for _, u := range b.Units {
		x = u.Forward(g, x, "")
	}
	b.ViT.Classify(g, x, "", 1000)
	if g.Err() != nil {
		t.Fatal(g.Err())
	}
	const layer = "encoder.layers.encoder_layer_11."
	for name, shape := range map[string][]int{
		"class_token": {1, 1, 768}, "conv_proj.weight": {768, 3, 16, 16}, "conv_proj.bias": {768}, "encoder.pos_embedding": {1, 197, 768},
		layer + "ln_1.weight": {768}, layer + "ln_1.bias": {768}, layer + "ln_2.weight": {768}, layer + "ln_2.bias": {768},
		layer + "self_attention.in_proj_weight": {2304, 768}, layer + "self_attention.in_proj_bias": {2304},
		layer + "self_attention.out_proj.weight": {768, 768}, layer + "self_attention.out_proj.bias": {768},
		layer + "mlp.0.weight": {3072, 768}, layer + "mlp.0.bias": {3072}, layer + "mlp.3.weight": {768, 3072}, layer + "mlp.3.bias": {768},
		"encoder.ln.weight": {768}, "encoder.ln.bias": {768}, "heads.head.weight": {1000, 768}, "heads.head.bias": {1000},
	} {
		if v, ok := store.Lookup(name); !ok || !slices.Equal(v.Shape, shape) {
			t.Errorf("%s: want a parameter of shape %v", name, shape)
		}
	}
	if n := len(store.Vars()); n != 8+12*12 {
		t.Errorf("%d parameters, torchvision has %d", n, 8+12*12)
	}
}

// TestViTStages: a quarter of the blocks a stage, the patch embedding before them.
func TestViTStages(t *testing.T) {
	for depth, want := range map[int][]int{12: {0, 3, 6, 9, 12}, 6: {0, 2, 3, 5, 6}, 2: {0, 1, 2}, 1: {0, 1}} {
		b, err := NewViT(ViT{Name: "v", Patch: 8, Width: 12, Heads: 3, Depth: depth})
		if err != nil {
			t.Fatal(err)
		}
		if got := b.StageEnds(); !slices.Equal(got, want) {
			t.Errorf("depth %d: stages end at %v, want %v", depth, got, want)
		}
	}
}

func TestViTErrors(t *testing.T) {
	for want, v := range map[string]ViT{
		"5 heads":    {Name: "v", Patch: 8, Width: 12, Heads: 5, Depth: 4},
		"at least 1": {Name: "v", Patch: 0, Width: 12, Heads: 3, Depth: 4},
	} {
		if _, err := NewViT(v); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want an error with %q, have %v", want, err)
		}
	}
	dev := ref.New()
	defer dev.Close()
	store := nn.NewStore(dev, 1)
	defer store.Free()
	g := nn.NewGraph(store, nn.Train)
	x, in := g.Input("input", device.Desc{Shape: []int{1, 32, 40, 3}})
	defer in.Free()
	b, err := New("vit_ti_16", 12)
	if err != nil {
		t.Fatal(err)
	}
	if b.Units[0].Forward(g, x, ""); g.Err() == nil || !strings.Contains(g.Err().Error(), "multiples") {
		t.Errorf("a picture of 32x40 in patches of 16: %v", g.Err())
	}
}
