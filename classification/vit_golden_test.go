package classification

import (
	"regexp"
	"testing"

	"manvision/backbone"
	"manvision/internal/golden"
	"manvision/manpp"
	"manvision/nn"
	"manvision/optim"
)

// ourViTName translates a parameter name of the official release's vision transformers
// into ours.
func ourViTName(name string) string {
	for _, r := range []struct{ from, to string }{
		{`^aux_lb\.(\d+)\.0\.`, `manpp.$1.lb.`},
		{`^aux_lb\.(\d+)\.(\d+)\.`, `manpp.$1.lb$2.`},
		{`^aux_ema\.(\d+)\.(0\.)?`, `manpp.$1.ema.`},
		{`^aux_clf\.(\d+)\.s$`, `manpp.$1.s`},
		{`^aux_clf\.(\d+)\.`, `manpp.$1.head.classifier.`},
	} {
		name = regexp.MustCompile(r.from).ReplaceAllString(name, r.to)
	}
	return name
}

// TestGoldenViT is TestGoldenCIFAR for the release's vision transformers: auxiliary
// networks of two units, the EMA updated before the backward pass, AdamW.
func TestGoldenViT(t *testing.T) { goldens(t, vitPort, "vit") }

func vitPort(t *testing.T, c golden.Config, store *nn.Store) port {
	body, err := backbone.NewViT(backbone.ViT{Name: "vit", Patch: c.Patch, Width: c.Dim, Heads: c.Heads, Depth: c.Depth, Released: true})
	if err != nil {
		t.Fatal(err)
	}
	quirks := manpp.Released
	quirks.EMABeforeBackward = c.EMAOrder == "before_backward"
	// K equal blocks, the patch embedding in the first.
	var cuts manpp.Partition
	for k := 1; k < c.K; k++ {
		cuts = append(cuts, k*c.Depth/c.K)
	}
	o := c.Optimizer
	return port{
		net: &Net{Classes: c.Classes},
		model: &manpp.Model{Store: store, Backbone: body, Partition: cuts, Strategy: manpp.MANPP, Quirks: quirks,
			EMAMomentum: c.EMAMomentum, Depth: c.AuxDepth, Prefix: BodyPrefix},
		hyper: optim.Hyper{Rule: optim.AdamW, Beta1: o.Betas[0], Beta2: o.Betas[1], Eps: o.Eps},
		name:  ourViTName,
	}
}
