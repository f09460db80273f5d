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

// restore puts a checkpoint's optimizer state back, and returns the average of the
// weights if the recipe has one; the weights themselves are in place.
func (n *Network) restore(tr *manpp.Trainer, path string, c *weights.Checkpoint) (*average, error) {
	stored := map[string]weights.Tensor{}
	for _, t := range c.Optimizer {
		stored[t.Name] = t
	}
	for _, s := range tr.Opt.States() {
		t, ok := stored[s.Name+"/"+s.Param]
		if !ok || len(t.Data) != s.Tensor.Desc.Elems() {
			return nil, fmt.Errorf("%s: no optimizer state %s of %s: the optimizer changed; --resume-policy weights begins with a fresh one", path, s.Name, s.Param)
		}
		if err := s.Tensor.Upload(t.Data); err != nil {
			return nil, err
		}
	}
	if n.Config.Train.WeightEMA == 0 {
		return nil, nil
	}
	a, err := newAverage(n.Store, n.Config.Train.WeightEMA)
	if err != nil {
		return nil, err
	}
	return a, a.restore(path, c.Optimizer)
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
