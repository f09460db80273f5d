package manpp

import (
	"testing"

	"gorgonia.org/gorgonia"

	"manvision/nn"
)

// dropping are toy's heads with dropout before each linear layer.
type dropping struct{ *toy }

func (h dropping) logits(g *nn.Graph, x *gorgonia.Node, prefix string) []Loss {
	x = g.FC(g.Dropout(x, prefix+"drop", 0.5), prefix+"fc", classes, nn.FrameworkDefault)
	return []Loss{{"ce", g.CrossEntropy(x, g.Leaf("labels", h.labels), -1)}}
}

func (h dropping) Local(g *nn.Graph, _ int, y Feature, prefix string) []Loss {
	return h.logits(g, g.GlobalAvgPool(y.Node), prefix)
}

func (h dropping) Final(g *nn.Graph, f map[int]Feature) []Loss {
	return h.logits(g, g.Concat(1, g.GlobalAvgPool(f[2].Node), g.GlobalAvgPool(f[4].Node)), "head.")
}

// TestDropoutFollowsStep: dropout's masks are those of the number of the step that
// runs, in every block, whatever ran before: a run that is resumed goes on as it
// would have.
func TestDropoutFollowsStep(t *testing.T) {
	losses := func(step int64) []float64 {
		r := newRig(t, settings{})
		r.tr.NewHeads = func(n, h, w int) (Heads, error) {
			toy, err := newToy(r.dev, n)
			return dropping{toy}, err
		}
		s := r.steps(6, 32, 32)
		if err := s.Input.Upload(images(0, 6, 32, 32)); err != nil {
			t.Fatal(err)
		}
		if err := r.tr.Run(s, step, nil, false, &r.rep); err != nil {
			t.Fatal(err)
		}
		var all []float64
		for _, b := range r.rep.Blocks {
			all = append(all, b.Loss)
		}
		return all
	}
	first, again, next := losses(5), losses(5), losses(6)
	for j := range first {
		if first[j] != again[j] {
			t.Errorf("block %d: losses %v and %v in the same step", j+1, first[j], again[j])
		}
		if first[j] == next[j] {
			t.Errorf("block %d: the loss %v is that of another step's masks", j+1, first[j])
		}
	}
}
