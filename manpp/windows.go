package manpp

import (
	"errors"
	"strings"

	"manvision/exec"
	"manvision/nn"
)

// Weigher is a Heads whose losses can be weighed, which MLAAN asks for.
type Weigher interface {
	Heads
	// Weighed gives the same heads with losses times by.
	Weighed(by float64) Heads
}

// MLAAN's weights of a block's own loss and of its window's (METHOD §5.1).
const (
	ownWeight    = 0.001
	windowWeight = 0.999
)

// windows builds MLAAN's cascaded lamina: besides its own loss, a block has that of a
// window of Strategy.Window blocks that end with it, trained together.
type windows struct {
	model *Model
	heads Heads
	links []link
}

// link is what a block of the window reads.
type link struct {
	span   [2]int
	source *exec.Tensor
	stride int
	block  int
}

// push adds the next block and drops those that no window reaches any more.
func (w *windows) push(span [2]int, source *exec.Tensor, stride int) {
	next := link{span, source, stride, 0}
	if n := len(w.links); n > 0 {
		next.block = w.links[n-1].block + 1
	}
	w.links = append(w.links, next)
	if n := max(w.model.Strategy.Window, 1); len(w.links) > n {
		w.links = w.links[1:]
	}
}

// sources are the inputs of the window's blocks, which must outlive its program.
func (w *windows) sources() []*exec.Tensor {
	var list []*exec.Tensor
	for _, l := range w.links[:len(w.links)-1] {
		list = append(list, l.source)
	}
	return list
}

// forward runs the window's blocks one after another and returns the last one's
// feature maps. The final block runs here alone; others run by themselves too, where
// their running statistics are kept: a batch counts once.
func (w *windows) forward(g *nn.Graph) map[int]Feature {
	first := w.links[0]
	x := g.Leaf(inputName(first.block), first.source)
	momentum := g.NormMomentum
	defer func() { g.NormMomentum = momentum }()
	var feats map[int]Feature
	for _, l := range w.links {
		if l.block < len(w.model.Partition) {
			g.NormMomentum = 0
		} else {
			g.NormMomentum = momentum
		}
		feats = w.model.units(g, x, l.span[0], l.span[1], l.stride, map[int]Feature{})
		if g.Err() != nil {
			return nil
		}
		x = feats[-1].Node
	}
	return feats
}

// local builds block j's losses: of its output by itself, from an input without
// gradient, and of the window's output behind the strategy's network. Blocks that end
// no full window have their own loss only, and are trained by the windows they begin.
func (w *windows) local(g *nn.Graph, j int, out Feature) ([]Loss, *auxiliary) {
	weigher, ok := w.heads.(Weigher)
	if !ok {
		g.Fail(errors.New("strategy " + w.model.Strategy.Name + " weighs losses, which this task's heads cannot"))
		return nil, nil
	}
	losses := labelled("own ", weigher.Weighed(ownWeight).Local(g, j, out, auxName(j)+"own."))
	if len(w.links) < w.model.Strategy.Window {
		return losses, nil
	}
	feats := w.forward(g)
	if g.Err() != nil {
		return nil, nil
	}
	y, aux := feats[-1], (*auxiliary)(nil)
	if net := w.model.Strategy.Network; net != nil {
		y, aux = net.build(g, w.model, j, y)
	}
	if g.Err() != nil {
		return nil, nil
	}
	return append(losses, labelled("window ", weigher.Weighed(windowWeight).Local(g, j, y, auxName(j)+"head."))...), aux
}

func labelled(prefix string, losses []Loss) []Loss {
	for i := range losses {
		losses[i].Name = prefix + losses[i].Name
	}
	return losses
}

// shared reports whether several blocks' programs give a parameter gradients, which
// then add up before one update.
func (m *Model) shared(param string) bool {
	return m.Strategy.Window > 1 && !strings.HasPrefix(param, AuxPrefix)
}
