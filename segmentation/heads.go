package segmentation

import (
	"fmt"

	"gorgonia.org/gorgonia"

	"manvision/manpp"
	"manvision/nn"
)

// heads is a Net for one input size: it satisfies manpp.Heads and holds the
// targets' storage.
type heads struct {
	net     *Net
	frozen  bool // norm of the pooled image, see NewHeads
	h, w    int
	targets *Targets
}

var _ manpp.Heads = (*heads)(nil)

// NewHeads makes the heads of model m for images [n,h,w,3]. Training needs n of at
// least 2 where the head pools whole images, because batch norm follows; if m
// freezes norms the running statistics normalise there too, for any n.
func (s *Net) NewHeads(m *manpp.Model, n, h, w int) (manpp.Heads, error) {
	if err := s.fits(m); err != nil {
		return nil, err
	}
	local := len(m.Partition) > 0
	if local && s.TaskWeight == 0 && s.ReconWeight == 0 {
		return nil, fmt.Errorf("segmentation: %d blocks without a local loss: the weight of the task or of the reconstruction must be above 0", len(m.Partition))
	}
	if n < 2 && s.Head != FCN && !m.FrozenNorm {
		return nil, fmt.Errorf("segmentation head %s: the image pooling's batch norm sees one value an image, so a batch of %d cannot be trained; use a batch of at least 2, or model.norm frozen", s.Head, n)
	}
	t, err := newTargets(s, m.Store.Device(), n, h, w, local && s.ReconWeight > 0)
	if err != nil {
		return nil, err
	}
	return &heads{net: s, frozen: m.FrozenNorm, h: h, w: w, targets: t}, nil
}

// TargetsOf returns the targets' storage of heads that NewHeads made.
func TargetsOf(h manpp.Heads) *Targets { return h.(*heads).targets }

// Stages are those that the final head reads. The auxiliary head reads layer3 only
// where the final block computes it.
func (h *heads) Stages() []int {
	if h.net.Head == DeepLabV3Plus {
		return []int{1, 4}
	}
	return []int{4}
}

// Local builds a local head on the auxiliary feature y: an FCN head with its
// cross-entropy "ce" against the labels, and the decoder with its cross-entropy
// "recon" against the image.
func (h *heads) Local(g *nn.Graph, j int, y manpp.Feature, prefix string) []manpp.Loss {
	var losses []manpp.Loss
	if s := h.net; s.TaskWeight > 0 {
		logits := fcn{classes: s.Classes, channels: s.LocalChannels, dropout: s.HeadDropout}.forward(g, y.Node, prefix+"fcn.")
		losses = append(losses, h.crossEntropy(g, "ce", logits, s.TaskWeight, s.OHEM))
	}
	if s := h.net; s.ReconWeight > 0 {
		logits := decoder{channels: s.DecoderChannels}.forward(g, y.Node, y.Stride, h.h, h.w, prefix+"decoder.")
		image := g.Leaf("image", h.targets.image)
		losses = append(losses, manpp.Loss{Name: "recon", Node: g.SigmoidBCE(logits, image, s.ReconWeight)})
	}
	if g.Err() != nil {
		g.Fail(fmt.Errorf("local head %d: %w", j+1, g.Err()))
	}
	return losses
}

// Final builds the network's head and its cross-entropy "ce" and, if layer3 ends
// in the final block, the auxiliary head and its cross-entropy "aux".
func (h *heads) Final(g *nn.Graph, feats map[int]manpp.Feature) []manpp.Loss {
	s := h.net
	losses := []manpp.Loss{h.crossEntropy(g, "ce", s.outputs(g, feats, h.frozen), 1, s.OHEM)}
	if f, ok := feats[3]; ok && s.AuxWeight > 0 {
		logits := fcn{classes: s.Classes, dropout: s.HeadDropout}.forward(g, f.Node, auxiliaryPrefix)
		losses = append(losses, h.crossEntropy(g, "aux", logits, s.AuxWeight, nn.OHEM{}))
	}
	return losses
}

// crossEntropy scores logits [N,·,·,Classes] at the labels' resolution.
func (h *heads) crossEntropy(g *nn.Graph, name string, logits *gorgonia.Node, weight float64, ohem nn.OHEM) manpp.Loss {
	labels := g.Leaf("labels", h.targets.labels)
	return manpp.Loss{Name: name, Node: g.PixelCrossEntropy(logits, labels, nn.PixelLoss{Ignore: Ignore, Weight: weight, OHEM: ohem})}
}

// Free gives the targets' storage back.
func (h *heads) Free() { h.targets.Free() }
