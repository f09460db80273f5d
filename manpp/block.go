package manpp

import (
	"fmt"

	"gorgonia.org/gorgonia"

	"manvision/device"
	"manvision/exec"
	"manvision/nn"
)

// Block is one gradient-isolated block compiled for one input size: forward,
// auxiliary network, head, backward and, without clipping, the update.
type Block struct {
	Index       int
	First, Last int // units
	Program     *exec.Program
	Losses      []Loss
	HasAux      bool // a local head, that is every block but the last

	output   *exec.Tensor // boundary to the next block; nil for the last
	distance *exec.Tensor // Σ (LB−EMA)², written when reporting
	scale    *nn.Var      // s
}

// Steps are all blocks compiled for one input size.
type Steps struct {
	N, H, W int
	Input   *exec.Tensor // images [N,H,W,3]
	Blocks  []*Block
	Heads   Heads

	side *exec.Sequence // runs the blocks side by side; nil: one by one
}

// groupReport names the posts that only reports need, groupEMA those that move EMA
// copies, once a step.
const (
	groupReport = "report"
	groupEMA    = "ema"
)

// compile plans all blocks for images [n,h,w,3]. What crosses a cut lies in
// boundary, programs work in the arenas, each block in one of them.
func (m *Model) compile(heads Heads, opt *Optimizer, n, h, w int, boundary *exec.Arena, arenas []*exec.Arena) (_ *Steps, err error) {
	s := &Steps{N: n, H: h, W: w, Heads: heads}
	defer func() {
		if err != nil {
			s.Close()
		}
	}()
	var held []*exec.Tensor // what must not be overwritten
	hold := func(d device.Desc) (*exec.Tensor, error) {
		t, err := exec.NewTensorIn(boundary, d, held...)
		held = append(held, t)
		return t, err
	}
	if s.Input, err = hold(device.Desc{Shape: []int{n, h, w, 3}}); err != nil {
		return nil, err
	}
	tapped := map[int]bool{}
	for _, st := range heads.Stages() {
		tapped[st] = true
	}
	in := Feature{Stride: 1}
	source := s.Input
	reading := []*exec.Tensor{source}        // inputs of the blocks that may run at once
	chain := windows{model: m, heads: heads} // what former blocks read
	added := map[string]bool{}               // parameters with a gradient kept by a former block
	taps := map[int]*exec.Tensor{}           // stage outputs that crossed a cut
	tapAt := map[int]Feature{}               // their stages and strides
	for j, span := range m.Partition.Blocks(m.Backbone) {
		b := &Block{Index: j, First: span[0], Last: span[1]}
		held = append([]*exec.Tensor{s.Input}, reading...)
		chain.push(span, source, in.Stride)
		held = append(held, chain.sources()...)
		for _, t := range taps {
			held = append(held, t)
		}
		g := nn.NewGraph(m.Store, nn.Train)
		g.Recompute, g.RecomputeConvs = !m.KeepNorms, m.RecomputeConvs
		if len(arenas) > 1 {
			g.Device = opt.side
		}
		var feats map[int]Feature
		if j == len(m.Partition) && m.Strategy.Window > 1 {
			feats = chain.forward(g)
		} else {
			feats = m.units(g, g.Leaf(inputName(j), source), span[0], span[1], in.Stride, map[int]Feature{})
		}
		if g.Err() != nil {
			return nil, fmt.Errorf("block %d: %w", j+1, g.Err())
		}
		out := feats[-1]
		delete(feats, -1)
		var keep []*gorgonia.Node
		if j < len(m.Partition) {
			b.HasAux = true
			if b.output, err = hold(m.crossing(out.Node)); err != nil {
				return nil, err
			}
			g.Write(out.Node, b.output)
			for st, f := range feats {
				if !tapped[st] {
					continue
				}
				t := b.output
				if f.Node != out.Node {
					if t, err = hold(m.crossing(f.Node)); err != nil {
						return nil, err
					}
					g.Write(f.Node, t)
				}
				taps[st], tapAt[st] = t, f
			}
			var aux *auxiliary
			if m.Strategy.Window > 1 {
				b.Losses, aux = chain.local(g, j, out)
			} else {
				y := out
				if net := m.Strategy.Network; net != nil {
					y, aux = net.build(g, m, j, out)
				}
				if g.Err() != nil {
					return nil, fmt.Errorf("block %d: %w", j+1, g.Err())
				}
				b.Losses = heads.Local(g, j, y, auxName(j)+"head.")
			}
			if g.Err() != nil {
				return nil, fmt.Errorf("block %d: %w", j+1, g.Err())
			}
			if aux != nil {
				if err := b.report(g, m, aux); err != nil { // of the values that this step ran with
					return nil, err
				}
				for _, p := range together(aux.updates) {
					p.Group = groupEMA
					g.Post(p)
				}
			}
		} else {
			for st, t := range taps {
				f := tapAt[st]
				f.Node = g.Leaf(fmt.Sprintf("stage%d", st), t)
				feats[st] = f
			}
			b.Losses = heads.Final(g, feats)
		}
		if g.Err() != nil {
			return nil, fmt.Errorf("block %d: %w", j+1, g.Err())
		}
		losses := make([]*gorgonia.Node, len(b.Losses))
		for i, l := range b.Losses {
			losses[i] = l.Node
		}
		keep = append(keep, losses...)
		grads, err := g.Gradients(losses...)
		if err != nil {
			return nil, fmt.Errorf("block %d: %w", j+1, err)
		}
		group := func(param string) string { return skipGroup(heads, param) }
		var within *exec.Arena // for gradients that are used before the next block runs
		if len(arenas) == 1 && (opt.clipsBlocks() || j == len(m.Partition)) {
			within = arenas[0]
		}
		if err := opt.attachAll(g, j, grads, group, m.shared, added, within); err != nil {
			return nil, fmt.Errorf("block %d: %w", j+1, err)
		}
		g.Settled = losses // a block that fails leaves everything as it was
		if b.Program, err = g.Compile(fmt.Sprintf("block %d", j+1), arenas[0], keep...); err != nil {
			return nil, err
		}
		if err := b.Program.Guard(losses...); err != nil {
			return nil, err
		}
		s.Blocks = append(s.Blocks, b)
		in, source = out, b.output
		reading = append(reading, source)
		reading = reading[max(0, len(reading)-len(arenas)):]
	}
	if len(arenas) > 1 {
		programs := make([]*exec.Program, len(s.Blocks))
		for j, b := range s.Blocks {
			programs[j] = b.Program
		}
		s.side, err = exec.NewSequence(programs, arenas)
	}
	return s, err
}

// Skipper is a Heads some of whose parameters get no gradient in some steps.
type Skipper interface {
	// SkipGroup names the group of a parameter, empty for none.
	SkipGroup(param string) string
}

func skipGroup(h Heads, param string) string {
	if s, ok := h.(Skipper); ok {
		return s.SkipGroup(param)
	}
	return ""
}

// crossing describes the storage of feature maps or tokens that cross a cut.
func (m *Model) crossing(n *gorgonia.Node) device.Desc {
	d := device.Desc{Shape: append([]int{}, n.Shape()...)}
	if n.Dims() == 4 {
		d.DType = m.Store.Activations
	}
	return d
}

// inputName is the node of block j's input.
func inputName(j int) string { return fmt.Sprintf("block%d.input", j) }

// report adds the posts that measure ‖LB−EMA‖.
func (b *Block) report(g *nn.Graph, m *Model, aux *auxiliary) error {
	if len(aux.pairs) == 0 {
		return nil
	}
	var err error
	if b.distance, err = exec.NewTensor(m.Store.Device(), device.Desc{Shape: []int{1}}); err != nil {
		return err
	}
	b.scale, _ = m.Store.Lookup(aux.prefix + "s")
	for _, p := range aux.pairs {
		g.Post(exec.Post{Op: device.SquaredDistance{Of: p[0].Value.Desc}, Group: groupReport,
			In: []exec.Source{{Tensor: p[0].Value}, {Tensor: p[1].Value}}, Out: []*exec.Tensor{b.distance}})
	}
	return nil
}

// Close frees the programs and, where the heads have a method Free, what these
// hold.
func (s *Steps) Close() {
	if f, ok := s.Heads.(interface{ Free() }); ok {
		f.Free()
	}
	for _, b := range s.Blocks {
		b.Program.Close()
		if b.distance != nil {
			b.distance.Free()
		}
	}
}
