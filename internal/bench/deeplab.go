package bench

import (
	"context"
	"fmt"
	"time"

	"manvision/backbone"
	"manvision/data/augment"
	"manvision/device"
	"manvision/internal/resident"
	"manvision/manpp"
	"manvision/optim"
	"manvision/segmentation"
)

// DeepLab says what DeepLabV3 ResNet-50 at output stride 8 with 19 classes is timed
// on: random images [Batch,Height,Width,3], a sixteenth of the pixels ignored.
type DeepLab struct {
	Batch, Height, Width int
	// Blocks is 1 for end to end training, 2 for a cut in the middle of layer3, 4 for
	// cuts behind layer1, layer2 and layer3, trained by MAN++.
	Blocks int
	// Balanced makes the cuts of 4 blocks those that keep the largest step smallest
	// (manpp.Balance) instead.
	Balanced bool
	// LocalChannels is the width of the local heads; 0: a quarter of their input's.
	LocalChannels int
	// NoAux leaves out the auxiliary head, whose loss counts half.
	NoAux bool
	// Fold folds batch norms into the convolutions for inference.
	Fold bool
}

var deepLabHyper = optim.Hyper{Rule: optim.SGD, Momentum: 0.9}

// model describes the network; strategy and cuts are those of Blocks.
func (d DeepLab) model(dev device.Device) (*segmentation.Net, *manpp.Model, error) {
	body, err := backbone.New("resnet50", 64)
	if err != nil {
		return nil, nil, err
	}
	if body, err = backbone.Dilated(body, 8); err != nil {
		return nil, nil, err
	}
	net := &segmentation.Net{Classes: 19, Head: segmentation.DeepLabV3, OutputStride: 8, Dropout: 0.5, AuxWeight: 0.5, HeadDropout: 0.1, LocalChannels: d.LocalChannels, TaskWeight: 1}
	if d.NoAux {
		net.AuxWeight = 0
	}
	m := &manpp.Model{Store: newStore(dev), Backbone: body, Strategy: manpp.MANPP, EMAMomentum: 0.995, Prefix: segmentation.BodyPrefix}
	switch d.Blocks {
	case 1:
		m.Strategy = manpp.E2E
	case 2:
		m.Partition, err = manpp.Cuts(body, []string{"layer3.2"})
	case 4:
		m.Partition = manpp.Stages(body)
		if d.Balanced {
			heads := func(m *manpp.Model, n, h, w int) (manpp.Heads, error) { return net.NewHeads(m, n, h, w) }
			m.Partition, err = manpp.Balance(m, deepLabHyper, heads, d.Batch, d.Height, d.Width, d.Blocks)
		}
	default:
		err = fmt.Errorf("%d blocks: timed with 1, 2 or 4", d.Blocks)
	}
	return net, m, err
}

// Train times training steps as torchvision's reference trains: cross-entropy of the
// output and half of the auxiliary head's, SGD with momentum.
func (d DeepLab) Train(dev device.Device, steps int, profile bool) (*Steps, error) {
	base := resident.Baseline()
	start := time.Now()
	net, m, err := d.model(dev)
	if err != nil {
		return nil, err
	}
	defer m.Store.Free()
	opt, err := manpp.NewOptimizer(m.Store, deepLabHyper, optim.Rules{WeightDecay: 1e-4}, optim.Schedule{Base: 0.01})
	if err != nil {
		return nil, err
	}
	tr, err := manpp.NewTrainer(m, opt, func(n, h, w int) (manpp.Heads, error) { return net.NewHeads(m, n, h, w) })
	if err != nil {
		return nil, err
	}
	defer tr.Close()
	s, err := tr.Steps(d.Batch, d.Height, d.Width)
	if err != nil {
		return nil, err
	}
	if err := m.Store.Realize(); err != nil {
		return nil, err
	}
	out := &Steps{Compile: time.Since(start).Seconds(), Planned: tr.Memory(s).Total()}
	image := noise(d.Batch * d.Height * d.Width * 3)
	labels := make([]uint8, d.Batch*d.Height*d.Width)
	for i := range labels {
		labels[i] = uint8(i * 2654435761 >> 16 % 19)
		if i%(d.Height*d.Width) < d.Height*d.Width/16 {
			labels[i] = segmentation.Ignore
		}
	}
	step := int64(0)
	var r manpp.StepReport
	err = out.train(s, steps, profile, func() (float64, error) {
		if err := s.Input.Upload(image); err != nil {
			return 0, err
		}
		if err := segmentation.TargetsOf(s.Heads).Set(labels, image); err != nil {
			return 0, err
		}
		err := tr.Run(s, step, nil, false, &r)
		step++
		return r.Loss(), err
	})
	out.memory(dev, base)
	return out, err
}

// still is a picture of noise that is already normalised.
type still struct {
	h, w   int
	pixels []float32
}

func (s *still) Size() (w, h int) { return s.w, s.h }

func (s *still) Draw(_ segmentation.Part, canvas []float32, _, _ int) error {
	copy(canvas, s.pixels)
	return nil
}

// Infer times label maps of whole pictures, one at a time, from normalised pixels to
// the class of every pixel.
func (d DeepLab) Infer(dev device.Device, steps int) (*Steps, error) {
	base := resident.Baseline()
	start := time.Now()
	d.Blocks = 1
	net, m, err := d.model(dev)
	if err != nil {
		return nil, err
	}
	defer m.Store.Free()
	m.Store.Fold, m.Store.Prepare = d.Fold, d.Fold
	v, err := segmentation.NewViewer(net, m, segmentation.ViewOptions{Mode: segmentation.Whole, Resize: augment.Resize{}}, nil, nil)
	if err != nil {
		return nil, err
	}
	defer v.Close()
	plan, err := v.Plan(d.Width, d.Height)
	if err != nil {
		return nil, err
	}
	if err := m.Store.Realize(); err != nil {
		return nil, err
	}
	picture := &still{d.Height, d.Width, noise(d.Height * d.Width * 3)}
	out := &Steps{Compile: time.Since(start).Seconds(), Planned: plan.Bytes + m.Store.Bytes()}
	var labels []uint8
	err = out.run(steps, func() (float64, error) {
		var err error
		labels, err = v.Labels(context.Background(), picture, labels)
		return 0, err
	})
	out.Loss = nil
	out.memory(dev, base)
	return out, err
}
