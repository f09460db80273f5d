// Package train runs recipes: it builds a model from a config, trains it block
// by block, evaluates it, and keeps checkpoints and logs. One loop serves all
// tasks; what differs between them is behind Task, Model and Predictor.
package train

import (
	"fmt"
	"strings"

	"manvision/config"
	"manvision/data"
	"manvision/data/coco"
	"manvision/detection"
	"manvision/device"
	"manvision/exec"
	"manvision/manpp"
)

// Detector is a detection model built from a recipe.
type Detector struct {
	*Network
	RetinaNet *detection.RetinaNet
	IDs       *coco.IDMap // its length is the number of classes

	boxes  [][][4]float64 // of a batch, reused
	labels [][]int32
}

// NewDetector builds the model that a recipe describes for the categories of ids.
// No memory is allocated yet.
func NewDetector(cfg *config.Config, dev device.Device, ids *coco.IDMap) (*Detector, error) {
	body, err := newBackbone(cfg)
	if err != nil {
		return nil, err
	}
	m, l := cfg.Model, cfg.Model.Loss
	net := &detection.RetinaNet{
		Classes: ids.Len(), Channels: m.Channels, Convs: m.HeadConvs, LocalConvs: cfg.MANPP.LocalHeadConvs,
		Anchors:    detection.AnchorConfig{Strides: []int{8, 16, 32, 64, 128}, Sizes: m.Anchors.Sizes, Ratios: m.Anchors.Ratios, Scales: m.Anchors.Scales},
		Assign:     detection.AssignConfig{PosIoU: l.PositiveIoU, NegIoU: l.NegativeIoU},
		FocalAlpha: l.FocalAlpha, FocalGamma: l.FocalGamma, SmoothL1Beta: l.SmoothL1Beta, Prior: l.Prior,
	}
	if err := net.Anchors.Validate(); err != nil {
		return nil, err
	}
	if cfg.MANPP.Quirks == "released" {
		net.Quirks = detection.ReleasedQuirks
	}
	heads := func(_ *manpp.Model, n, h, w int) (manpp.Heads, error) { return net.NewHeads(dev, n, h, w) }
	n, err := newNetwork(cfg, dev, body, detection.BodyPrefix, categories{ids}, heads)
	if err != nil {
		return nil, err
	}
	n.Head = fmt.Sprintf("RetinaNet with %d channels", net.Channels)
	n.Details = []string{
		fmt.Sprintf("fpn_channels=%d", net.Channels), fmt.Sprintf("head_convs=%d", net.Convs),
		"anchors=" + strings.ReplaceAll(fmt.Sprint(net.Anchors.Sizes, net.Anchors.Ratios, net.Anchors.Scales), " ", ","),
		fmt.Sprintf("rectified_p6=%v", net.Quirks.RectifiedP6),
	}
	d := &Detector{Network: n, RetinaNet: net, IDs: ids}
	return d, limited(d, heads)
}

// NewHeads implements Model.
func (d *Detector) NewHeads(n, h, w int) (manpp.Heads, error) {
	return d.RetinaNet.NewHeads(d.Store.Device(), n, h, w)
}

// SetTargets implements Model.
func (d *Detector) SetTargets(h manpp.Heads, b *data.Batch, skip map[string]bool) error {
	for len(d.boxes) < b.N {
		d.boxes, d.labels = append(d.boxes, nil), append(d.labels, nil)
	}
	d.boxes, d.labels = d.boxes[:b.N], d.labels[:b.N]
	for i := range b.N {
		d.boxes[i], d.labels[i] = d.boxes[i][:0], nil
		if i >= len(b.Samples) {
			continue
		}
		for _, box := range b.Samples[i].Boxes {
			d.boxes[i] = append(d.boxes[i], [4]float64{float64(box[0]), float64(box[1]), float64(box[2]), float64(box[3])})
		}
		d.labels[i] = b.Samples[i].Labels
	}
	return detection.TargetsOf(h).Set(d.boxes, d.labels, skip)
}

// NewPredictor implements Model.
func (d *Detector) NewPredictor(input, arena *exec.Arena) (Predictor, error) {
	return NewDetectionPredictor(d, input, arena)
}
