package segmentation

import (
	"testing"

	"manvision/backbone"
	"manvision/device"
	"manvision/device/cpu"
	"manvision/manpp"
	"manvision/nn"
	"manvision/optim"
)

// planned compiles a training step of DeepLabV3-R50, 19 classes, output stride 8, 2
// images of 512x512, SGD with momentum, and returns its planned memory.
func planned(t testing.TB, dev device.Device, net *Net, b *backbone.Backbone, p manpp.Partition) manpp.Memory {
	t.Helper()
	m := &manpp.Model{Store: nn.NewStore(dev, 1), Backbone: b, Partition: p, Strategy: manpp.MANPP, EMAMomentum: 0.995, Prefix: BodyPrefix}
	if len(p) == 0 {
		m.Strategy = manpp.E2E
	}
	opt, err := manpp.NewOptimizer(m.Store, momentum, optim.Rules{}, optim.Schedule{Base: 0.01})
	if err != nil {
		t.Fatal(err)
	}
	tr, err := manpp.NewTrainer(m, opt, func(n, h, w int) (manpp.Heads, error) { return net.NewHeads(m, n, h, w) })
	if err != nil {
		t.Fatal(err)
	}
	defer tr.Close()
	s, err := tr.Steps(2, 512, 512)
	if err != nil {
		t.Fatal(err)
	}
	return tr.Memory(s)
}

var momentum = optim.Hyper{Rule: optim.SGD, Momentum: 0.9}

// TestPlannedMemory: the planned memory of four balanced blocks with local heads of
// 128 channels is at most 0.55 of end to end training's, auxiliary head included, on
// oneDNN, and less than four blocks by stages whatever the heads' channels.
func TestPlannedMemory(t *testing.T) {
	dev, err := cpu.New(cpu.Options{Threads: 4})
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	b, err := backbone.New("resnet50", 64)
	if err != nil {
		t.Fatal(err)
	}
	b = dilated(t, b, 8)
	net := &Net{Classes: 19, Head: DeepLabV3, OutputStride: 8, Dropout: 0.1, AuxWeight: 0.4, HeadDropout: 0.1, TaskWeight: 1}
	whole := planned(t, dev, net, b, nil)
	t.Logf("end to end: %d MB, %+v", whole.Total()/1e6, whole)
	for _, channels := range []int{0, 256, 128} {
		net.LocalChannels = channels
		m := &manpp.Model{Store: nn.NewStore(dev, 1), Backbone: b, Strategy: manpp.MANPP, Prefix: BodyPrefix}
		p, err := manpp.Balance(m, momentum, net.NewHeads, 2, 512, 512, 4)
		if err != nil {
			t.Fatal(err)
		}
		mid, err := manpp.Cuts(b, []string{"layer3.2"})
		if err != nil {
			t.Fatal(err)
		}
		plans := map[string]manpp.Memory{}
		for name, cuts := range map[string]manpp.Partition{"balanced": p, "stages": manpp.Stages(b), "two": mid} {
			c := planned(t, dev, net, b, cuts)
			plans[name] = c
			t.Logf("local channels %d, %s %v: %d MB, %.3f, %+v", channels, name, cuts, c.Total()/1e6, float64(c.Total())/float64(whole.Total()), c)
		}
		balanced, stages := plans["balanced"], plans["stages"]
		if balanced.Total() >= stages.Total() {
			t.Errorf("local channels %d: balanced cuts %v plan %d bytes, stages %d", channels, p, balanced.Total(), stages.Total())
		}
		if share := float64(balanced.Total()) / float64(whole.Total()); channels == 128 && share > 0.55 {
			t.Errorf("four blocks %v plan %.3f of end to end", p, share)
		}
	}
}
