package manpp

import (
	"fmt"
	"strings"

	"gorgonia.org/gorgonia"

	"manvision/backbone"
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
	// Depth is how many units auxiliary networks have. AugLocal: behind the first block,
	// from where it shrinks towards half; 0 means 2, the paper tries 1 to 6. MAN and
	// MAN++: 0 means 1, the fused unit, and 2 for vision transformers.
	Depth int
	// Prefix is put before the backbone's parameter names: "backbone.body.".
	Prefix string
	// KeepNorms keeps the results of batch norms for the backward pass. By default
	// they are computed again there (nn.Recompute): that takes 6 % off the memory of
	// RetinaNet R50 K=4 at 2x608x800, and the step's time differs by less than it
	// varies.
	KeepNorms bool
	// KeepSums keeps the results of residual units for the backward pass. By default
	// several blocks compute those again that only the next unit of their stage
	// reads; one block, which is ordinary backpropagation, keeps them always.
	// DeepLabV3 R50 at 2x512x512 in four balanced blocks then takes 1241 instead of
	// 1283 MB, cut by stages 1447 instead of 1628; a step's processor time differs by
	// less than it varies (3.8 to 4.0 s both, 2x256x256 on one thread).
	KeepSums bool
	// RecomputeConvs computes again what the 1x1 convolutions of bottlenecks widen
	// (nn.Graph.RecomputeConvs).
	RecomputeConvs bool
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
	if _, fuses := m.Strategy.Network.(fusion); m.Backbone.ViT != nil && m.Strategy.Network != nil && !fuses {
		return fmt.Errorf("strategy %s builds its auxiliary networks of convolutional units; backbone %s can be trained by e2e, greedy, man and manpp", m.Strategy.Name, m.Backbone.Name)
	}
	if m.EMAMomentum < 0 || m.EMAMomentum > 1 {
		return fmt.Errorf("EMA momentum %v is outside [0, 1]", m.EMAMomentum)
	}
	if m.Depth < 0 {
		return fmt.Errorf("depth %d of auxiliary networks is below 0", m.Depth)
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
			m.forget(g, u, x)
		}
		taps[-1] = Feature{x, u.Stage, stride}
		if u.Last && u.Stage > 0 {
			taps[u.Stage] = taps[-1]
		}
	}
	g.FrozenNorm = frozen
	return taps
}

// forget lets gradients compute the result x of residual unit u once more.
func (m *Model) forget(g *nn.Graph, u backbone.Unit, x *gorgonia.Node) {
	if m.KeepSums || len(m.Partition) == 0 || g.Mode != nn.Train || g.Err() != nil || !u.Rectified() {
		return
	}
	if err := nn.Recompute(x); err != nil {
		g.Fail(err)
	}
}

// CopyClones gives every copy of a unit, such as LB and EMA, the weights of the unit
// it stands for, as after loading pretrained weights. All variables must have values.
func (m *Model) CopyClones() error {
	if m.Strategy.Network == nil {
		return nil
	}
	for j := range m.Partition {
		for _, c := range m.Strategy.Network.clones(m, j) {
			for _, v := range m.Store.Vars() {
				tail, ok := strings.CutPrefix(v.Name, c.copy)
				if !ok || v.Buffer {
					continue
				}
				x := make([]float64, v.Elems())
				if err := m.Store.Get(c.unit+tail, x); err != nil {
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

// unitPrefix begins the names of unit i's parameters.
func (m *Model) unitPrefix(i int) string {
	if n := m.Backbone.Units[i].Name; n != "" {
		return m.Prefix + n + "."
	}
	return m.Prefix
}
