// Package segmentation holds semantic segmentation on dilated ResNets: DeepLabV3,
// DeepLabV3+ and FCN with their losses and targets, the local heads of MAN++
// (METHOD §3), inference, and what turns low-resolution logits into label maps.
package segmentation

import (
	"fmt"
	"strings"

	"gorgonia.org/gorgonia"

	"manvision/manpp"
	"manvision/nn"
)

// Names of the network's parts in parameter names, torchvision's.
const (
	BodyPrefix       = "backbone."
	classifierPrefix = "classifier."
	auxiliaryPrefix  = "aux_classifier."
)

// Ignore is the label of pixels that count nothing in any loss.
const Ignore = 255

// The heads that Net.Head names.
const (
	DeepLabV3     = "deeplabv3"     // Chen et al. 2017, arXiv 1706.05587
	DeepLabV3Plus = "deeplabv3plus" // Chen et al. 2018, arXiv 1802.02611
	FCN           = "fcn"           // torchvision's form of Long et al. 2015
)

// Heads lists the names that Net.Head can have.
func Heads() []string { return []string{DeepLabV3, DeepLabV3Plus, FCN} }

// Net describes a segmentation network on top of a dilated backbone, its losses
// and the local heads of MAN++.
type Net struct {
	// Classes counts the classes; labels are 0 to Classes-1 or Ignore.
	Classes int
	// Head is one of Heads.
	Head string
	// OutputStride is the backbone's, 8 or 16: pixels between cells of its last map
	// (see backbone.Dilated).
	OutputStride int
	// Rates are the dilations of the ASPP's 3x3 convolutions; nil means 12, 24, 36
	// at output stride 8 and 6, 12, 18 at 16.
	Rates []int
	// Channels is the width of the ASPP and of DeepLabV3+'s decoder; 0 means 256.
	Channels int
	// Dropout is the probability after the ASPP's projection, 0.5 in torchvision,
	// 0.1 in the CityScapes recipes.
	Dropout float64
	// AuxWeight is the weight of the auxiliary FCN head on layer3, trained where
	// layer3 ends inside the final block; 0 leaves the head out. 0.4 in mmsegmentation,
	// 0.5 in torchvision.
	AuxWeight float64
	// HeadDropout is the probability in FCN heads: final, auxiliary and local; 0.1.
	HeadDropout float64
	// LocalChannels is the width of the local FCN heads' 3x3 convolution; 0 means a
	// quarter of the input's channels.
	LocalChannels int
	// TaskWeight and ReconWeight weigh a local head's cross-entropy and its
	// reconstruction of the image (InfoPro). A part of weight 0 is not built.
	TaskWeight, ReconWeight float64
	// DecoderChannels is the first width of the reconstruction decoder; 0 means
	// InfoPro's 128, and 256 from stride 16 on.
	DecoderChannels int
	// OHEM is the online hard pixel mining of every cross-entropy but the auxiliary
	// head's.
	OHEM nn.OHEM
	// Mean and Std normalised the images (see data/augment); the decoder's target
	// is the image before that. Only read where ReconWeight is above 0.
	Mean, Std [3]float32
}

// Check reports settings that no network can have.
func (s *Net) Check() error {
	known := false
	for _, h := range Heads() {
		known = known || h == s.Head
	}
	switch {
	case !known:
		return fmt.Errorf("segmentation head %q (one of %s)", s.Head, strings.Join(Heads(), ", "))
	case s.Classes < 2 || s.Classes > Ignore:
		return fmt.Errorf("segmentation: %d classes; labels are bytes with %d for pixels to ignore, so 2 to %d are possible", s.Classes, Ignore, Ignore)
	case s.OutputStride != 8 && s.OutputStride != 16:
		return fmt.Errorf("segmentation: output stride %d (8 or 16)", s.OutputStride)
	case s.Channels < 0 || s.LocalChannels < 0 || s.DecoderChannels < 0:
		return fmt.Errorf("segmentation: channels %d, local channels %d and decoder channels %d must not be negative", s.Channels, s.LocalChannels, s.DecoderChannels)
	case s.Dropout < 0 || s.Dropout >= 1 || s.HeadDropout < 0 || s.HeadDropout >= 1:
		return fmt.Errorf("segmentation: dropout %v and head dropout %v must be in [0, 1)", s.Dropout, s.HeadDropout)
	case !(s.AuxWeight >= 0) || !(s.TaskWeight >= 0) || !(s.ReconWeight >= 0):
		return fmt.Errorf("segmentation: weights of the auxiliary loss %v, the local cross-entropy %v and the reconstruction %v must not be negative", s.AuxWeight, s.TaskWeight, s.ReconWeight)
	}
	for _, r := range s.Rates {
		if r < 1 {
			return fmt.Errorf("segmentation: dilation rates %v must be at least 1", s.Rates)
		}
	}
	for i := range s.Std {
		if s.ReconWeight > 0 && !(s.Std[i] > 0) {
			return fmt.Errorf("segmentation: the reconstruction loss needs the std of the images' normalisation, got %v", s.Std)
		}
	}
	return nil
}

// fits checks that model m's backbone has the output stride that s names, and that
// its partition can be trained with s's local heads.
func (s *Net) fits(m *manpp.Model) error {
	if err := s.Check(); err != nil {
		return err
	}
	stride := 1
	for _, u := range m.Backbone.Units {
		stride *= u.Stride
	}
	if stride != s.OutputStride {
		return fmt.Errorf("segmentation: output stride %d asked for, backbone %s has %d (see backbone.Dilated)", s.OutputStride, m.Backbone.Name, stride)
	}
	return nil
}

func (s *Net) rates() []int {
	switch {
	case len(s.Rates) > 0:
		return s.Rates
	case s.OutputStride == 8:
		return []int{12, 24, 36}
	}
	return []int{6, 12, 18}
}

func (s *Net) width() int {
	if s.Channels == 0 {
		return 256
	}
	return s.Channels
}

// Outputs builds the final head on features by stage and returns logits
// [N,h,w,Classes], h and w the input's over OutputStride, rounded up; those of
// DeepLabV3+ have stride 4.
func (s *Net) Outputs(g *nn.Graph, feats map[int]manpp.Feature) *gorgonia.Node {
	return s.outputs(g, feats, false)
}

// outputs is Outputs; frozen keeps the running statistics of the norm of the pooled
// image, see NewHeads.
func (s *Net) outputs(g *nn.Graph, feats map[int]manpp.Feature, frozen bool) *gorgonia.Node {
	x := s.feature(g, feats, 4)
	pyramid := aspp{rates: s.rates(), channels: s.width(), dropout: s.Dropout, frozen: frozen}
	switch s.Head {
	case DeepLabV3:
		return s.deeplab(g, x, pyramid, classifierPrefix)
	case DeepLabV3Plus:
		return s.deeplabPlus(g, x, s.feature(g, feats, 1), pyramid, classifierPrefix)
	case FCN:
		return fcn{classes: s.Classes, dropout: s.HeadDropout}.forward(g, x, classifierPrefix)
	}
	g.Fail(s.Check())
	return nil
}

// feature is the last map of a stage.
func (s *Net) feature(g *nn.Graph, feats map[int]manpp.Feature, stage int) *gorgonia.Node {
	f, ok := feats[stage]
	if !ok {
		g.Fail(fmt.Errorf("segmentation head %s: no features of stage %d", s.Head, stage))
	}
	return f.Node
}
