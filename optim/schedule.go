package optim

import (
	"fmt"
	"math"
)

// Curve names the shape of a learning-rate schedule after its warm-up.
type Curve int

// The curves.
const (
	Constant  Curve = iota // Base
	MultiStep              // Base·Gamma^(number of milestones reached)
	Poly                   // Min + (Base−Min)·(1−t)^Power
	Cosine                 // Min + (Base−Min)·(1+cos πt)/2
)

var curveNames = [...]string{"constant", "multistep", "poly", "cosine"}

// String returns the curve's name as ParseCurve reads it.
func (c Curve) String() string {
	if c < 0 || int(c) >= len(curveNames) {
		return fmt.Sprintf("Curve(%d)", int(c))
	}
	return curveNames[c]
}

// ParseCurve returns the curve called constant, multistep, poly or cosine.
func ParseCurve(name string) (Curve, error) {
	for i, n := range curveNames {
		if n == name {
			return Curve(i), nil
		}
	}
	return 0, fmt.Errorf("optim: no schedule %q (known: constant, multistep, poly, cosine)", name)
}

// Schedule is a learning-rate schedule. It has no state: LR depends on the
// global step alone, so that a resumed run continues where it stopped.
//
// Warm-up is linear: step n < WarmupSteps has WarmupFactor + (1−WarmupFactor)·
// n/WarmupSteps times the learning rate that it would have at the start of the
// curve (PyTorch's LinearLR). Milestones count global steps, so warm-up does
// not move them (ChainedScheduler of LinearLR and MultiStepLR). Poly and Cosine
// start when warm-up ends, t = (step−WarmupSteps)/(Steps−WarmupSteps), and stay
// at Min from step Steps on (SequentialLR of LinearLR and PolynomialLR or
// CosineAnnealingLR with total Steps−WarmupSteps).
type Schedule struct {
	Curve Curve
	Base  float64 // learning rate after warm-up, > 0

	WarmupSteps  int64   // 0: no warm-up
	WarmupFactor float64 // share of Base at step 0, in [0, 1]

	Milestones []int64 // MultiStep: increasing global steps; the new rate holds from the milestone's step on
	Gamma      float64 // MultiStep: factor per milestone, > 0

	Power float64 // Poly: exponent, > 0
	Min   float64 // Poly, Cosine: final learning rate, in [0, Base]
	Steps int64   // Poly, Cosine: the step at which Min is reached, > WarmupSteps
}

// Validate says what is wrong with the schedule, or returns nil.
func (s Schedule) Validate() error {
	switch {
	case s.Curve < Constant || s.Curve > Cosine:
		return fmt.Errorf("optim: unknown schedule curve %d", int(s.Curve))
	case !(s.Base > 0) || math.IsInf(s.Base, 0):
		return fmt.Errorf("optim: learning rate %g is not a positive number", s.Base)
	case s.WarmupSteps < 0:
		return fmt.Errorf("optim: %d warm-up steps", s.WarmupSteps)
	case s.WarmupSteps > 0 && !(s.WarmupFactor >= 0 && s.WarmupFactor <= 1):
		return fmt.Errorf("optim: warm-up factor %g is outside [0, 1]", s.WarmupFactor)
	}
	switch s.Curve {
	case MultiStep:
		if !(s.Gamma > 0) || math.IsInf(s.Gamma, 0) {
			return fmt.Errorf("optim: gamma %g is not a positive number", s.Gamma)
		}
		for i, m := range s.Milestones {
			if m < 0 || i > 0 && m <= s.Milestones[i-1] {
				return fmt.Errorf("optim: milestones %v are not increasing steps", s.Milestones)
			}
		}
	case Poly, Cosine:
		if s.Curve == Poly && (!(s.Power > 0) || math.IsInf(s.Power, 0)) {
			return fmt.Errorf("optim: power %g is not a positive number", s.Power)
		}
		if !(s.Min >= 0 && s.Min <= s.Base) {
			return fmt.Errorf("optim: final learning rate %g is outside [0, %g]", s.Min, s.Base)
		}
		if s.Steps <= s.WarmupSteps {
			return fmt.Errorf("optim: schedule of %d steps ends within its %d warm-up steps", s.Steps, s.WarmupSteps)
		}
	}
	return nil
}

// LR returns the learning rate of the global step, counted from 0. Negative
// steps count as 0.
func (s Schedule) LR(step int64) float64 {
	step = max(step, 0)
	warm := 1.0
	if step < s.WarmupSteps {
		warm = s.WarmupFactor + (1-s.WarmupFactor)*float64(step)/float64(s.WarmupSteps)
	}
	switch s.Curve {
	case MultiStep:
		reached := 0
		for _, m := range s.Milestones {
			if step >= m {
				reached++
			}
		}
		return warm * s.Base * math.Pow(s.Gamma, float64(reached))
	case Poly:
		return warm * (s.Min + (s.Base-s.Min)*math.Pow(1-s.progress(step), s.Power))
	case Cosine:
		return warm * (s.Min + (s.Base-s.Min)*(1+math.Cos(math.Pi*s.progress(step)))/2)
	}
	return warm * s.Base
}

// progress is the share of the curve behind step, in [0, 1].
func (s Schedule) progress(step int64) float64 {
	if step >= s.Steps {
		return 1
	}
	return float64(max(step-s.WarmupSteps, 0)) / float64(s.Steps-s.WarmupSteps)
}
