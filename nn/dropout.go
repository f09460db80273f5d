package nn

import (
	"fmt"
	"math"

	"gorgonia.org/gorgonia"

	"manvision/device"
	"manvision/exec"
)

// Dropout zeroes each element of x with probability p in [0,1) and scales the
// others by 1/(1−p). Which elements is decided by seed, the number in step (int32
// [1]) at the time of the run, and the element's index; the gradient uses the same
// ones.
func Dropout(x, step *gorgonia.Node, p float64, seed uint64) (*gorgonia.Node, error) {
	if err := present("dropout", x, step); err != nil {
		return nil, err
	}
	d := device.Dropout{Size: x.Shape().TotalSize(), P: p, Seed: seed}
	grad := func(in gorgonia.Nodes, _, dy *gorgonia.Node) (gorgonia.Nodes, error) {
		dx, err := apply(d, in[0].Shape().Clone(), nil, nil, dy, in[1])
		return nodes(err, dx, nil)
	}
	return apply(d, x.Shape().Clone(), []bool{true, false}, grad, x, step)
}

// Dropout is inverted dropout with probability p in [0,1); in Eval mode and with
// p 0 it is x itself. The elements dropped are a function of the store's seed, the
// layer's name and the store's step (see Store.SetStep) alone, the same on every
// device.
func (g *Graph) Dropout(x *gorgonia.Node, name string, p float64) *gorgonia.Node {
	return g.try(name, func() (*gorgonia.Node, error) {
		if err := present("dropout", x); err != nil {
			return nil, err
		}
		d := device.Dropout{Size: x.Shape().TotalSize(), P: p, Seed: NewStream(g.Store.seed, name).state}
		if err := d.Check(); err != nil {
			return nil, err
		}
		if g.Mode == Eval || p == 0 {
			return x, nil
		}
		step, err := g.Store.stepTensor()
		if err != nil {
			return nil, err
		}
		return Dropout(x, g.Leaf("step of dropout", step), p, d.Seed)
	})
}

// stepTensor is where kernels read the step.
func (s *Store) stepTensor() (*exec.Tensor, error) {
	if s.stepAt != nil {
		return s.stepAt, nil
	}
	t, err := exec.NewTensor(s.dev, device.Desc{DType: device.Int32, Shape: []int{1}})
	if err != nil {
		return nil, err
	}
	s.stepAt = t
	if s.step != 0 {
		return t, t.Upload([]int32{s.step})
	}
	return t, nil
}

// SetStep tells the number of the training step that runs next, from 0 to 2³¹−1,
// which dropout draws its masks from. Runs of one step number drop the same
// elements, so a run that is resumed goes on as if it had not stopped.
func (s *Store) SetStep(step int64) error {
	if step < 0 || step > math.MaxInt32 {
		return fmt.Errorf("step %d is not between 0 and %d", step, math.MaxInt32)
	}
	s.step = int32(step)
	if s.stepAt == nil {
		return nil
	}
	if err := s.stepAt.Upload([]int32{s.step}); err != nil {
		return fmt.Errorf("step %d: %w", step, err)
	}
	return nil
}
