package bench

import (
	"fmt"
	"time"

	"manvision/backbone"
	"manvision/classification"
	"manvision/device"
	"manvision/internal/resident"
	"manvision/manpp"
	"manvision/optim"
)

// CIFAR says which classifier of ten classes is timed on random images
// [Batch,32,32,3], trained by SGD with Nesterov's momentum.
type CIFAR struct {
	Depth int // of the residual network: 32 or 110
	// Blocks is the papers' number of blocks: 1 trains end to end; 8 and 16 for depth 32,
	// 8, 16, 32 and 55 for depth 110 are published.
	Blocks int
	// Strategy trains several blocks; MAN leaves the stem in the first block, for the
	// others it is one of its own. InfoPro's heads have its published weights.
	Strategy manpp.Strategy
	Batch    int
	// Lanes is how many blocks may run at once, each on its share of the threads; 0 and
	// 1: one by one.
	Lanes int
}

// model describes the network; only blocks greater than 1 have a strategy.
func (c CIFAR) model(dev device.Device) (*classification.Net, *manpp.Model, error) {
	body, err := backbone.New(fmt.Sprintf("cifar_resnet%d", c.Depth), 16)
	if err != nil {
		return nil, nil, err
	}
	net := &classification.Net{Classes: 10}
	m := &manpp.Model{Store: newStore(dev), Backbone: body, Strategy: manpp.E2E, EMAMomentum: 0.995, Prefix: classification.BodyPrefix}
	if c.Blocks == 1 {
		return net, m, nil
	}
	if !c.Strategy.Local {
		return nil, nil, fmt.Errorf("strategy %s trains one block, not %d", c.Strategy.Name, c.Blocks)
	}
	m.Strategy = c.Strategy
	if m.Partition, err = manpp.Published(body, "", c.Blocks); err != nil {
		return nil, nil, err
	}
	if c.Strategy.Name != manpp.MAN.Name {
		m.Partition = m.Partition.WithStem()
	}
	if c.Strategy.Name == manpp.InfoPro.Name {
		net.Task, net.Recon = classification.Weights{First: 0.05, Last: 0.5}, classification.Weights{First: 5, Last: 0.2}
		net.Mean, net.Std = [3]float32{0.5, 0.5, 0.5}, [3]float32{0.25, 0.25, 0.25}
	}
	return net, m, nil
}

// Train times training steps: learning rate 0.1, momentum 0.9, weight decay 1e-4.
func (c CIFAR) Train(dev device.Device, steps int, profile bool) (*Steps, error) {
	return classify(dev, c.Lanes, c.model, optim.Hyper{Rule: optim.SGD, Momentum: 0.9, Nesterov: true}, optim.Rules{WeightDecay: 1e-4}, 0.1,
		[3]int{c.Batch, 32, 32}, steps, profile)
}

// ViT says which vision transformer of 1000 classes is timed on random images
// [Batch,224,224,3], in the official release's form (METHOD §1.6), trained by AdamW.
type ViT struct {
	Size string // tiny, small or base
	// Blocks is 1 for end to end training, 4 for MAN++ in four blocks of three.
	Blocks, Batch int
}

// ViTSizes lists what ViT.Size can be.
func ViTSizes() []string { return []string{"tiny", "small", "base"} }

func (v ViT) model(dev device.Device) (*classification.Net, *manpp.Model, error) {
	name := map[string]string{"tiny": "vit_ti_16_manpp", "small": "vit_s_16_manpp", "base": "vit_b_16_manpp"}[v.Size]
	if name == "" {
		return nil, nil, fmt.Errorf("size %q (one of %v)", v.Size, ViTSizes())
	}
	body, err := backbone.New(name, backbone.PublishedWidth(name))
	if err != nil {
		return nil, nil, err
	}
	m := &manpp.Model{Store: newStore(dev), Backbone: body, Strategy: manpp.E2E, EMAMomentum: 0.995, Prefix: classification.BodyPrefix}
	switch v.Blocks {
	case 1:
	case 4:
		m.Strategy, m.Partition = manpp.MANPP, manpp.Stages(body)
	default:
		return nil, nil, fmt.Errorf("%d blocks: timed with 1 or 4", v.Blocks)
	}
	return &classification.Net{Classes: 1000}, m, nil
}

// Train times training steps: learning rate 1e-3, weight decay 0.05.
func (v ViT) Train(dev device.Device, steps int, profile bool) (*Steps, error) {
	return classify(dev, 0, v.model, optim.Hyper{Rule: optim.AdamW, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8}, optim.Rules{WeightDecay: 0.05}, 1e-3,
		[3]int{v.Batch, 224, 224}, steps, profile)
}

// classify times training steps of a classifier on random images of size [n,h,w].
func classify(dev device.Device, lanes int, model func(device.Device) (*classification.Net, *manpp.Model, error), hyper optim.Hyper, rules optim.Rules, lr float64, size [3]int, steps int, profile bool) (*Steps, error) {
	n, h, w := size[0], size[1], size[2]
	if n < 1 {
		return nil, fmt.Errorf("%d images a step: at least 1", n)
	}
	base := resident.Baseline()
	start := time.Now()
	net, m, err := model(dev)
	if err != nil {
		return nil, err
	}
	defer m.Store.Free()
	opt, err := manpp.NewOptimizer(m.Store, hyper, rules, optim.Schedule{Base: lr})
	if err != nil {
		return nil, err
	}
	defer opt.Free()
	tr, err := manpp.NewTrainer(m, opt, func(n, h, w int) (manpp.Heads, error) { return net.NewHeads(m, n, h, w) })
	if err != nil {
		return nil, err
	}
	defer tr.Close()
	if lanes > 1 {
		if err := tr.SideBySide(lanes); err != nil {
			return nil, err
		}
	}
	s, err := tr.Steps(n, h, w)
	if err != nil {
		return nil, err
	}
	if err := m.Store.Realize(); err != nil {
		return nil, err
	}
	out := &Steps{Compile: time.Since(start).Seconds(), Planned: tr.Memory(s).Total()}
	image, labels := noise(n*h*w*3), make([]int32, n)
	for i := range labels {
		labels[i] = int32(i * 997 % net.Classes)
	}
	targets := classification.TargetsOf(s.Heads)
	step := int64(0)
	var r manpp.StepReport
	err = out.train(s, steps, profile, func() (float64, error) {
		if err := s.Input.Upload(image); err != nil {
			return 0, err
		}
		if err := targets.Set(labels, image); err != nil {
			return 0, err
		}
		err := tr.Run(s, step, nil, false, &r)
		step++
		return r.Loss(), err
	})
	out.memory(dev, base)
	return out, err
}
