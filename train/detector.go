// Package train runs recipes: it builds a model from a config, trains it block
// by block, evaluates it, and keeps checkpoints and logs.
package train

import (
	"fmt"
	"strings"

	"manvision/backbone"
	"manvision/config"
	"manvision/data/coco"
	"manvision/detection"
	"manvision/device"
	"manvision/manpp"
	"manvision/nn"
	"manvision/weights"
)

// Detector is a detection model built from a recipe.
type Detector struct {
	Config *config.Config
	Store  *nn.Store
	Net    *detection.RetinaNet
	Model  *manpp.Model
	IDs    *coco.IDMap // its length is the number of classes
}

// NewDetector builds the model that a recipe describes for the categories of ids.
// No memory is allocated yet.
func NewDetector(cfg *config.Config, dev device.Device, ids *coco.IDMap) (*Detector, error) {
	body, err := backbone.New(cfg.Model.Backbone, cfg.Model.Width)
	if err != nil {
		return nil, err
	}
	strategy, err := manpp.ParseStrategy(cfg.MANPP.Strategy)
	if err != nil {
		return nil, err
	}
	m, l := cfg.Model, cfg.Model.Loss
	net := &detection.RetinaNet{
		Classes: ids.Len(), Channels: m.Channels, Convs: m.HeadConvs, LocalConvs: cfg.MANPP.LocalHeadConvs,
		Anchors:    detection.AnchorConfig{Strides: []int{8, 16, 32, 64, 128}, Sizes: m.Anchors.Sizes, Ratios: m.Anchors.Ratios, Scales: m.Anchors.Scales},
		Assign:     detection.AssignConfig{PosIoU: l.PositiveIoU, NegIoU: l.NegativeIoU},
		FocalAlpha: l.FocalAlpha, FocalGamma: l.FocalGamma, SmoothL1Beta: l.SmoothL1Beta, Prior: l.Prior,
	}
	if err := net.Anchors.Validate(); err != nil {
		return nil, err
	}
	model := &manpp.Model{Store: nn.NewStore(dev, cfg.Seed), Backbone: body, Strategy: strategy, Quirks: manpp.Fixed,
		EMAMomentum: cfg.MANPP.EMAMomentum, Prefix: detection.BodyPrefix, FrozenNorm: m.Norm == "frozen"}
	if cfg.MANPP.Quirks == "released" {
		model.Quirks, net.Quirks = manpp.Released, detection.ReleasedQuirks
	}
	model.Quirks.DecayScale = cfg.MANPP.SDecay || cfg.MANPP.Quirks == "released"
	d := &Detector{Config: cfg, Store: model.Store, Net: net, Model: model, IDs: ids}
	if strategy.Local {
		if model.Partition, err = d.partition(); err != nil {
			return nil, err
		}
	}
	return d, model.Check()
}

func (d *Detector) partition() (manpp.Partition, error) {
	c, body := d.Config.MANPP, d.Model.Backbone
	var p manpp.Partition
	var err error
	switch c.Partition {
	case "stages":
		p = manpp.Stages(body)
	case "every-unit":
		p = manpp.EveryUnit(body)
	case "cuts":
		p, err = manpp.Cuts(body, c.Cuts)
	case "balanced":
		n, h, w := d.planSize()
		var cost []int64
		if cost, err = manpp.UnitCosts(d.Store.Device(), body, n, h, w); err == nil {
			p, err = manpp.Balanced(cost, c.Blocks)
		}
	default:
		err = fmt.Errorf("unknown partition %q", c.Partition)
	}
	if err != nil {
		return nil, err
	}
	if c.Blocks != 0 && len(p)+1 != c.Blocks {
		return nil, fmt.Errorf("manpp.partition %s cuts %s into %d blocks, manpp.blocks asks for %d; use partition balanced, or leave blocks out", c.Partition, body.Name, len(p)+1, c.Blocks)
	}
	return p, nil
}

// planSize is the largest input of a training step: images, height, width.
func (d *Detector) planSize() (n, h, w int) {
	c := Canvases(d.Config.Data)
	best := c[0]
	for _, k := range c {
		if k.H*k.W > best.H*best.W {
			best = k
		}
	}
	return d.Config.Train.Batch, best.H, best.W
}

// Cuts names the last unit of every block but the final one.
func (d *Detector) Cuts() []string {
	var names []string
	for _, i := range d.Model.Partition {
		name := d.Model.Backbone.Units[i].Name
		if name == "" {
			name = "stem"
		}
		names = append(names, name)
	}
	return names
}

// Identity tells this model's checkpoints from those of others.
func (d *Detector) Identity() weights.Identity {
	n := d.Net
	return weights.Identity{
		Task: "detection", Backbone: d.Model.Backbone.Name, Width: d.Config.Model.Width, Classes: n.Classes,
		Details: []string{
			fmt.Sprintf("fpn_channels=%d", n.Channels), fmt.Sprintf("head_convs=%d", n.Convs),
			"anchors=" + strings.ReplaceAll(fmt.Sprint(n.Anchors.Sizes, n.Anchors.Ratios, n.Anchors.Scales), " ", ","),
			fmt.Sprintf("rectified_p6=%v", n.Quirks.RectifiedP6),
		},
		Strategy: d.Model.Strategy.Name, Partition: d.Cuts(),
	}
}

// NewTrainer returns the trainer of the recipe's optimizer for a run of the given
// length.
func (d *Detector) NewTrainer(steps int) (*manpp.Trainer, error) {
	h, err := d.Config.Hyper()
	if err != nil {
		return nil, err
	}
	r, err := d.Config.Rules()
	if err != nil {
		return nil, err
	}
	s, err := d.Config.LRSchedule(steps)
	if err != nil {
		return nil, err
	}
	opt, err := manpp.NewOptimizer(d.Store, h, r, s)
	if err != nil {
		return nil, err
	}
	dev := d.Store.Device()
	return manpp.NewTrainer(d.Model, opt, func(n, h, w int) (manpp.Heads, error) { return d.Net.NewHeads(dev, n, h, w) })
}

// LoadPretrained fills the backbone from a safetensors file of torchvision names
// ("conv1.weight", "layer1.0…") or a checkpoint of ours, and starts LB and EMA from
// the units they stand for. It returns what was loaded; less than nine tenths of
// the backbone is an error.
func (d *Detector) LoadPretrained(path string) (*weights.Report, error) {
	file, err := weights.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	names := map[string]string{} // model name to file name
	var want, have []weights.Tensor
	for _, v := range d.Store.Vars() {
		if strings.HasPrefix(v.Name, d.Model.Prefix) {
			want = append(want, weights.Tensor{Name: v.Name, Shape: v.Shape})
		}
	}
	for _, info := range file.Tensors() {
		name := strings.TrimPrefix(strings.TrimPrefix(info.Name, "param/"), "buffer/")
		if !strings.HasPrefix(name, d.Model.Prefix) {
			name = d.Model.Prefix + strings.TrimPrefix(name, "module.")
		}
		names[name] = info.Name
		have = append(have, weights.Tensor{Name: name, Shape: info.Shape})
	}
	r := weights.Match(want, have)
	if err := r.Require(0.9); err != nil {
		return r, fmt.Errorf("%s: %w", path, err)
	}
	for _, name := range r.Loaded {
		t, err := file.Read(names[name])
		if err != nil {
			return r, err
		}
		if err := setVar(d.Store, name, t); err != nil {
			return r, err
		}
	}
	if d.Model.Quirks.IndependentClones {
		return r, nil
	}
	return r, d.Model.CopyClones()
}

func setVar(s *nn.Store, name string, t weights.Tensor) error {
	if t.F64 != nil {
		return s.Set(name, t.F64)
	}
	return s.Set(name, t.Data)
}
