package train

import (
	"fmt"
	"math"

	"manvision/manpp"
	"manvision/nn"
	"manvision/optim"
	"manvision/report/progress"
)

// within cuts the model into as few blocks as let a training step's plan fit into
// limit bytes, balanced by manpp.Balance; one block, which is end-to-end training, is
// tried first. It notes what it chose. Evaluation is not part of that plan.
func (n *Network) within(limit int64, heads headsOf) error {
	images, h, w := PlanSize(n.Config)
	hyper, err := n.Config.Hyper()
	if err != nil {
		return err
	}
	least, leastK := int64(math.MaxInt64), 0
	for k := 1; k < len(n.Model.Backbone.Units); k++ {
		m := *n.Model
		m.Strategy, m.Partition = manpp.E2E, nil
		if k > 1 {
			m.Strategy = n.Model.Strategy
			if m.Partition, err = manpp.Balance(&m, hyper, heads, images, h, w, k); err != nil {
				return err
			}
		}
		total, err := stepBytes(&m, hyper, heads, images, h, w)
		if err != nil {
			return err
		}
		if total <= limit {
			n.Model.Strategy, n.Model.Partition = m.Strategy, m.Partition
			if n.Note != "" {
				n.Note += "\n"
			}
			n.Note += fmt.Sprintf("manpp.memory_limit %s: K=%d is the smallest number of blocks that fits (%s planned)", progress.Bytes(limit), k, progress.Bytes(total))
			return nil
		}
		if total < least {
			least, leastK = total, k
		}
	}
	return fmt.Errorf("manpp.memory_limit: no number of blocks fits into %s; the least is %s with K=%d; use a smaller train.batch, with train.accumulate for the rest of it, smaller images, manpp.recompute=convs or precision=bf16", progress.Bytes(limit), progress.Bytes(least), leastK)
}

// stepBytes plans a training step of m with variables of its own.
func stepBytes(m *manpp.Model, hyper optim.Hyper, heads headsOf, n, h, w int) (int64, error) {
	t := *m
	t.Store = nn.NewStore(m.Store.Device(), 0)
	t.Store.Activations = m.Store.Activations
	opt, err := manpp.NewOptimizer(t.Store, hyper, optim.Rules{}, optim.Schedule{Base: 1})
	if err != nil {
		return 0, err
	}
	tr, err := manpp.NewTrainer(&t, opt, func(n, h, w int) (manpp.Heads, error) { return heads(&t, n, h, w) })
	if err != nil {
		return 0, err
	}
	defer tr.Close()
	s, err := tr.Steps(n, h, w)
	if err != nil {
		return 0, err
	}
	return tr.Memory(s).Total(), nil
}
