package detection

import (
	"errors"
	"fmt"

	"gorgonia.org/gorgonia"

	"manvision/device"
	"manvision/exec"
	"manvision/manpp"
	"manvision/nn"
)

// RetinaNet describes the detector on top of a backbone: pyramid, subnets,
// losses, and the local heads of MAN++ (METHOD §2).
type RetinaNet struct {
	Classes    int
	Channels   int // of the pyramid and the subnets, 256 in the paper
	Convs      int // 3x3 convolutions of each subnet, 4 in the paper
	LocalConvs int // the same of the local heads, 2 in the release
	Anchors    AnchorConfig
	Assign     AssignConfig

	FocalAlpha, FocalGamma float64
	SmoothL1Beta           float64
	Prior                  float64 // initial probability of an object, 0.01

	// P6FromP5 computes P6 from P5, as torchvision's retinanet_resnet50_fpn does, instead
	// of C5.
	P6FromP5 bool

	Quirks Quirks
}

// Quirks are habits of the official release's detector.
type Quirks struct {
	RectifiedP6  bool // see FPN
	EmptyIgnored bool // images without boxes add no classification loss
	SkipUnused   bool // box subnets are not updated in steps without positives
}

// ReleasedQuirks is the release's set. The zero value is ours.
var ReleasedQuirks = Quirks{RectifiedP6: true, EmptyIgnored: true, SkipUnused: true}

// Names of the detector's parts in parameter names, torchvision's.
const (
	BodyPrefix = "backbone.body."
	fpnPrefix  = "backbone.fpn."
	headPrefix = "head."
)

func (r *RetinaNet) subnets(convs int) subnets {
	return subnets{channels: r.Channels, convs: convs, anchors: r.Anchors.PerCell(), classes: r.Classes, prior: r.Prior}
}

// Outputs builds the final head on features by stage and returns logits
// [N,A,classes] and box deltas [N,A,4] over all levels, A anchors in Grid order.
func (r *RetinaNet) Outputs(g *nn.Graph, feats map[int]manpp.Feature) (logits, deltas *gorgonia.Node) {
	var cls, reg []*gorgonia.Node
	s := r.subnets(r.Convs)
	for _, p := range r.pyramid(g, feats) {
		cls = append(cls, s.logits(g, p, headPrefix))
		reg = append(reg, s.deltas(g, p, headPrefix))
	}
	if g.Err() != nil {
		return nil, nil
	}
	return g.Concat(1, cls...), g.Concat(1, reg...)
}

func (r *RetinaNet) pyramid(g *nn.Graph, feats map[int]manpp.Feature) []*gorgonia.Node {
	return FPN{Channels: r.Channels, P6FromP5: r.P6FromP5, RectifiedP6: r.Quirks.RectifiedP6}.Forward(g, feats, fpnPrefix)
}

// heads is RetinaNet for one input size: it satisfies manpp.Heads and holds the
// targets' storage.
type heads struct {
	net     *RetinaNet
	grid    *Grid
	dev     device.Device
	targets *Targets
}

var _ interface {
	manpp.Heads
	manpp.Skipper
} = (*heads)(nil)

// NewHeads makes the heads for images [n,h,w,3].
func (r *RetinaNet) NewHeads(dev device.Device, n, h, w int) (manpp.Heads, error) {
	if r.Anchors.Corner {
		return nil, errors.New("detection: torchvision's anchors are for inference; train with DefaultAnchors")
	}
	grid, err := NewGrid(r.Anchors, r.Anchors.LevelShapes(h, w))
	if err != nil {
		return nil, err
	}
	t, err := newTargets(r, dev, grid, n)
	if err != nil {
		return nil, err
	}
	return &heads{net: r, grid: grid, dev: dev, targets: t}, nil
}

// TargetsOf returns the targets' storage of heads that NewHeads made.
func TargetsOf(h manpp.Heads) *Targets { return h.(*heads).targets }

// Stages are those of C3, C4 and C5.
func (h *heads) Stages() []int { return []int{2, 3, 4} }

// Final builds pyramid, subnets and losses "cls" and "reg".
func (h *heads) Final(g *nn.Graph, feats map[int]manpp.Feature) []manpp.Loss {
	levels := h.net.pyramid(g, feats)
	return h.losses(g, h.net.subnets(h.net.Convs), headPrefix, levels, 0)
}

// Local builds a local head: a projection of y to the pyramid's width with ReLU,
// for the deepest stride the extra levels, own subnets, and the losses over the
// anchors of its levels. An auxiliary feature finer than the pyramid is brought to
// the pyramid's first stride by the projection.
func (h *heads) Local(g *nn.Graph, j int, y manpp.Feature, prefix string) []manpp.Loss {
	from, to, stride, err := h.net.localLevels(y.Stride)
	if err != nil {
		g.Fail(fmt.Errorf("local head %d: %w", j+1, err))
		return nil
	}
	project := nn.Layer{Out: h.net.Channels, Kernel: 1, Bias: true, Init: nn.Gaussian(0.01), ConvOptions: nn.ConvOptions{Stride: stride, ReLU: true}}
	extra := nn.Layer{Out: h.net.Channels, Kernel: 3, Bias: true, Init: nn.Gaussian(0.01), ConvOptions: nn.ConvOptions{Stride: 2, Pad: 1}}
	levels := []*gorgonia.Node{g.Conv(y.Node, prefix+"project", project)}
	for i := from + 1; i < to; i++ {
		x := g.ReLU(levels[len(levels)-1])
		levels = append(levels, g.Conv(x, fmt.Sprintf("%sextra.%d", prefix, i-from-1), extra))
	}
	return h.losses(g, h.net.subnets(h.net.LocalConvs), prefix, levels, from)
}

// localLevels says which pyramid levels an auxiliary feature of a stride
// supervises, from … to-1, and by how much its projection must stride.
func (r *RetinaNet) localLevels(stride int) (from, to, project int, err error) {
	s := r.Anchors.Strides
	if stride > 0 && stride < s[0] && s[0]%stride == 0 {
		return 0, 1, s[0] / stride, nil
	}
	for i := range s {
		if s[i] == stride {
			if i >= 2 { // P5 and coarser levels hang on the deepest stage
				return i, len(s), 1, nil
			}
			return i, i + 1, 1, nil
		}
	}
	return 0, 0, 0, fmt.Errorf("no pyramid level has the auxiliary feature's stride %d (levels have %v)", stride, s)
}

// losses sums focal and box loss over levels, the first of which is level from of
// the pyramid. Both are divided by the positives of these levels in the batch.
func (h *heads) losses(g *nn.Graph, s subnets, prefix string, levels []*gorgonia.Node, from int) []manpp.Loss {
	var cls, reg *gorgonia.Node
	norm := h.targets.norm(from, from+len(levels))
	for i, p := range levels {
		if g.Err() != nil {
			return nil
		}
		t := h.targets.levels[from+i]
		labels := g.Leaf(fmt.Sprintf("labels%d", from+i), t.labels)
		boxes := g.Leaf(fmt.Sprintf("boxes%d", from+i), t.deltas)
		count := g.Leaf(fmt.Sprintf("positives%d-%d", from, from+len(levels)), norm)
		c := g.FocalLoss(s.logits(g, p, prefix), labels, count, h.net.FocalAlpha, h.net.FocalGamma)
		r := g.SmoothL1(s.deltas(g, p, prefix), boxes, labels, count, h.net.SmoothL1Beta)
		if i == 0 {
			cls, reg = c, r
		} else {
			cls, reg = g.Add(cls, c), g.Add(reg, r)
		}
	}
	h.targets.use(prefix, from, from+len(levels))
	return []manpp.Loss{{Name: "cls", Node: cls}, {Name: "reg", Node: reg}}
}

// SkipGroup makes a group of every head's box subnet.
func (h *heads) SkipGroup(param string) string {
	if !h.net.Quirks.SkipUnused {
		return ""
	}
	for prefix := range h.targets.heads {
		if name := prefix + "regression_head."; len(param) > len(name) && param[:len(name)] == name {
			return name
		}
	}
	return ""
}

// Free gives the targets' storage back.
func (h *heads) Free() { h.targets.Free() }

// level is the targets' storage of one pyramid level: labels [N·A_l], deltas
// [N,A_l,4].
type level struct {
	labels, deltas *exec.Tensor
	hostLabels     []int32
	hostDeltas     []float64
}
