package weights

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Pairs of a file's name and the model's. Sources: state_dict() of torchvision 0.14
// and of its published files (before 0.13), timm 0.6, the official MAN++ release.
func TestSpellings(t *testing.T) {
	for _, c := range []struct {
		source string
		pairs  []string // stored, wanted
	}{
		{"torchvision ResNet", []string{
			"conv1.weight", "backbone.body.conv1.weight",
			"module.bn1.running_var", "backbone.body.bn1.running_var",
			"layer1.0.downsample.1.bias", "backbone.body.layer1.0.downsample.1.bias",
			"_orig_mod.module.layer4.2.conv3.weight", "backbone.layer4.2.conv3.weight",
			"model.fc.bias", "fc.bias",
		}},
		{"torchvision RetinaNet", []string{
			"backbone.body.layer1.0.conv1.weight", "backbone.body.layer1.0.conv1.weight",
			"backbone.body.layer4.0.conv1.weight", "layer4.0.conv1.weight",
			"backbone.fpn.inner_blocks.2.weight", "backbone.fpn.inner_blocks.2.0.weight",
			"backbone.fpn.layer_blocks.0.0.bias", "backbone.fpn.layer_blocks.0.0.bias",
			"backbone.fpn.extra_blocks.p6.bias", "backbone.fpn.extra_blocks.p6.bias",
			"head.classification_head.conv.6.bias", "head.classification_head.conv.3.0.bias",
			"head.regression_head.conv.0.0.weight", "head.regression_head.conv.0.0.weight",
			"head.regression_head.bbox_reg.weight", "head.regression_head.bbox_reg.weight",
		}},
		{"torchvision DeepLabV3 or FCN", []string{
			"backbone.layer1.0.conv1.weight", "backbone.layer1.0.conv1.weight",
			"backbone.layer3.5.bn1.bias", "backbone.body.layer3.5.bn1.bias",
			"classifier.0.convs.4.2.running_mean", "classifier.0.convs.4.2.running_mean",
			"aux_classifier.4.weight", "aux_classifier.4.weight",
		}},
		{"official MAN++ RetinaNet", []string{
			"backbone.conv1.weight", "backbone.body.conv1.weight",
			"backbone.layer2.0.bn2.bias", "backbone.body.layer2.0.bn2.bias",
			"backbone.LB.1.conv2.weight", "manpp.1.lb.conv2.weight",
			"backbone.EMA_Net.2.downsample.0.weight", "manpp.2.ema.downsample.0.weight",
			"backbone.ema_s.0", "manpp.0.s",
			"fpn.lateral3.weight", "backbone.fpn.inner_blocks.0.0.weight",
			"fpn.smooth5.bias", "backbone.fpn.layer_blocks.2.0.bias",
			"fpn.p6.weight", "backbone.fpn.extra_blocks.p6.weight",
			"fpn.p7.1.bias", "backbone.fpn.extra_blocks.p7.bias",
			"cls_subnet.conv.2.weight", "head.classification_head.conv.1.0.weight",
			"cls_subnet.out.bias", "head.classification_head.cls_logits.bias",
			"reg_subnet.out.weight", "head.regression_head.bbox_reg.weight",
			"aux_det_heads.2.project.0.weight", "manpp.2.head.project.weight",
			"aux_det_heads.2.extra_levels.1.1.bias", "manpp.2.head.extra.1.bias",
			"aux_det_heads.0.cls_subnet.conv.2.bias", "manpp.0.head.classification_head.conv.1.0.bias",
			"aux_det_heads.0.reg_subnet.out.bias", "manpp.0.head.regression_head.bbox_reg.bias",
		}},
		{"official MAN++ CIFAR ResNet", []string{
			"conv1.weight", "conv1.weight", "layer3.4.conv2.weight", "layer3.4.conv2.weight",
			"LB_first.conv1.weight", "manpp.0.lb.conv1.weight", "EMA_first.bn2.bias", "manpp.0.ema.bn2.bias", "ema_s_first", "manpp.0.s",
			"LB.0.conv1.weight", "manpp.1.lb.conv1.weight", "EMA_Net.13.bn1.weight", "manpp.14.ema.bn1.weight", "ema_s.13", "manpp.14.s",
			"fc64.weight", "fc.weight",
		}},
		{"CIFAR ResNet", []string{"module.conv1.weight", "conv1.weight", "module.layer3.0.conv1.weight", "layer3.0.conv1.weight", "module.linear.bias", "fc.bias"}},
		{"official MAN++ ResNet", []string{"conv1.weight", "conv1.weight", "module.layer4.0.conv1.weight", "layer4.0.conv1.weight", "LB.0.conv1.weight", "manpp.0.lb.conv1.weight", "module.ema_s.0", "manpp.0.s"}},
		{"torchvision ViT", []string{
			"class_token", "cls", "conv_proj.weight", "patch.proj.weight", "encoder.pos_embedding", "pos",
			"encoder.layers.encoder_layer_11.ln_1.bias", "blocks.11.n1.bias",
			"encoder.layers.encoder_layer_0.self_attention.in_proj_weight", "blocks.0.attn.qkv.weight",
			"encoder.layers.encoder_layer_0.self_attention.out_proj.bias", "blocks.0.attn.proj.bias",
			"encoder.layers.encoder_layer_0.mlp.0.weight", "blocks.0.mlp.fc1.weight",
			"encoder.layers.encoder_layer_1.mlp.linear_2.weight", "blocks.1.mlp.fc2.weight",
			"encoder.ln.weight", "norm.weight", "heads.head.bias", "head.bias",
		}},
		{"timm ViT", []string{
			"cls_token", "class_token", "pos_embed", "encoder.pos_embedding", "patch_embed.proj.bias", "conv_proj.bias",
			"blocks.3.norm2.weight", "encoder.layers.encoder_layer_3.ln_2.weight", "blocks.3.attn.qkv.bias", "encoder.layers.encoder_layer_3.self_attention.in_proj_bias",
			"blocks.3.mlp.fc2.bias", "encoder.layers.encoder_layer_3.mlp.3.bias", "norm.bias", "encoder.ln.bias", "head.weight", "heads.head.weight",
		}},
	} {
		var want, have []Tensor
		for i := 0; i < len(c.pairs); i += 2 {
			have = append(have, Tensor{Name: c.pairs[i], Shape: []int{i + 1}})
			want = append(want, Tensor{Name: c.pairs[i+1], Shape: []int{i + 1}})
		}
		r := Fit(want, have)
		if !r.Complete() || len(r.Unused) != 0 || r.Source != c.source {
			t.Errorf("%s:\n%s", c.source, r)
		}
		for i := 0; i < len(c.pairs); i += 2 {
			if got := r.From(c.pairs[i+1]); got != c.pairs[i] {
				t.Errorf("%s from %s, want %s", c.pairs[i+1], got, c.pairs[i])
			}
		}
	}
}

func TestFit(t *testing.T) {
	have := []Tensor{
		{Name: "conv1.weight", Shape: []int{64}}, {Name: "bn1.num_batches_tracked"}, {Name: "layer1.0.conv1.weight", Shape: []int{36}},
		{Name: "Encoder_Net.0.0.conv1.weight", Shape: []int{36}}, {Name: "layer4.0.conv1.weight", Shape: []int{7}}, {Name: "fc.weight", Shape: []int{10, 2}}, {Name: "s", Shape: []int{1}},
	}
	want := []Tensor{
		{Name: "backbone.conv1.weight", Shape: []int{64}}, {Name: "backbone.layer1.0.conv1.weight", Shape: []int{36}},
		{Name: "backbone.layer4.0.conv1.weight", Shape: []int{8}}, {Name: "classifier.weight", Shape: []int{3}}, {Name: "s"},
	}
	r := Fit(want, have)
	if d := cmp.Diff([][]string{{"backbone.conv1.weight", "backbone.layer1.0.conv1.weight", "s"}, {"classifier.weight"}, {"fc.weight"}, {"bn1.num_batches_tracked", "Encoder_Net.0.0.conv1.weight"}}, [][]string{r.Loaded, r.Missing, r.Unused, r.Idle}); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]Mismatch{{"backbone.layer4.0.conv1.weight", []int{8}, []int{7}}}, r.Mismatched); d != "" {
		t.Error(d)
	}
	if r.RequireShare(0.9) != nil || r.RequireShare(0.95) == nil || r.Require(0.5) == nil { // 101 of 112 elements
		t.Error(r.Share())
	}
	for _, s := range []string{"names of: torchvision ResNet\n", "2 names translated, e.g. backbone.conv1.weight from conv1.weight\n", "\nnot needed: 1 counters of batch norm, 1 second names of units (Encoder_Net)\n"} {
		if !strings.Contains(r.String(), s) {
			t.Errorf("no %q in\n%s", s, r)
		}
	}
	// What is stored under the wanted name goes before what only means the same.
	r = Fit([]Tensor{{Name: "conv1.weight"}, {Name: "fc.weight"}}, []Tensor{{Name: "module.conv1.weight"}, {Name: "conv1.weight"}, {Name: "linear.weight"}, {Name: "fc.weight"}})
	if r.From("conv1.weight") != "conv1.weight" || r.From("fc.weight") != "fc.weight" {
		t.Error(r)
	}
	// The unused classifier of MAN++ for CIFAR is not taken for the one in use.
	r = Fit([]Tensor{{Name: "fc.weight"}}, []Tensor{{Name: "fc.weight"}, {Name: "fc64.weight"}})
	if r.From("fc.weight") != "fc64.weight" || len(r.Idle) != 1 {
		t.Error(r)
	}
	r = Fit([]Tensor{{Name: "linear.weight"}}, []Tensor{{Name: "module.fc.weight"}, {Name: "module.fc64.weight"}})
	if r.From("linear.weight") != "module.fc64.weight" {
		t.Error(r.From("linear.weight"))
	}
}

func TestFill(t *testing.T) {
	f, err := Open("testdata/checkpoint_legacy.pth")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	want := []Tensor{{Name: "tail.1.weight", Shape: []int{3, 2}}, {Name: "conv.weight", Shape: []int{2, 1, 3, 3}}, {Name: "bn.bias", Shape: []int{2}}}
	r := f.Fit(want)
	if !r.Complete() || len(r.Idle) != 1 {
		t.Error(r)
	}
	got := map[string][]int{}
	if err := f.Fill(r, func(x Tensor) error {
		got[x.Name] = x.Shape
		return x.check()
	}); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(map[string][]int{"tail.1.weight": {3, 2}, "conv.weight": {2, 1, 3, 3}, "bn.bias": {2}}, got); d != "" {
		t.Error(d)
	}
	stop := errors.New("stop")
	if err := f.Fill(r, func(Tensor) error { return stop }); !errors.Is(err, stop) || !strings.Contains(err.Error(), "checkpoint_legacy.pth") {
		t.Error(err)
	}
}

// What is written for other programs has their names and nothing else, and comes
// back into a model with a prefix.
func TestPlain(t *testing.T) {
	c := sample(1, 0.5)
	c.Params = append(c.Params, Tensor{Name: "manpp.0.s", Shape: []int{1}, Data: []float32{1}})
	path := filepath.Join(t.TempDir(), "plain.safetensors")
	if err := WriteFile(path, c.Plain("manpp."), nil); err != nil {
		t.Fatal(err)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var names []string
	for _, i := range f.Tensors() {
		names = append(names, i.Name)
	}
	slices.Sort(names)
	if d := cmp.Diff([]string{"bn.running_mean", "conv.weight", "ema_s.0"}, names); d != "" {
		t.Error(d)
	}
	// A checkpoint of ours fits as it is.
	whole := filepath.Join(t.TempDir(), "a.safetensors")
	if err := Save(whole, c); err != nil {
		t.Fatal(err)
	}
	g, err := Open(whole)
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	r := g.Fit([]Tensor{{Name: "conv.weight", Shape: []int{2, 1, 1, 2}}, {Name: "bn.running_mean", Shape: []int{1}}, {Name: "manpp.0.s", Shape: []int{1}}})
	if !r.Complete() || r.From("conv.weight") != "param/conv.weight" || len(r.Idle) != 3 { // two states of the optimizer, and ema_s.0 or its twin
		t.Error(r)
	}
}
