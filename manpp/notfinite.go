package manpp

import (
	"fmt"
	"math"
)

// NotFinite says that a step was given up because a loss or a gradient is NaN or
// infinite. What the step has changed by then:
//   - with clipping by the norm of all gradients no parameter and no optimizer state;
//   - with clipping by blocks, or after a bad loss without clipping, only those of the
//     blocks before Block, which were updated from finite losses of their own; running
//     statistics of these alone have seen the batch;
//   - bad gradients of a finite loss are not seen without clipping, since nothing then
//     waits for a norm: they do reach the parameters.
//
// EMA copies may have moved once towards sound parameters, and after a bad gradient all
// running statistics have seen the batch.
type NotFinite struct {
	Step  int64
	Part  int    // of the step, from 0
	Block int    // from 0; -1 for the norm of all blocks' gradients
	Of    string // "loss" or "gradient"
	Value float64
	LR    float64
}

// Error names block and step and what to try.
func (e *NotFinite) Error() string {
	of := "the loss of block"
	switch {
	case e.Block < 0:
		of = "the norm of the gradient"
	case e.Of == "gradient":
		of = "the norm of the gradient of block"
	}
	if e.Block >= 0 {
		of = fmt.Sprintf("%s %d", of, e.Block+1)
	}
	return fmt.Sprintf("step %d: %s is %v: the run diverged; lower the learning rate (now %g) or lengthen the warm-up", e.Step, of, e.Value, e.LR)
}

// Finding is where Locate found the first value that is NaN or infinite.
type Finding struct {
	Block int // from 0; -1: not found again
	// Op says what argument or result of which operation it is in.
	Op string
	// Gradients are parameters whose gradient has such values, as far as gradients were
	// kept.
	Gradients []string
}

// Locate runs the blocks of s once more, without updates, as far as needed to find what
// made e. It is for use right after RunPart returned e, with the batch still in s.
func (t *Trainer) Locate(s *Steps, e *NotFinite) (*Finding, error) {
	f := &Finding{Block: -1}
	if e.Of == "gradient" {
		for _, v := range t.Opt.order {
			g := t.Opt.grads[v.Name]
			if g == nil || e.Block >= 0 && t.Opt.block[v.Name] != e.Block {
				continue
			}
			x := make([]float64, g.Desc.Elems())
			if err := g.Download(x); err != nil {
				return nil, err
			}
			for _, d := range x {
				if math.IsNaN(d) || math.IsInf(d, 0) {
					f.Gradients = append(f.Gradients, v.Name)
					break
				}
			}
		}
	}
	first, last := max(e.Block, 0), e.Block
	if last < 0 {
		last = len(s.Blocks) - 1
	}
	for j := first; j <= last; j++ {
		op, err := s.Blocks[j].Program.FirstNotFinite()
		if err != nil {
			return nil, err
		}
		if op != "" {
			f.Block, f.Op = j, op
			break
		}
	}
	return f, nil
}
