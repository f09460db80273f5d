package manpp

import (
	"fmt"
	"strings"

	"gorgonia.org/gorgonia"

	"manvision/backbone"
	"manvision/device"
	"manvision/exec"
	"manvision/nn"
)

// Model is a backbone cut into blocks, with the variables of all its parts.
type Model struct {
	Store     *nn.Store
	Backbone  *backbone.Backbone
	Partition Partition
	Strategy  Strategy
	Quirks    Quirks
	// EMAMomentum is m in EMA ← m·EMA + (1−m)·next unit; 0.995 in the paper.
	EMAMomentum float64
	// Prefix is put before the backbone's parameter names: "backbone.body.".
	Prefix string
	// KeepNorms keeps the results of batch norms for the backward pass. By default
	// they are computed again there (nn.Recompute): RetinaNet R50 K=4 at 2x608x800
	// then takes 1967 instead of 2099 MB; the step's time differs by less than it
	// varies (medians 2.41 and 2.35 s of three runs each, 2.2 to 2.7 s).
	KeepNorms bool
	// KeepSums keeps the results of residual units for the backward pass. By default
	// several blocks compute those again that only the next unit of their stage
	// reads; one block, which is ordinary backpropagation, keeps them always.
	// DeepLabV3 R50 at 2x512x512 in four balanced blocks then takes 1241 instead of
	// 1283 MB, cut by stages 1447 instead of 1628; a step's processor time differs by
	// less than it varies (3.8 to 4.0 s both, 2x256x256 on one thread).
	KeepSums bool
	// FrozenNorm keeps the backbone's running statistics and normalises with
	// them.
	FrozenNorm bool
}

// Blocks is K.
func (m *Model) Blocks() int { return len(m.Partition) + 1 }

// AuxPrefix begins the names of all parameters that only training needs.
const AuxPrefix = "manpp."

// auxName is the prefix of block j's auxiliary network.
func auxName(j int) string { return fmt.Sprintf("%s%d.", AuxPrefix, j) }

// Check reports settings that contradict each other.
func (m *Model) Check() error {
	if err := m.Partition.Check(m.Backbone); err != nil {
		return err
	}
	if !m.Strategy.Local && len(m.Partition) > 0 {
		return fmt.Errorf("strategy %s trains one block, the partition has %d", m.Strategy.Name, m.Blocks())
	}
	if m.EMAMomentum < 0 || m.EMAMomentum > 1 {
		return fmt.Errorf("EMA momentum %v is outside [0, 1]", m.EMAMomentum)
	}
	return nil
}

// Features runs all units on x in g, as inference does, and returns the last
// feature map of every stage, from 1.
func (m *Model) Features(g *nn.Graph, x *gorgonia.Node) map[int]Feature {
	return m.units(g, x, 0, len(m.Backbone.Units)-1, 1, map[int]Feature{})
}

// units applies units first to last to x, whose stride is stride, and records
// stage ends in taps.
func (m *Model) units(g *nn.Graph, x *gorgonia.Node, first, last, stride int, taps map[int]Feature) map[int]Feature {
	frozen := g.FrozenNorm
	g.FrozenNorm = frozen || m.FrozenNorm
	for i := first; i <= last; i++ {
		u := m.Backbone.Units[i]
		stride *= u.Stride
		x = u.Forward(g, x, m.Prefix)
		if i < last && !u.Last {
			m.forget(g, x)
		}
		taps[-1] = Feature{x, u.Stage, stride}
		if u.Last && u.Stage > 0 {
			taps[u.Stage] = taps[-1]
		}
	}
	g.FrozenNorm = frozen
	return taps
}

// forget lets gradients compute the result x of a residual unit once more.
func (m *Model) forget(g *nn.Graph, x *gorgonia.Node) {
	if m.KeepSums || len(m.Partition) == 0 || g.Mode != nn.Train || g.Err() != nil {
		return
	}
	if err := nn.Recompute(x); err != nil {
		g.Fail(err)
	}
}

// auxiliary builds block j's auxiliary feature y = s·LB(x) + (2−s)·EMA(x) of the
// unit that follows the block, and prepares the EMA's update.
func (m *Model) auxiliary(g *nn.Graph, j int, x Feature) (Feature, *auxiliary) {
	next := m.Backbone.Units[m.Partition[j]+1]
	source := m.Prefix + next.Name + "."
	p := auxName(j)
	lb := next.Clone(g, x.Node, p+"lb.")
	g.Frozen = true
	ema := next.Clone(g, x.Node, p+"ema.")
	g.Frozen = false
	m.forget(g, lb)
	m.forget(g, ema)
	g.Frozen = !m.Strategy.LearnScale
	s := g.Scalar(p+"s", 1)
	g.Frozen = false
	y := g.Fuse(s, lb, ema)
	if g.Err() != nil {
		return Feature{}, nil
	}
	a := &auxiliary{prefix: p}
	for _, v := range m.Store.Vars() {
		tail, ok := strings.CutPrefix(v.Name, p+"ema.")
		if !ok || v.Buffer {
			continue
		}
		if !m.Quirks.IndependentClones {
			m.Store.InitLike(v.Name, source+tail)
			m.Store.InitLike(p+"lb."+tail, source+tail)
		}
		// The unit belongs to the next block; asking for it here makes it exist.
		unit, err := m.Store.Declare(source+tail, v.Value.Desc, v.Shape, v.Init())
		if err != nil {
			g.Fail(err)
			return Feature{}, nil
		}
		a.updates = append(a.updates, exec.Post{Op: device.EMA{Of: v.Value.Desc, Momentum: m.EMAMomentum},
			In: []exec.Source{{Tensor: unit.Value}}, Out: []*exec.Tensor{v.Value}})
		lbv, _ := m.Store.Lookup(p + "lb." + tail)
		a.pairs = append(a.pairs, [2]*nn.Var{lbv, v})
	}
	return Feature{y, next.Stage, x.Stride * next.Stride}, a
}

// auxiliary is what a block needs to know of its auxiliary network.
type auxiliary struct {
	prefix  string
	pairs   [][2]*nn.Var // LB and EMA tensors of equal meaning
	updates []exec.Post  // of the EMA
}

// CopyClones gives every LB and EMA the weights of the unit it stands for, as
// after loading pretrained weights. All variables must have values.
func (m *Model) CopyClones() error {
	for j := range m.Partition {
		source := m.Prefix + m.Backbone.Units[m.Partition[j]+1].Name + "."
		for _, part := range []string{"lb.", "ema."} {
			for _, v := range m.Store.Vars() {
				tail, ok := strings.CutPrefix(v.Name, auxName(j)+part)
				if !ok || v.Buffer {
					continue
				}
				x := make([]float64, v.Elems())
				if err := m.Store.Get(source+tail, x); err != nil {
					return err
				}
				if err := m.Store.Set(v.Name, x); err != nil {
					return err
				}
			}
		}
	}
	return nil
}
