package train

import (
	"encoding/json"
	"fmt"

	"manvision/manpp"
	"manvision/weights"
)

// checkpoint reads the whole state of a run after step steps into host memory.
func (n *Network) checkpoint(tr *manpp.Trainer, step, epoch int64, metrics weights.Metrics, score *float64) (*weights.Checkpoint, error) {
	c := &weights.Checkpoint{Meta: weights.Meta{Identity: n.Identity(), Step: step, Epoch: epoch, Metrics: metrics, Score: score, Config: string(n.Config.Resolved())}}
	var err error
	if c.Meta.IDMap, err = json.Marshal(n.Classes); err != nil {
		return nil, err
	}
	if c.Meta.Sampler, err = json.Marshal(map[string]any{"seed": n.Config.Seed, "step": step}); err != nil {
		return nil, err
	}
	if c.Meta.EMA, err = json.Marshal(map[string]any{"momentum": n.Model.EMAMomentum}); err != nil {
		return nil, err
	}
	for _, v := range n.Store.Vars() {
		t := weights.Tensor{Name: v.Name, Shape: v.Shape, Data: make([]float32, v.Elems())}
		if err := n.Store.Get(v.Name, t.Data); err != nil {
			return nil, err
		}
		if v.Buffer {
			c.Buffers = append(c.Buffers, t)
		} else {
			c.Params = append(c.Params, t)
		}
	}
	for _, s := range tr.Opt.States() {
		t := weights.Tensor{Name: s.Name + "/" + s.Param, Shape: s.Shape, Data: make([]float32, s.Tensor.Desc.Elems())}
		if err := s.Tensor.Download(t.Data); err != nil {
			return nil, err
		}
		c.Optimizer = append(c.Optimizer, t)
	}
	return c, nil
}

// resume puts a checkpoint's whole state back, says what was loaded, and returns the
// steps done and the average of the weights if the recipe has one.
func (n *Network) resume(tr *manpp.Trainer, path string, say func(string)) (int64, *average, error) {
	c, err := weights.Load(path)
	if err != nil {
		return 0, nil, err
	}
	if err := c.Meta.Identity.CheckResume(path, n.Identity()); err != nil {
		return 0, nil, err
	}
	if err := n.checkClasses(path, c.Meta.IDMap); err != nil {
		return 0, nil, err
	}
	var sampler struct{ Seed uint64 }
	if err := json.Unmarshal(c.Meta.Sampler, &sampler); err != nil {
		return 0, nil, fmt.Errorf("%s: sampler state: %w", path, err)
	}
	if sampler.Seed != n.Config.Seed {
		return 0, nil, fmt.Errorf("%s: was trained with seed %d, the recipe says %d: the order of the data would change; use --set seed=%d", path, sampler.Seed, n.Config.Seed, sampler.Seed)
	}
	r, err := n.setAll(path, append(append([]weights.Tensor{}, c.Params...), c.Buffers...), "")
	if err != nil {
		return 0, nil, err
	}
	say(fmt.Sprintf("%s:\n%s", path, r))
	stored := map[string]weights.Tensor{}
	for _, t := range c.Optimizer {
		stored[t.Name] = t
	}
	for _, s := range tr.Opt.States() {
		t, ok := stored[s.Name+"/"+s.Param]
		if !ok || len(t.Data) != s.Tensor.Desc.Elems() {
			return 0, nil, fmt.Errorf("%s: no optimizer state %s of %s: the optimizer changed; start anew with model.pretrained", path, s.Name, s.Param)
		}
		if err := s.Tensor.Upload(t.Data); err != nil {
			return 0, nil, err
		}
	}
	switch {
	case n.Config.Train.WeightEMA > 0:
		a, err := newAverage(n.Store, n.Config.Train.WeightEMA)
		if err != nil {
			return 0, nil, err
		}
		return c.Meta.Step, a, a.restore(path, c.Optimizer)
	case hasAverage(c.Optimizer):
		return 0, nil, fmt.Errorf("%s: was trained with train.weight_ema and holds the average; go on with the same value of it", path)
	}
	return c.Meta.Step, nil, nil
}

// checkClasses compares the classes that a checkpoint was trained on with the
// data's.
func (n *Network) checkClasses(path string, raw json.RawMessage) error {
	task, err := TaskOf(n.Config)
	if err != nil {
		return err
	}
	stored, err := task.ReadClasses(raw)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if diff := stored.Diff(n.Classes); diff != "" {
		return fmt.Errorf("%s: was trained on other categories than the data has: %s", path, diff)
	}
	return nil
}
