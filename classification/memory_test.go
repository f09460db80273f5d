package classification

import (
	"testing"

	"manvision/backbone"
	"manvision/device/cpu"
	"manvision/manpp"
	"manvision/nn"
	"manvision/optim"
)

// TestPlannedMemory plans CIFAR steps at batch 128 with SGD and momentum. Blocks take
// less memory than end to end, auxiliary networks and heads included: that is the
// point of local learning. Planning allocates nothing.
func TestPlannedMemory(t *testing.T) {
	dev, err := cpu.New(cpu.Options{Threads: 4})
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	plan := func(name string, k int, s manpp.Strategy) manpp.Memory {
		body, err := backbone.New(name, 16)
		if err != nil {
			t.Fatal(err)
		}
		m := &manpp.Model{Store: nn.NewStore(dev, 1), Backbone: body, Strategy: s, EMAMomentum: 0.995, Prefix: BodyPrefix}
		if k > 0 {
			if m.Partition, err = manpp.Published(body, "", k); err != nil {
				t.Fatal(err)
			}
			m.Partition = m.Partition.WithStem()
		}
		opt, err := manpp.NewOptimizer(m.Store, optim.Hyper{Rule: optim.SGD, Momentum: 0.9}, optim.Rules{}, optim.Schedule{Base: 0.1})
		if err != nil {
			t.Fatal(err)
		}
		net := &Net{Classes: 10}
		tr, err := manpp.NewTrainer(m, opt, func(n, h, w int) (manpp.Heads, error) { return net.NewHeads(m, n, h, w) })
		if err != nil {
			t.Fatal(err)
		}
		defer tr.Close()
		steps, err := tr.Steps(128, 32, 32)
		if err != nil {
			t.Fatal(err)
		}
		return tr.Memory(steps)
	}
	for _, c := range []struct {
		name string
		k    int
	}{{"cifar_resnet32", 16}, {"cifar_resnet110", 55}} {
		whole := plan(c.name, 0, manpp.E2E)
		t.Logf("%s end to end: %d MB, working memory %d MB", c.name, whole.Total()/1e6, whole.Arena/1e6)
		for _, s := range []manpp.Strategy{manpp.Greedy, manpp.DGL, manpp.PredSim, manpp.InfoPro, manpp.AugLocal, manpp.MLAAN, manpp.MAN, manpp.MANPP} {
			m := plan(c.name, c.k, s)
			t.Logf("%s K=%d %s: %d MB, working memory %d MB, parameters %d MB", c.name, c.k, s.Name, m.Total()/1e6, m.Arena/1e6, m.Parameters/1e6)
			if m.Total() >= whole.Total() {
				t.Errorf("%s K=%d %s plans %d bytes, end to end %d", c.name, c.k, s.Name, m.Total(), whole.Total())
			}
		}
	}
	if now, _ := dev.Allocated(); now != 0 {
		t.Errorf("planning allocated %d bytes", now)
	}
}
