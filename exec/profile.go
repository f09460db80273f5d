package exec

import (
	"sort"
	"time"

	"manvision/device"
)

// timing is what a profiled program measured of one step.
type timing struct {
	total, last time.Duration
	start       time.Time // of the last run
	runs        int
}

// Profile switches the timing of single kernels on or off and clears what was
// measured. A program that is not profiled runs as if there were no profiles.
func (p *Program) Profile(on bool) {
	p.timings = nil
	if on {
		p.timings = make([]timing, len(p.steps))
	}
}

// measure notes a run that began at start and ends now.
func (t *timing) measure(start time.Time) {
	t.start, t.last = start, time.Since(start)
	t.total += t.last
	t.runs++
}

// StepTime is what Profile measured of one kernel, and the work that it has.
type StepTime struct {
	Program, Name string
	Op            device.Op
	Device        device.Device // that it ran on
	Work          device.Work
	Counted       bool          // whether device.WorkOf knows the operation
	Runs          int           // since Profile was switched on
	Time          time.Duration // mean of one run
	Start         time.Time     // of the last run
	Last          time.Duration // time of the last run
}

// Times returns the measured kernels, slowest first.
func (p *Program) Times() []StepTime {
	size := func(d device.Desc) float64 {
		n, err := p.dev.Size(d)
		if err != nil {
			return 0 // Compile has asked for the size of every argument
		}
		return float64(n)
	}
	var out []StepTime
	for i, t := range p.timings {
		if t.runs == 0 {
			continue
		}
		s := p.steps[i]
		st := StepTime{Program: p.name, Name: s.name, Op: s.op, Device: p.dev, Runs: t.runs, Time: t.total / time.Duration(t.runs), Start: t.start, Last: t.last}
		st.Work, st.Counted = device.WorkOf(s.op, size)
		out = append(out, st)
	}
	sort.SliceStable(out, func(i, j int) bool { return out[i].Time > out[j].Time })
	return out
}
