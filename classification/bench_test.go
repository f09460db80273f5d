package classification

import (
	"fmt"
	"testing"

	"manvision/backbone"
	"manvision/device/cpu"
	"manvision/manpp"
	"manvision/nn"
	"manvision/optim"
)

// BenchmarkStep times training steps on CIFAR at batch 128. The official release's,
// PyTorch 1.13 on 4 cores, take 2.50 s for ResNet-32 K=16 and 9.86 s for ResNet-110
// K=55 with DGL heads and MAN++, end to end 0.193 and 0.709 s.
func BenchmarkStep(b *testing.B) {
	for _, c := range []struct {
		name     string
		k        int
		strategy manpp.Strategy
	}{
		{"cifar_resnet32", 0, manpp.E2E}, {"cifar_resnet32", 16, manpp.DGL}, {"cifar_resnet32", 16, manpp.MANPP}, {"cifar_resnet32", 16, manpp.MLAAN},
		{"cifar_resnet110", 0, manpp.E2E}, {"cifar_resnet110", 55, manpp.MANPP},
	} {
		b.Run(fmt.Sprintf("%s/%s/K=%d", c.name, c.strategy.Name, c.k), func(b *testing.B) {
			const n = 128
			dev, err := cpu.New(cpu.Options{})
			if err != nil {
				b.Fatal(err)
			}
			defer dev.Close()
			body, err := backbone.New(c.name, 16)
			if err != nil {
				b.Fatal(err)
			}
			m := &manpp.Model{Store: nn.NewStore(dev, 1), Backbone: body, Strategy: c.strategy, EMAMomentum: 0.995, Prefix: BodyPrefix}
			defer m.Store.Free()
			if c.k > 0 {
				if m.Partition, err = manpp.Published(body, "", c.k); err != nil {
					b.Fatal(err)
				}
				m.Partition = m.Partition.WithStem()
			}
			opt, err := manpp.NewOptimizer(m.Store, optim.Hyper{Rule: optim.SGD, Momentum: 0.9, Nesterov: true}, optim.Rules{WeightDecay: 1e-4}, optim.Schedule{Base: 0.1})
			if err != nil {
				b.Fatal(err)
			}
			defer opt.Free()
			net := &Net{Classes: 10}
			tr, err := manpp.NewTrainer(m, opt, func(n, h, w int) (manpp.Heads, error) { return net.NewHeads(m, n, h, w) })
			if err != nil {
				b.Fatal(err)
			}
			defer tr.Close()
			s, err := tr.Steps(n, 32, 32)
			if err != nil {
				b.Fatal(err)
			}
			if err := m.Store.Realize(); err != nil {
				b.Fatal(err)
			}
			x, labels := make([]float32, n*32*32*3), make([]int32, n)
			for i := range x {
				x[i] = float32(i%17)/8 - 1
			}
			for i := range labels {
				labels[i] = int32(i % 10)
			}
			if err := TargetsOf(s.Heads).Set(labels, nil); err != nil {
				b.Fatal(err)
			}
			var r manpp.StepReport
			step := int64(0)
			one := func() {
				if err := s.Input.Upload(x); err != nil {
					b.Fatal(err)
				}
				if err := tr.Run(s, step, nil, false, &r); err != nil {
					b.Fatal(err)
				}
				step++
			}
			one()
			for b.Loop() {
				one()
			}
			b.ReportMetric(float64(tr.Memory(s).Total())/1e6, "plannedMB")
		})
	}
}
