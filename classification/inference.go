package classification

import (
	"fmt"

	"gorgonia.org/gorgonia"

	"manvision/device"
	"manvision/exec"
	"manvision/manpp"
	"manvision/nn"
)

// Inference is the network without its auxiliary parts, compiled for one input size.
type Inference struct {
	Input   *exec.Tensor // images [n,h,w,3]
	Classes int          // of the logits [n,Classes]

	program *exec.Program
	logits  *gorgonia.Node
}

// NewInference compiles model m's backbone under s's head for images [n,h,w,3]. input
// and arena may be shared with programs that never run at the same time; nil makes own
// ones. Where the store's Fold is set, batch norms are folded into the convolutions
// before them: a second copy of the weights for less time.
func (s *Net) NewInference(m *manpp.Model, n, h, w int, input, arena *exec.Arena) (*Inference, error) {
	if err := s.Check(); err != nil {
		return nil, err
	}
	if input == nil {
		input = exec.NewArena(m.Store.Device())
	}
	inf := &Inference{Classes: s.Classes}
	var err error
	if inf.Input, err = exec.NewTensorIn(input, device.Desc{Shape: []int{n, h, w, 3}}); err != nil {
		return nil, err
	}
	g := nn.NewGraph(m.Store, nn.Eval)
	inf.logits = s.Logits(g, m, m.Features(g, g.Leaf("input", inf.Input)))
	if g.Err() != nil {
		return nil, fmt.Errorf("inference: %w", g.Err())
	}
	if inf.program, err = g.Compile("inference", arena, inf.logits); err != nil {
		return nil, err
	}
	return inf, nil
}

// Run computes logits [n,Classes], []float32 or []float64, of the images in Input.
func (i *Inference) Run(logits any) error {
	if err := i.program.Run(); err != nil {
		return err
	}
	return i.program.Download(logits, i.logits)
}

// Bytes is the working memory that the program needs.
func (i *Inference) Bytes() int64 { return i.program.Bytes() }

// Close frees the program.
func (i *Inference) Close() error { return i.program.Close() }
