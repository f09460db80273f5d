package train

import (
	"fmt"
	"strings"

	"manvision/backbone"
	"manvision/config"
	"manvision/data"
	"manvision/data/augment"
	"manvision/device"
	"manvision/exec"
	"manvision/manpp"
	"manvision/nn"
	"manvision/segmentation"
)

// Segmenter is a segmentation model built from a recipe.
type Segmenter struct {
	*Network
	Segmentation *segmentation.Net
	Labels       *LabelClasses
}

// NewSegmenter builds the model that a recipe describes for the classes. No memory
// is allocated yet.
func NewSegmenter(cfg *config.Config, dev device.Device, classes *LabelClasses) (*Segmenter, error) {
	m, local := cfg.Model.Segmentation, cfg.MANPP
	body, err := newBackbone(cfg)
	if err != nil {
		return nil, err
	}
	if body, err = backbone.Dilated(body, m.OutputStride); err != nil {
		return nil, err
	}
	net := &segmentation.Net{
		Classes: classes.Len(), Head: m.Head, OutputStride: m.OutputStride, Rates: m.ASPPRates, Channels: m.ASPPChannels,
		Dropout: m.Dropout, HeadDropout: m.HeadDropout, AuxWeight: m.AuxWeight,
		LocalChannels: local.LocalChannels, TaskWeight: local.TaskWeight, ReconWeight: local.ReconWeight, DecoderChannels: local.DecoderChannels,
		OHEM: nn.OHEM{Threshold: m.OHEMThreshold, MinKept: m.OHEMMinKept},
		Mean: augment.ImageNetMean, Std: augment.ImageNetStd,
	}
	if err := net.Check(); err != nil {
		return nil, err
	}
	n, err := newNetwork(cfg, dev, body, segmentation.BodyPrefix, classes, net.NewHeads)
	if err != nil {
		return nil, err
	}
	n.Head = fmt.Sprintf("%s at output stride %d", m.Head, m.OutputStride)
	n.Details = []string{"head=" + m.Head, fmt.Sprintf("output_stride=%d", m.OutputStride)}
	if m.Head != segmentation.FCN {
		n.Head += fmt.Sprintf(" with %d channels", m.ASPPChannels)
		n.Details = append(n.Details, fmt.Sprintf("aspp_channels=%d", m.ASPPChannels), "aspp_rates="+strings.ReplaceAll(fmt.Sprint(m.ASPPRates), " ", ","))
	}
	d := &Segmenter{Network: n, Segmentation: net, Labels: classes}
	return d, limited(d, net.NewHeads)
}

// NewHeads implements Model.
func (s *Segmenter) NewHeads(n, h, w int) (manpp.Heads, error) {
	return s.Segmentation.NewHeads(s.Model, n, h, w)
}

// SetTargets implements Model.
func (s *Segmenter) SetTargets(h manpp.Heads, b *data.Batch, _ map[string]bool) error {
	return segmentation.TargetsOf(h).Set(b.Labels, b.Images)
}

// NewPredictor implements Model.
func (s *Segmenter) NewPredictor(input, arena *exec.Arena) (Predictor, error) {
	return NewSegmentationPredictor(s, input, arena)
}
