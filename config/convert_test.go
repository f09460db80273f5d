package config

import (
	"strings"
	"testing"
)

func TestConvert(t *testing.T) {
	c, err := Parse("x", []byte("optim: {name: adamw, lr: 0.002, bias_decay: false, groups: [{match: 'fpn.*', lr_scale: 0.5}]}\nschedule: {name: cosine, warmup_steps: 10, warmup_factor: 0.5}\ntrain: {steps: 0, epochs: 2}\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	h, err := c.Hyper()
	if err != nil || h.Rule.String() != "adamw" || h.Beta2 != 0.999 || h.Eps != 1e-8 || h.ClipNorm != 1 {
		t.Error(h, err)
	}
	r, err := c.Rules()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]float64{"fpn.p6.bias": 0, "fpn.p6.weight": 1e-4, "bn1.weight": 1e-4} {
		if got := r.Resolve(name, []int{4}); got.WeightDecay != want {
			t.Errorf("%s: %+v", name, got)
		}
	}
	// manpp.s_decay is off by default.
	if got := r.Resolve("backbone.ema_s.0", nil); got.WeightDecay != 0 || got.LRScale != 1 {
		t.Errorf("%+v", got)
	}
	s, err := c.LRSchedule(c.Train.TotalSteps(55))
	if err != nil || s.Steps != 110 || s.LR(0) != 0.001 || s.LR(10) != 0.002 || s.LR(110) != 0 {
		t.Error(s, err)
	}
	// An epoch of 5 steps: shorter than the warm-up.
	if _, err := c.LRSchedule(c.Train.TotalSteps(5)); err == nil || !strings.Contains(err.Error(), "x:2: schedule: ") {
		t.Error(err)
	}
	c.Schedule.Steps = 50
	if s, err := c.LRSchedule(5); err != nil || s.Steps != 50 {
		t.Error(s, err)
	}
}
