package profile

import (
	"slices"
	"time"

	"manvision/exec"
)

// Recorder profiles some steps of a training that is under way. All methods do nothing
// on a nil Recorder.
type Recorder struct {
	// Skip steps are left out at the beginning, the Steps that follow profiled.
	Skip, Steps int
	// Done, if set, is called when the last of them has ended.
	Done func()

	trace    Trace // of the last profiled step
	seen     int
	active   bool
	done     int
	start    time.Time
	wall     time.Duration
	programs []*exec.Program
	kernels  []exec.StepTime
	closed   bool
}

// Begin begins a step.
func (r *Recorder) Begin() {
	if r == nil || r.closed {
		return
	}
	r.seen++
	if r.active = r.seen > r.Skip; r.active {
		r.trace = Trace{}
		r.start = time.Now()
	}
}

// Watch has the kernels of a program timed that is going to run within the step.
func (r *Recorder) Watch(p *exec.Program) {
	if r == nil || !r.active || slices.Contains(r.programs, p) {
		return
	}
	p.Profile(true)
	r.programs = append(r.programs, p)
}

// Now is the time, for Mark; zero where nothing is recorded.
func (r *Recorder) Now() time.Time {
	if r == nil || !r.active {
		return time.Time{}
	}
	return time.Now()
}

// Mark notes on a lane of the trace what was done from start, a time of Now, until
// this moment.
func (r *Recorder) Mark(lane, name string, start time.Time) {
	if r == nil || !r.active || start.IsZero() {
		return
	}
	r.trace.Add(lane, lane, name, start, time.Since(start), nil)
}

// End ends a step.
func (r *Recorder) End() {
	if r == nil || !r.active {
		return
	}
	r.Mark("training", "step", r.start)
	r.wall += time.Since(r.start)
	r.active = false
	if r.done++; r.done == r.Steps {
		r.Close()
		if r.Done != nil {
			r.Done()
		}
	}
}

// Close ends the recording, if it has not ended, and with it the cost of it.
func (r *Recorder) Close() {
	if r == nil || r.closed {
		return
	}
	r.closed, r.active = true, false
	for _, p := range r.programs {
		r.kernels = append(r.kernels, p.Times()...)
		p.Profile(false)
	}
	r.programs = nil
}

// Report returns the report on the profiled steps and the trace of the last one; nil
// when there was none. peaks may be nil.
func (r *Recorder) Report(work string, peaks *Peaks) (*Report, *Trace) {
	r.Close()
	if r.done == 0 {
		return nil, nil
	}
	last := slices.DeleteFunc(slices.Clone(r.kernels), func(k exec.StepTime) bool { return k.Start.Before(r.start) })
	r.trace.AddKernels(last, peaks)
	return NewReport(work, r.kernels, r.done, r.wall.Seconds()/float64(r.done), peaks), &r.trace
}
