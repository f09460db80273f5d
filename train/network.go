package train

import (
	"fmt"
	"strings"

	"manvision/backbone"
	"manvision/config"
	"manvision/device"
	"manvision/manpp"
	"manvision/nn"
	"manvision/optim"
	"manvision/weights"
)

// Network is the part of a model that no task changes: a recipe's backbone, cut
// into blocks, with the variables of all parts.
type Network struct {
	Config *config.Config
	Store  *nn.Store
	Model  *manpp.Model
	// Classes are what the heads tell apart, Details whatever else shapes the
	// network at inference ("key=value"): both tell checkpoints apart.
	Classes Classes
	Details []string
	// Head is the network's own head, in words.
	Head string
	// Note says what was chosen for the recipe, empty where nothing was.
	Note string
}

// headsOf makes a task's heads of a model for images [n,h,w,3].
type headsOf func(m *manpp.Model, n, h, w int) (manpp.Heads, error)

// newNetwork cuts a backbone as the recipe says. prefix is put before the names of
// its parameters. No memory is allocated yet. With a limit of memory the cuts are left to
// limited.
func newNetwork(cfg *config.Config, dev device.Device, body *backbone.Backbone, prefix string, classes Classes, heads headsOf) (*Network, error) {
	strategy, err := manpp.ParseStrategy(cfg.MANPP.Strategy)
	if err != nil {
		return nil, err
	}
	if err := tune(cfg, dev, nil); err != nil {
		return nil, err
	}
	store := nn.NewStore(dev, cfg.Seed)
	// Every evaluation folds, so that one in a run and one of its checkpoint agree to
	// the last digit.
	store.Fold = true
	if cfg.Precision == "bf16" {
		store.Activations = device.BF16
	}
	model := &manpp.Model{Store: store, Backbone: body, Strategy: strategy, Quirks: manpp.Fixed,
		EMAMomentum: cfg.MANPP.EMAMomentum, Prefix: prefix, FrozenNorm: cfg.Model.Norm == "frozen"}
	if cfg.MANPP.Quirks == "released" {
		model.Quirks = manpp.Released
		if cfg.Task == "classification" && backboneStages(body) > 3 {
			model.Quirks = manpp.ReleasedImageNet
		}
	}
	model.Depth = cfg.MANPP.Classification.Depth
	model.RecomputeConvs = cfg.MANPP.Recompute == "convs"
	model.Quirks.DecayScale = cfg.MANPP.SDecay || cfg.MANPP.Quirks == "released"
	n := &Network{Config: cfg, Store: model.Store, Model: model, Classes: classes}
	if r, ok := dev.(device.Reducer); ok && store.Activations == device.BF16 {
		if arithmetic, err := r.BF16(); err == nil {
			n.Note = "precision bf16: convolutions multiply " + arithmetic
		}
	}
	if strategy.Local && cfg.MANPP.MemoryLimit != "" {
		return n, nil // see limited
	}
	if strategy.Local {
		if model.Partition, err = n.partition(heads); err != nil {
			return nil, err
		}
	}
	return n, model.Check()
}

// backboneStages is the number of stages behind the stem: 3 of networks for CIFAR, 4
// of those for ImageNet.
func backboneStages(b *backbone.Backbone) int { return b.Units[len(b.Units)-1].Stage }

// Net implements Model for what embeds a Network.
func (n *Network) Net() *Network { return n }

func (n *Network) partition(heads headsOf) (manpp.Partition, error) {
	c, body := n.Config.MANPP, n.Model.Backbone
	var p manpp.Partition
	var err error
	switch c.Partition {
	case "stages":
		p = manpp.Stages(body)
	case "every-unit":
		p = manpp.EveryUnit(body)
	case "published":
		variant := c.Published
		if variant == "main" {
			variant = ""
		}
		p, err = manpp.Published(body, variant, c.Blocks)
	case "cuts":
		p, err = manpp.Cuts(body, c.Cuts)
	case "balanced":
		images, h, w := PlanSize(n.Config)
		var hyper optim.Hyper
		if hyper, err = n.Config.Hyper(); err == nil {
			p, err = manpp.Balance(n.Model, hyper, heads, images, h, w, c.Blocks)
		}
	default:
		err = fmt.Errorf("unknown partition %q", c.Partition)
	}
	if err != nil {
		return nil, err
	}
	if c.Stem {
		p = p.WithStem()
	}
	// Published cuts have the papers' number, which may count the stem or not.
	if c.Blocks != 0 && len(p)+1 != c.Blocks && c.Partition != "published" {
		return nil, fmt.Errorf("manpp.partition %s cuts %s into %d blocks, manpp.blocks asks for %d; use partition balanced, or leave blocks out", c.Partition, body.Name, len(p)+1, c.Blocks)
	}
	return p, nil
}

// Cuts names the last unit of every block but the final one.
func (n *Network) Cuts() []string {
	var names []string
	for _, i := range n.Model.Partition {
		name := n.Model.Backbone.Units[i].Name
		if name == "" {
			name = "stem"
		}
		names = append(names, name)
	}
	return names
}

// Identity tells this model's checkpoints from those of others.
func (n *Network) Identity() weights.Identity {
	return weights.Identity{
		Task: n.Config.Task, Backbone: n.Model.Backbone.Name, Width: Width(n.Config), Classes: n.Classes.Len(),
		Details: n.Details, Strategy: n.Model.Strategy.Name, Partition: n.Cuts(),
	}
}

// Parameters counts the numbers in the parameters that inference needs and in all
// that training holds (auxiliary networks with their EMA copies included), without
// running statistics. Parts count once a program has been compiled.
func (n *Network) Parameters() (inference, training int) {
	for _, v := range n.Store.Vars() {
		if v.Buffer {
			continue
		}
		training += v.Elems()
		if !strings.HasPrefix(v.Name, manpp.AuxPrefix) {
			inference += v.Elems()
		}
	}
	return inference, training
}

// NewTrainer returns the trainer of the recipe's optimizer for a run of the given
// length.
func NewTrainer(m Model, steps int) (*manpp.Trainer, error) {
	n := m.Net()
	h, err := n.Config.Hyper()
	if err != nil {
		return nil, err
	}
	r, err := n.Config.Rules()
	if err != nil {
		return nil, err
	}
	s, err := n.Config.LRSchedule(steps)
	if err != nil {
		return nil, err
	}
	opt, err := manpp.NewOptimizer(n.Store, h, r, s)
	if err != nil {
		return nil, err
	}
	tr, err := manpp.NewTrainer(n.Model, opt, m.NewHeads)
	if err != nil {
		return nil, err
	}
	if c := n.Config.MANPP.Concurrency; c > 1 { // auto, for plans: one by one
		if err := tr.SideBySide(int(c)); err != nil {
			return nil, fmt.Errorf("manpp.concurrency: %w", err)
		}
	}
	return tr, nil
}
