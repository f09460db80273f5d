package train

import (
	"fmt"
	"math"
	"strings"

	"manvision/manpp"
	"manvision/nn"
	"manvision/weights"
)

// average is the exponential moving average of the weights and statistics that
// inference needs, in host memory: what evaluations and checkpoints of a run with
// train.weight_ema hold (Polyak and Juditsky 1992; Tan and Le 2019 for networks).
type average struct {
	decay float64
	store *nn.Store
	vars  []*nn.Var
	value [][]float32
	now   [][]float32 // of the weights in training, while the average stands in
}

// averaged begins the names under which a checkpoint keeps the weights in training,
// beside the optimizer's state.
const averaged = "training/"

// newAverage starts from the store's present values, which all must have.
func newAverage(store *nn.Store, decay float64) (*average, error) {
	a := &average{decay: decay, store: store}
	for _, v := range store.Vars() {
		if strings.HasPrefix(v.Name, manpp.AuxPrefix) {
			continue
		}
		x := make([]float32, v.Elems())
		if err := store.Get(v.Name, x); err != nil {
			return nil, err
		}
		a.vars = append(a.vars, v)
		a.value = append(a.value, x)
		a.now = append(a.now, make([]float32, v.Elems()))
	}
	return a, nil
}

// update takes the weights after step (from 0) in. Early steps, before which there is
// little to average, count more.
func (a *average) update(step int64) error {
	t := float64(step)
	share := float32(1 - math.Min(a.decay, (1+t)/(10+t)))
	for i, v := range a.vars {
		if err := a.store.Get(v.Name, a.now[i]); err != nil {
			return err
		}
		x := a.value[i]
		for k, w := range a.now[i] {
			x[k] += share * (w - x[k])
		}
	}
	return nil
}

// swapIn puts the average in the place of the weights; swapOut puts these back.
func (a *average) swapIn() error {
	for i, v := range a.vars {
		if err := a.store.Get(v.Name, a.now[i]); err != nil {
			return err
		}
	}
	return a.set(a.value)
}

func (a *average) swapOut() error { return a.set(a.now) }

func (a *average) set(values [][]float32) error {
	for i, v := range a.vars {
		if err := a.store.Set(v.Name, values[i]); err != nil {
			return err
		}
	}
	return nil
}

// keep adds the weights in training to a checkpoint that was made with the average
// swapped in.
func (a *average) keep(c *weights.Checkpoint) {
	for i, v := range a.vars {
		c.Optimizer = append(c.Optimizer, weights.Tensor{Name: averaged + v.Name, Shape: v.Shape, Data: a.now[i]})
	}
}

// restore takes the average from the store, where a checkpoint has just been loaded,
// and puts the checkpoint's weights in training there.
func (a *average) restore(path string, optimizer []weights.Tensor) error {
	stored := map[string][]float32{}
	for _, t := range optimizer {
		if name, ok := strings.CutPrefix(t.Name, averaged); ok {
			stored[name] = t.Data
		}
	}
	for i, v := range a.vars {
		x, ok := stored[v.Name]
		if !ok || len(x) != v.Elems() {
			return fmt.Errorf("%s: was trained without train.weight_ema: no weights in training of %s; go on with --set train.weight_ema=0", path, v.Name)
		}
		if err := a.store.Get(v.Name, a.value[i]); err != nil {
			return err
		}
		copy(a.now[i], x)
	}
	return a.swapOut()
}
