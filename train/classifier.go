package train

import (
	"manvision/backbone"
	"manvision/classification"
	"manvision/config"
	"manvision/data"
	"manvision/device"
	"manvision/exec"
	"manvision/manpp"
)

// Classifier is an image classifier built from a recipe.
type Classifier struct {
	*Network
	Classification *classification.Net
	Labels         *ClassNames
}

// NewClassifier builds the model that a recipe describes for the classes. No memory
// is allocated yet.
func NewClassifier(cfg *config.Config, dev device.Device, classes *ClassNames) (*Classifier, error) {
	local := cfg.MANPP.Classification
	body, err := newBackbone(cfg)
	if err != nil {
		return nil, err
	}
	how := normalisation(cfg.Data)
	net := &classification.Net{
		Classes: classes.Len(), Local: cfg.LocalHead(), Features: local.FeatureDim,
		Contrast: local.Contrast, Temperature: local.Temperature, Smoothing: cfg.Model.Classification.LabelSmoothing,
		Task:  classification.Weights{First: local.TaskWeights[0], Last: local.TaskWeights[1]},
		Recon: classification.Weights{First: local.ReconWeights[0], Last: local.ReconWeights[1]},
		Mean:  how.mean, Std: how.std,
	}
	if cfg.MANPP.Quirks == "released" {
		net.Quirks = classification.ReleasedQuirks
	}
	if err := net.Check(); err != nil {
		return nil, err
	}
	n, err := newNetwork(cfg, dev, body, classification.BodyPrefix, classes, net.NewHeads)
	if err != nil {
		return nil, err
	}
	n.Head = "linear classifier"
	n.Details = []string{"normalize=" + how.name}
	d := &Classifier{Network: n, Classification: net, Labels: classes}
	return d, limited(d, net.NewHeads)
}

// newBackbone makes a recipe's backbone.
func newBackbone(cfg *config.Config) (*backbone.Backbone, error) {
	return backbone.New(cfg.Model.Backbone, Width(cfg))
}

// Width is the width of a recipe's backbone, the published one where it names none.
func Width(cfg *config.Config) int {
	if cfg.Model.Width == 0 {
		return backbone.PublishedWidth(cfg.Model.Backbone)
	}
	return cfg.Model.Width
}

// NewHeads implements Model.
func (c *Classifier) NewHeads(n, h, w int) (manpp.Heads, error) {
	return c.Classification.NewHeads(c.Model, n, h, w)
}

// SetTargets implements Model.
func (c *Classifier) SetTargets(h manpp.Heads, b *data.Batch, _ map[string]bool) error {
	t := classification.TargetsOf(h)
	if alpha := c.Config.Train.Mixup; alpha > 0 {
		others, shares := mixup(b, c.Config.Seed, alpha)
		return t.SetMixed(b.Classes, others, shares, b.Images)
	}
	return t.Set(b.Classes, b.Images)
}

// NewPredictor implements Model.
func (c *Classifier) NewPredictor(input, arena *exec.Arena) (Predictor, error) {
	return NewClassificationPredictor(c, input, arena)
}
