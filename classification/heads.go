package classification

import (
	"fmt"

	"gorgonia.org/gorgonia"

	"manvision/manpp"
	"manvision/nn"
)

// heads is a Net for one input size: it satisfies manpp.Heads and holds the targets'
// storage.
type heads struct {
	net     *Net
	model   *manpp.Model
	kind    string // of the local heads
	h, w    int
	targets *Targets
	by      float64 // factor of the local losses; 0 is 1
}

var _ manpp.Weigher = (*heads)(nil)

// Weighed gives the same heads with local losses times by.
func (h *heads) Weighed(by float64) manpp.Heads {
	w := *h
	w.by = by
	return &w
}

// NewHeads makes the heads of model m for images [n,h,w,3].
func (s *Net) NewHeads(m *manpp.Model, n, h, w int) (manpp.Heads, error) {
	if err := s.Check(); err != nil {
		return nil, err
	}
	hd := &heads{net: s, model: m, kind: s.local(m), h: h, w: w}
	for j := range m.Partition {
		if err := hd.check(j, n); err != nil {
			return nil, err
		}
	}
	local := len(m.Partition) > 0
	decoder := local && s.decodes(hd.kind)
	for _, v := range s.Std {
		if decoder && !(v > 0) {
			return nil, fmt.Errorf("classification: the reconstruction loss needs the std of the images' normalisation, got %v", s.Std)
		}
	}
	var err error
	if hd.targets, err = newTargets(s, m.Store.Device(), n, h, w, decoder, local && hd.relates()); err != nil {
		return nil, err
	}
	return hd, nil
}

// check reports a local head that would have nothing to train it.
func (h *heads) check(j, n int) error {
	if vit := h.model.Backbone.ViT != nil; h.kind != "" && vit != (h.kind == headToken) {
		return fmt.Errorf("classification: strategy %s with local head %s on backbone %s: vision transformers have the local head %s, which reads their class token, and strategies greedy, man and manpp",
			h.model.Strategy.Name, h.kind, h.model.Backbone.Name, headToken)
	}
	if h.kind == "" {
		return fmt.Errorf("classification: strategy %s has no local head of its own; name one of %v", h.model.Strategy.Name, LocalHeads())
	}
	if n < 2 && (h.kind == headDGL || h.kind == headPredSim) {
		return fmt.Errorf("classification: local head %s compares or norms the images of a batch; a batch of %d cannot be trained", h.kind, n)
	}
	task, recon := h.weights(j)
	switch from := fmt.Sprintf("task_weights [%g, %g] and recon_weights [%g, %g]", h.net.Task.First, h.net.Task.Last, h.net.Recon.First, h.net.Recon.Last); {
	case task < 0 || recon < 0:
		return fmt.Errorf("classification: block %d of %d has a negative local loss: %s become %.3g and %.3g there, as the released quirk takes them at %d/%d, the stage of the unit behind the block over K-2; set manpp.quirks to fixed, or weights that do not change from the first to the last, or K to %d or more",
			j+1, h.model.Blocks(), from, task, recon, h.stage(j), h.releasedK()-2, h.Stages()[0]+2)
	case task == 0 && recon == 0 && h.net.Quirks.StageRatio:
		return fmt.Errorf("classification: block %d of %d has no local loss: %s become 0 there (quirks released); give first or last weights above 0", j+1, h.model.Blocks(), from)
	case task == 0 && recon == 0:
		return fmt.Errorf("classification: block %d of %d has no local loss: %s become 0 there; give the last local head a weight, such as task_weights [0.5, 0.5]. The pairs that end in 0 were published with the release's quirks (manpp.quirks released), with which they do not get there", j+1, h.model.Blocks(), from)
	}
	return nil
}

// relates reports whether a local loss compares the labels of images.
func (h *heads) relates() bool {
	if h.kind == headDGL {
		return false
	}
	return h.kind == headPredSim || h.kind != headToken && h.net.Contrast || h.contrasts(0)
}

// contrasts reports whether block j's head is trained by the contrastive loss.
func (h *heads) contrasts(j int) bool {
	if h.kind == headDGL || h.kind == headPredSim || h.kind == headImageNet || h.kind == headToken {
		return false
	}
	return h.net.Contrast || h.net.Quirks.StemContrast && h.stem(j)
}

// stem reports whether block j is the stem alone.
func (h *heads) stem(j int) bool {
	return j == 0 && len(h.model.Partition) > 0 && h.model.Partition[0] == 0
}

// weights of block j's own loss and of its reconstruction.
func (h *heads) weights(j int) (task, recon float64) {
	s := h.net
	if (s.Task == Weights{} && s.Recon == Weights{}) {
		return 1, 0
	}
	ratio, local := 0.0, len(h.model.Partition)
	switch k := h.releasedK(); {
	case s.Quirks.StageRatio:
		if k > 2 && !h.stem(j) {
			ratio = float64(h.stage(j)) / float64(k-2)
		}
	case local > 1:
		ratio = float64(j) / float64(local-1)
	}
	task, recon = s.Task.at(ratio), s.Recon.at(ratio)
	if !s.decodes(h.kind) {
		recon = 0
	}
	return task, recon
}

// stage is that of the unit behind block j.
func (h *heads) stage(j int) int { return h.model.Backbone.Units[h.model.Partition[j]+1].Stage }

// releasedK is the release's number of blocks, which counts the stem only in tables
// that cut after every unit.
func (h *heads) releasedK() int {
	blocks := h.model.Blocks()
	if h.stem(0) {
		blocks--
	}
	if blocks == len(h.model.Backbone.Units)-1 {
		blocks++
	}
	return blocks
}

// TargetsOf returns the targets' storage of heads that NewHeads made.
func TargetsOf(h manpp.Heads) *Targets { return h.(*heads).targets }

// Stages is the last stage of the backbone.
func (h *heads) Stages() []int {
	units := h.model.Backbone.Units
	return []int{units[len(units)-1].Stage}
}

// Local builds the local head of block j on y with its losses: "ce", the
// cross-entropy; "contrast"; "sim", PredSim's similarity; "recon", the decoder's
// cross-entropy against the image.
func (h *heads) Local(g *nn.Graph, j int, y manpp.Feature, prefix string) []manpp.Loss {
	s := h.net
	var losses []manpp.Loss
	task, recon := h.weights(j)
	if h.by != 0 {
		task, recon = h.by*task, h.by*recon
	}
	switch {
	case task == 0:
	case h.kind == headPredSim:
		losses = h.predSim(g, y.Node, prefix, task)
	default:
		kind, out, contrast := h.kind, s.Classes, h.contrasts(j)
		if contrast {
			out = s.features()
		}
		if contrast && s.Quirks.StemContrast && h.stem(j) {
			kind = "1c2f"
		}
		x := h.classifier(g, kind, y, prefix+"classifier.", out)
		if contrast {
			losses = append(losses, manpp.Loss{Name: "contrast", Node: g.SupCon(x, h.labels(g), s.temperature(), task)})
		} else {
			losses = append(losses, h.crossEntropy(g, x, task))
		}
	}
	if recon > 0 {
		logits := h.decoder(g, y, prefix+"decoder.")
		losses = append(losses, manpp.Loss{Name: "recon", Node: g.SigmoidBCE(logits, g.Leaf("image", h.targets.image), recon)})
	}
	if g.Err() != nil {
		g.Fail(fmt.Errorf("local head %d: %w", j+1, g.Err()))
	}
	return losses
}

// Final builds the network's head and its cross-entropy "ce".
func (h *heads) Final(g *nn.Graph, feats map[int]manpp.Feature) []manpp.Loss {
	return []manpp.Loss{h.crossEntropy(g, h.net.Logits(g, h.model, feats), 1)}
}

func (h *heads) crossEntropy(g *nn.Graph, logits *gorgonia.Node, weight float64) manpp.Loss {
	return manpp.Loss{Name: "ce", Node: g.SoftCrossEntropy(logits, g.Leaf("targets", h.targets.soft), weight)}
}

func (h *heads) labels(g *nn.Graph) *gorgonia.Node { return g.Leaf("labels", h.targets.labels) }

// Free gives the targets' storage back.
func (h *heads) Free() { h.targets.Free() }
