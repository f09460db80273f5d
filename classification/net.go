// Package classification holds image classifiers on the backbones of package
// backbone: the final head, the local heads of DGL, PredSim, InfoPro, MAN and MAN++
// with their losses (METHOD §1.4, §1.5, §5), targets and inference. The evaluator is
// classification/topk.
package classification

import (
	"fmt"
	"slices"
	"strings"

	"gorgonia.org/gorgonia"

	"manvision/manpp"
	"manvision/nn"
)

// BodyPrefix begins the backbone's parameter names: torchvision's classifiers have
// none.
const BodyPrefix = ""

// Weights are the weights of a local loss at the first and at the last local head;
// those between lie on a line.
type Weights struct{ First, Last float64 }

func (w Weights) at(ratio float64) float64 { return w.First*(1-ratio) + w.Last*ratio }

// Net describes a classifier's heads and losses on top of a backbone.
type Net struct {
	// Classes counts the classes; labels are 0 to Classes-1.
	Classes int
	// Local is the local head, one of LocalHeads; empty: the strategy's own.
	Local string
	// Features is the width of local heads' hidden layers and of contrastive features;
	// 0 means 128.
	Features int
	// Widen multiplies the widths of InfoPro's heads and decoders; 0 means 1.
	Widen int
	// Contrast trains InfoPro's heads by the supervised contrastive loss of their
	// features instead of cross-entropy; Temperature is its, 0 means 0.07.
	Contrast    bool
	Temperature float64
	// Task and Recon weigh a local head's own loss and its decoder's reconstruction of
	// the image. Both zero means Task 1 everywhere; a part of weight 0 is not built.
	// Heads "dgl", "predsim" and "token" have no decoder. Published for MAN++ on CIFAR: Task 0.5
	// to 0, Recon 5 to 0, which leaves the last local head without a loss unless
	// Quirks.StageRatio is set; on ImageNet Task 0.75, Recon 5 throughout.
	Task, Recon Weights
	// Smoothing is the share of the labels spread over all classes (Szegedy et al.
	// 2016), in every cross-entropy; 0 is off, 0.1 usual for ImageNet.
	Smoothing float64
	// SimilarityShare is β of PredSim, the share of its similarity loss; 0 means 0.99.
	SimilarityShare float64
	// Mean and Std normalised the images (see data/augment); the decoder's target is
	// the image before that. Only read where a decoder is built.
	Mean, Std [3]float32
	Quirks    Quirks
}

// Quirks are habits of the official release that METHOD §1.4 lists. The zero value
// has none of them.
type Quirks struct {
	// StageRatio weighs local losses by the stage of the unit behind the block over K-2
	// instead of the block's index, and the stem's by First, so that weights hardly
	// change.
	StageRatio bool
	// StemContrast gives the stem's InfoPro head the form 1c2f and the contrastive loss
	// whatever the settings say.
	StemContrast bool
}

// ReleasedQuirks are all of them.
var ReleasedQuirks = Quirks{StageRatio: true, StemContrast: true}

// The local heads besides InfoPro's, which are named by convolutions and linear
// layers.
const (
	headDGL      = "dgl"
	headPredSim  = "predsim"
	headImageNet = "imagenet"
	headToken    = "token"
)

// LocalHeads lists what Net.Local can be: InfoPro's heads with so many 3x3
// convolutions and fully connected layers (0c1f is a linear classifier), MAN++'s head
// for DGL, PredSim's, InfoPro's for ImageNet, and that of vision transformers.
func LocalHeads() []string {
	return []string{"0c1f", "0c2f", "1c1f", "1c2f", "1c3f", "2c2f", headDGL, headPredSim, headImageNet, headToken}
}

// Check reports settings that no classifier can have.
func (s *Net) Check() error {
	switch {
	case s.Classes < 2:
		return fmt.Errorf("classification: %d classes (at least 2)", s.Classes)
	case s.Local != "" && !slices.Contains(LocalHeads(), s.Local):
		return fmt.Errorf("classification: local head %q (one of %s)", s.Local, strings.Join(LocalHeads(), ", "))
	case s.Features < 0 || s.Widen < 0:
		return fmt.Errorf("classification: features %d and widening %d must not be negative", s.Features, s.Widen)
	case !(s.Temperature >= 0):
		return fmt.Errorf("classification: temperature %v must not be negative", s.Temperature)
	case !(s.Smoothing >= 0 && s.Smoothing < 1):
		return fmt.Errorf("classification: label smoothing %v must be in [0, 1)", s.Smoothing)
	case !(s.SimilarityShare >= 0 && s.SimilarityShare <= 1):
		return fmt.Errorf("classification: share of the similarity loss %v must be in [0, 1]", s.SimilarityShare)
	}
	for _, w := range []Weights{s.Task, s.Recon} {
		if !(w.First >= 0) || !(w.Last >= 0) {
			return fmt.Errorf("classification: weights of local losses %v and %v must not be negative", s.Task, s.Recon)
		}
	}
	return nil
}

// local is the local head of a model.
func (s *Net) local(m *manpp.Model) string {
	if s.Local != "" {
		return s.Local
	}
	if m.Backbone.ViT != nil {
		switch m.Strategy.Name {
		case manpp.Greedy.Name, manpp.MAN.Name, manpp.MANPP.Name:
			return headToken
		}
	}
	return m.Strategy.Head
}

// decodes reports whether local heads of a kind can have decoders and s asks for one.
func (s *Net) decodes(kind string) bool {
	return kind != headDGL && kind != headPredSim && kind != headToken && s.Recon != Weights{}
}

func (s *Net) features() int {
	if s.Features == 0 {
		return 128
	}
	return s.Features
}

func (s *Net) temperature() float64 {
	if s.Temperature == 0 {
		return 0.07
	}
	return s.Temperature
}

// Outputs builds the final head, global average pooling and the linear layer fc, on
// features by stage and returns logits [N,Classes].
func (s *Net) Outputs(g *nn.Graph, feats map[int]manpp.Feature) *gorgonia.Node {
	last := -1
	for stage := range feats {
		last = max(last, stage)
	}
	if last < 0 || g.Err() != nil {
		g.Fail(fmt.Errorf("classification: no features of any stage"))
		return nil
	}
	return g.FC(g.GlobalAvgPool(feats[last].Node), "fc", s.Classes, nn.FrameworkDefault)
}

// Logits builds the final head of m's backbone on features by stage, Outputs or that
// of a vision transformer, and returns logits [N,Classes].
func (s *Net) Logits(g *nn.Graph, m *manpp.Model, feats map[int]manpp.Feature) *gorgonia.Node {
	vit := m.Backbone.ViT
	if vit == nil || g.Err() != nil {
		return s.Outputs(g, feats)
	}
	units := m.Backbone.Units
	return vit.Classify(g, feats[units[len(units)-1].Stage].Node, "", s.Classes)
}
