package profile

import (
	"bytes"
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"manvision/device"
	"manvision/device/ref"
	"manvision/exec"
)

func near(a, b float64) bool { return math.Abs(a-b) <= 1e-9*math.Abs(b) }

// Two kernels, 100 GFLOP/s and 10 GB/s. A product of 10⁹ operations on 4·10⁷ bytes in 20 ms:
// 10 ms by operations, 4 by bytes. A sum of 10⁷ operations on 1.2·10⁸ bytes in 16 ms, run
// twice a step: 0.1 and 12 ms.
func TestReport(t *testing.T) {
	kernels := []exec.StepTime{
		{Program: "p", Op: device.Linear{M: 1, K: 2, N: 3}, Work: device.Work{FLOPs: 1e9, Least: 1e9, Bytes: 4e7}, Counted: true, Runs: 2, Time: 20 * time.Millisecond},
		{Program: "p", Op: device.ReLU{Size: 5}, Work: device.Work{FLOPs: 1e7, Least: 1e7, Bytes: 1.2e8}, Counted: true, Runs: 4, Time: 16 * time.Millisecond},
	}
	r := NewReport("w", kernels, 2, 0.1, &Peaks{GFLOPs: 100, Copy: 10})
	if !near(r.Kernels, 0.052) || !near(r.Limit, 0.034) || !near(r.Least, 0.034) || !near(r.GFLOP, 1.02) || !near(r.Moved, 0.28) {
		t.Errorf("%+v", r)
	}
	if len(r.Ops) != 2 || len(r.Kinds) != 2 || r.Ops[0].Kind != "relu" {
		t.Fatalf("%+v", r.Ops)
	}
	relu, lin := r.Ops[0], r.Ops[1]
	if relu.Bound != "memory" || relu.Calls != 2 || !near(relu.Seconds, 0.032) || !near(relu.Share, 0.32) || !near(relu.GB, 7.5) || !near(relu.OfCopy, 0.75) || !near(relu.Limit, 0.024) {
		t.Errorf("%+v", relu)
	}
	if lin.Bound != "compute" || lin.Shape != "1x2x3" || !near(lin.GFLOPs, 50) || !near(lin.OfPeak, 0.5) || !near(lin.Limit, 0.010) {
		t.Errorf("%+v", lin)
	}
	var b bytes.Buffer
	if err := r.Write(&b, false, 1); err != nil {
		t.Fatal(err)
	}
	if text := b.String(); !strings.Contains(text, "limit: 0.034 s") || strings.Contains(text, "linear") {
		t.Errorf("printed\n%s", text)
	}
}

func TestShape(t *testing.T) {
	c := device.Conv{N: 2, H: 8, W: 9, IC: 16, OC: 32, KH: 3, KW: 3, SH: 1, SW: 1, PH: 2, PW: 2, DH: 2, DW: 2, Groups: 1, Bias: true}
	for _, x := range []struct {
		op   device.Op
		want string
	}{
		{c, "2x8x9 16>32 3x3 s1 p2 d2 bias"},
		{device.ConvBackwardData{Conv: c}, "2x8x9 16>32 3x3 s1 p2 d2 bias"},
		{device.LinearBackwardWeights{Linear: device.Linear{M: 4, K: 5, N: 6}}, "4x5x6"},
		{device.MaxPoolBackward{Pool: device.Pool{N: 1, H: 4, W: 4, C: 3, KH: 2, KW: 2, SH: 2, SW: 2}}, "1x4x4x3"},
	} {
		if got := Shape(x.op); got != x.want {
			t.Errorf("%s: %q, want %q", x.op.Kind(), got, x.want)
		}
	}
}

// The fields that the trace event format requires: an array traceEvents; of complete
// events ph X, ts, dur, pid and tid, times in microseconds; names of threads as
// metadata events.
func TestTrace(t *testing.T) {
	start := time.Unix(100, 0)
	var tr Trace
	tr.Add("loader", "loader", "wait", start, 2*time.Millisecond, nil)
	tr.AddKernels([]exec.StepTime{
		{Program: "block 1", Name: "relu y", Op: device.ReLU{Size: 5}, Start: start.Add(3 * time.Millisecond), Last: 1500 * time.Nanosecond, Work: device.Work{FLOPs: 5, Bytes: 40}},
		{Program: "block 1", Name: "relu z", Op: device.ReLU{Size: 7}, Start: start.Add(4 * time.Millisecond), Last: time.Millisecond},
		{Program: "block 2", Op: device.ReLU{Size: 8}, Start: start.Add(3500 * time.Microsecond), Last: 2 * time.Millisecond},
		{Program: "block 3", Op: device.ReLU{Size: 9}, Start: start.Add(5 * time.Millisecond), Last: time.Millisecond},
	}, nil)
	var b bytes.Buffer
	if err := tr.Write(&b, "test", nil); err != nil {
		t.Fatal(err)
	}
	var doc struct {
		TraceEvents []map[string]any
	}
	if err := json.Unmarshal(b.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	got := map[string][2]float64{}
	lanes := map[float64]string{}
	thread := map[string]float64{}
	for _, e := range doc.TraceEvents {
		if e["ph"] == "M" && e["name"] == "thread_name" {
			lanes[e["tid"].(float64)] = e["args"].(map[string]any)["name"].(string)
		}
		if e["ph"] != "X" {
			continue
		}
		for _, key := range []string{"ts", "dur", "pid", "tid"} {
			if _, ok := e[key].(float64); !ok {
				t.Fatalf("%v has no number %q", e, key)
			}
		}
		name := e["name"].(string)
		got[name], thread[name] = [2]float64{e["ts"].(float64), e["dur"].(float64)}, e["tid"].(float64)
	}
	want := map[string][2]float64{"wait": {0, 2000}, "block 1": {3000, 2000}, "relu 5": {3000, 1.5}, "relu 7": {4000, 1000},
		"block 2": {3500, 2000}, "relu 8": {3500, 2000}, "block 3": {5000, 1000}, "relu 9": {5000, 1000}}
	for name, w := range want {
		if got[name] != w {
			t.Errorf("%s at %v, want %v", name, got[name], w)
		}
	}
	if len(got) != len(want) || lanes[thread["wait"]] != "loader" || lanes[thread["relu 5"]] != "kernels" || thread["block 1"] != thread["relu 7"] ||
		thread["block 3"] != thread["relu 5"] || lanes[thread["block 2"]] != "kernels, lane 2" || thread["block 2"] != thread["relu 8"] { // blocks 1 and 2 ran at once
		t.Errorf("lanes %v, threads %v", lanes, thread)
	}
}

// A recorder leaves out the first steps, counts those it was asked for, and costs
// nothing when there is none.
func TestRecorder(t *testing.T) {
	var none *Recorder
	none.Begin()
	none.Mark("a", "b", none.Now())
	none.Watch(nil)
	none.End()
	none.Close()
	r := &Recorder{Skip: 1, Steps: 2}
	for i := range 5 {
		r.Begin()
		if on := !r.Now().IsZero(); on != (i == 1 || i == 2) {
			t.Errorf("step %d recorded: %v", i, on)
		}
		r.Mark("loader", "wait", r.Now())
		r.End()
	}
	rep, tr := r.Report("w", nil)
	if rep == nil || rep.Steps != 2 || len(tr.spans) != 2 {
		t.Errorf("%+v, %+v", rep, tr)
	}
	if rep, _ := (&Recorder{Skip: 1, Steps: 1}).Report("w", nil); rep != nil {
		t.Errorf("a report on nothing: %+v", rep)
	}
}

// fastest runs any device's kernels.
func TestFastest(t *testing.T) {
	rate, err := fastest(ref.New(), device.Concat{Outer: 2, Sizes: []int{8}}, 2)
	if err != nil || !(rate > 0) || math.IsInf(rate, 0) {
		t.Errorf("%v a second, %v", rate, err)
	}
	if n := copyBytes(); n < 256<<20 || n > 1<<30 {
		t.Errorf("copies %d bytes", n)
	}
}
