package profile

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"manvision/device"
	"manvision/exec"
)

// Trace collects spans of time and writes them in Chrome's trace event format ("Trace
// Event Format", Google, 2016: the JSON object form with complete events), which
// chrome://tracing and ui.perfetto.dev open. Lanes are shown as threads. Its methods
// may be called from any goroutine.
type Trace struct {
	mu    sync.Mutex
	spans []span
	lanes []string // in the order of their first spans
}

type span struct {
	lane, name, category string
	start                time.Time
	length               time.Duration
	args                 map[string]any
}

// Add notes a span on a lane; args, which may be nil, are shown when it is chosen.
// Spans of a lane are either apart or one within the other.
func (t *Trace) Add(lane, category, name string, start time.Time, length time.Duration, args map[string]any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	known := false
	for _, l := range t.lanes {
		known = known || l == lane
	}
	if !known {
		t.lanes = append(t.lanes, lane)
	}
	t.spans = append(t.spans, span{lane, name, category, start, length, args})
}

// AddKernels notes the last runs of profiled kernels, each device's on a lane of its
// own, and around them the programs; programs that ran at once have a lane each. peaks
// may be nil.
func (t *Trace) AddKernels(kernels []exec.StepTime, peaks *Peaks) {
	type program struct {
		device device.Device
		name   string
	}
	type bounds struct {
		program
		from, to time.Time
		lane     string
	}
	programs := map[program]*bounds{}
	var order []*bounds
	devices := map[device.Device]int{}
	for _, k := range kernels {
		if devices[k.Device] == 0 {
			devices[k.Device] = len(devices) + 1
		}
		key, end := program{k.Device, k.Program}, k.Start.Add(k.Last)
		b := programs[key]
		if b == nil {
			b = &bounds{program: key, from: k.Start, to: end}
			programs[key] = b
			order = append(order, b)
		}
		if k.Start.Before(b.from) {
			b.from = k.Start
		}
		if end.After(b.to) {
			b.to = end
		}
	}
	slices.SortStableFunc(order, func(a, b *bounds) int { return a.from.Compare(b.from) })
	ends := map[device.Device][]time.Time{} // of the lanes' last programs
	for _, b := range order {
		i := slices.IndexFunc(ends[b.device], func(end time.Time) bool { return !end.After(b.from) })
		if i < 0 {
			i = len(ends[b.device])
			ends[b.device] = append(ends[b.device], b.to)
		}
		ends[b.device][i] = b.to
		b.lane = "kernels"
		if n := devices[b.device]; n > 1 {
			b.lane += fmt.Sprintf(", device %d", n)
		}
		if i > 0 {
			b.lane += fmt.Sprintf(", lane %d", i+1)
		}
		t.Add(b.lane, "program", b.name, b.from, b.to.Sub(b.from), nil)
	}
	for _, k := range kernels {
		args := map[string]any{"shape": Shape(k.Op), "value": k.Name, "MFLOP": k.Work.FLOPs / 1e6, "MB": k.Work.Bytes / 1e6}
		if s := k.Last.Seconds(); s > 0 {
			args["GFLOP/s"], args["GB/s"] = k.Work.FLOPs/s/1e9, k.Work.Bytes/s/1e9
			if peaks != nil {
				args["of peak %"], args["of copy %"] = k.Work.FLOPs/s/1e7/peaks.GFLOPs, k.Work.Bytes/s/1e7/peaks.Copy
			}
		}
		t.Add(programs[program{k.Device, k.Program}].lane, k.Op.Kind(), k.Op.Kind()+" "+Shape(k.Op), k.Start, k.Last, args)
	}
}

// event is one record of the format. A pointer to a number writes a zero, which the
// format wants, where there is a number.
type event struct {
	Name     string         `json:"name"`
	Category string         `json:"cat,omitempty"`
	Phase    string         `json:"ph"`
	Start    *float64       `json:"ts,omitempty"`  // microseconds
	Length   *float64       `json:"dur,omitempty"` // microseconds
	Process  int            `json:"pid"`
	Thread   int            `json:"tid"`
	Args     map[string]any `json:"args,omitempty"`
}

// Write writes what was collected; about, which may be nil, goes with it as
// "otherData". Times count from the first span.
func (t *Trace) Write(w io.Writer, name string, about any) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	const process = 1
	threads := map[string]int{}
	events := []event{{Name: "process_name", Phase: "M", Process: process, Args: map[string]any{"name": name}}}
	for i, l := range t.lanes {
		threads[l] = i + 1
		events = append(events,
			event{Name: "thread_name", Phase: "M", Process: process, Thread: i + 1, Args: map[string]any{"name": l}},
			event{Name: "thread_sort_index", Phase: "M", Process: process, Thread: i + 1, Args: map[string]any{"sort_index": i}})
	}
	var first time.Time
	for _, s := range t.spans {
		if first.IsZero() || s.start.Before(first) {
			first = s.start
		}
	}
	micros := func(d time.Duration) *float64 {
		f := float64(d.Nanoseconds()) / 1e3
		return &f
	}
	for _, s := range t.spans {
		events = append(events, event{Name: s.name, Category: s.category, Phase: "X", Start: micros(s.start.Sub(first)), Length: micros(s.length),
			Process: process, Thread: threads[s.lane], Args: s.args})
	}
	doc := struct {
		Events []event `json:"traceEvents"`
		Unit   string  `json:"displayTimeUnit"`
		Other  any     `json:"otherData,omitempty"`
	}{events, "ms", about}
	return json.NewEncoder(w).Encode(doc)
}
