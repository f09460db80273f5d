package train

import (
	"fmt"
	"math"

	"manvision/config"
	"manvision/manpp"
	"manvision/nn"
	"manvision/report/progress"
)

// limited cuts a model whose recipe has a limit of memory into as few blocks as let the
// plan of a training step and of evaluations fit into it, balanced by manpp.Balance; one
// block, which is end-to-end training, is tried first. It notes what it chose.
func limited(m Model, heads headsOf) error {
	n := m.Net()
	model, store := n.Model, n.Store
	if !model.Strategy.Local || n.Config.MANPP.MemoryLimit == "" {
		return nil
	}
	limit, err := config.ParseBytes(n.Config.MANPP.MemoryLimit)
	if err != nil {
		return err
	}
	hyper, err := n.Config.Hyper()
	if err != nil {
		return err
	}
	defer func() { n.Model, n.Store = model, store }()
	images, h, w := PlanSize(n.Config)
	least, leastK := int64(math.MaxInt64), 0
	for k := 1; k < len(model.Backbone.Units); k++ {
		// Each is planned with variables of its own.
		t := *model
		t.Store = nn.NewStore(store.Device(), 0)
		t.Store.Activations, t.Store.Fold = store.Activations, store.Fold
		t.Strategy, t.Partition = manpp.E2E, nil
		if k > 1 {
			t.Strategy = model.Strategy
			if t.Partition, err = manpp.Balance(&t, hyper, heads, images, h, w, k); err != nil {
				return err
			}
		}
		n.Model, n.Store = &t, t.Store
		step, evaluation, err := foresee(m, images, h, w)
		if err != nil {
			return err
		}
		total := step.Total() + evaluation
		if total <= limit {
			model.Strategy, model.Partition = t.Strategy, t.Partition
			if n.Note != "" {
				n.Note += "\n"
			}
			n.Note += fmt.Sprintf("manpp.memory_limit %s: K=%d is the smallest number of blocks that fits (%s planned, evaluation included)", progress.Bytes(limit), k, progress.Bytes(total))
			return model.Check()
		}
		if total < least {
			least, leastK = total, k
		}
	}
	return fmt.Errorf("manpp.memory_limit: no number of blocks fits into %s; the least is %s with K=%d; use a smaller train.batch, with train.accumulate for the rest of it, smaller images, a smaller eval.batch, manpp.recompute=convs or precision=bf16", progress.Bytes(limit), progress.Bytes(least), leastK)
}
