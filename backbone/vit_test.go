package backbone

import (
	"slices"
	"strings"
	"testing"

	"manvision/device"
	"manvision/device/ref"
	"manvision/nn"
)

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
