package bench

import (
	"encoding/json"
	"time"

	"manvision/exec"
	"manvision/internal/profile"
)

// profile runs further steps of programs with their kernels timed.
func (s *Steps) profile(steps int, one func() (float64, error), programs ...*exec.Program) error {
	for _, p := range programs {
		p.Profile(true)
		defer p.Profile(false)
	}
	for range steps {
		start := time.Now()
		if _, err := one(); err != nil {
			return err
		}
		s.Profiled = append(s.Profiled, time.Since(start).Seconds())
	}
	for _, p := range programs {
		s.Times = append(s.Times, p.Times()...)
	}
	return nil
}

// Report sums up the profiled steps; peaks may be nil.
func (s *Steps) Report(work string, peaks *profile.Peaks) *profile.Report {
	step := 0.0
	for _, t := range s.Profiled {
		step += t / float64(len(s.Profiled))
	}
	return profile.NewReport(work, s.Times, max(1, len(s.Profiled)), step, peaks)
}

// MarshalJSON adds the kernels of profiled steps.
func (s *Steps) MarshalJSON() ([]byte, error) {
	type plain Steps
	doc := struct {
		*plain
		Ops []profile.Row `json:"ops,omitempty"`
	}{plain: (*plain)(s)}
	if s.Times != nil {
		doc.Ops = s.Report("", nil).Ops
	}
	return json.Marshal(doc)
}
