package config

import (
	"fmt"

	"manvision/optim"
)

// Hyper returns the update rule of the recipe.
func (c *Config) Hyper() (optim.Hyper, error) {
	rule, err := optim.ParseRule(c.Optim.Name)
	if err != nil {
		return optim.Hyper{}, err
	}
	o := c.Optim
	h := optim.Hyper{
		Rule: rule, Momentum: o.Momentum, Nesterov: o.Nesterov,
		Beta1: o.Betas[0], Beta2: o.Betas[1], Eps: o.Eps, ClipNorm: o.ClipNorm, ClipBlocks: o.Clip == "block", Accumulate: c.Train.Accumulate,
	}
	return h, h.Validate()
}

// Rules returns the settings by parameter. manpp.s_decay, optim.norm_decay and
// optim.bias_decay become exemptions.
func (c *Config) Rules() (optim.Rules, error) {
	r := optim.Rules{
		WeightDecay:  c.Optim.WeightDecay,
		NoScaleDecay: !c.MANPP.SDecay, NoNormDecay: !c.Optim.NormDecay, NoBiasDecay: !c.Optim.BiasDecay,
	}
	for _, g := range c.Optim.Groups {
		r.Groups = append(r.Groups, optim.Group{Match: g.Match, LRScale: g.LRScale, WeightDecay: g.WeightDecay, Frozen: g.Frozen})
	}
	return r, r.Validate()
}

// LRSchedule returns the learning rate by step for a run of that many steps (see
// Train.TotalSteps); schedule.steps, where set, takes its place.
func (c *Config) LRSchedule(totalSteps int) (optim.Schedule, error) {
	curve, err := optim.ParseCurve(c.Schedule.Name)
	if err != nil {
		return optim.Schedule{}, err
	}
	s := optim.Schedule{
		Curve: curve, Base: c.Optim.LR,
		WarmupSteps: int64(c.Schedule.WarmupSteps), WarmupFactor: c.Schedule.WarmupFactor,
		Gamma: c.Schedule.Gamma, Power: c.Schedule.Power, Min: c.Schedule.MinLR, Steps: int64(totalSteps),
	}
	if c.Schedule.Steps > 0 {
		s.Steps = int64(c.Schedule.Steps)
	}
	for _, m := range c.Schedule.Milestones {
		s.Milestones = append(s.Milestones, int64(m))
	}
	if err := s.Validate(); err != nil {
		return s, fmt.Errorf("%s: schedule: %w", c.locate("schedule.name"), err)
	}
	return s, nil
}
