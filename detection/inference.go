package detection

import (
	"fmt"

	"gorgonia.org/gorgonia"

	"manvision/device"
	"manvision/exec"
	"manvision/manpp"
	"manvision/nn"
)

// Inference is the detector without its auxiliary parts, compiled for one input
// size.
type Inference struct {
	Input   *exec.Tensor // images [n,h,w,3]
	Grid    *Grid
	Classes int

	program        *exec.Program
	logits, deltas *gorgonia.Node
}

// NewInference compiles model m's backbone under r's head for images [n,h,w,3].
// input and arena may be shared with programs that never run at the same time;
// nil makes own ones. Where the store's Fold is set, batch norms are folded into
// the convolutions before them: a second copy of the weights for less time.
func (r *RetinaNet) NewInference(m *manpp.Model, n, h, w int, input, arena *exec.Arena) (*Inference, error) {
	grid, err := r.Anchors.Grid(h, w)
	if err != nil {
		return nil, err
	}
	if input == nil {
		input = exec.NewArena(m.Store.Device())
	}
	inf := &Inference{Grid: grid, Classes: r.Classes}
	if inf.Input, err = exec.NewTensorIn(input, device.Desc{Shape: []int{n, h, w, 3}}); err != nil {
		return nil, err
	}
	g := nn.NewGraph(m.Store, nn.Eval)
	feats := m.Features(g, g.Leaf("input", inf.Input))
	inf.logits, inf.deltas = r.Outputs(g, feats)
	if g.Err() != nil {
		return nil, fmt.Errorf("inference: %w", g.Err())
	}
	if inf.program, err = g.Compile("inference", arena, inf.logits, inf.deltas); err != nil {
		return nil, err
	}
	return inf, nil
}

// Run computes logits [n,A,classes] and deltas [n,A,4] of the images in Input,
// []float32 or []float64 each.
func (i *Inference) Run(logits, deltas any) error {
	if err := i.program.Run(); err != nil {
		return err
	}
	if err := i.program.Download(logits, i.logits); err != nil {
		return err
	}
	return i.program.Download(deltas, i.deltas)
}

// Program is the compiled network, for its profile.
func (i *Inference) Program() *exec.Program { return i.program }

// Bytes is the working memory that the program needs.
func (i *Inference) Bytes() int64 { return i.program.Bytes() }

// Close frees the program.
func (i *Inference) Close() error { return i.program.Close() }
