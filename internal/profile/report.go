package profile

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"manvision/device"
	"manvision/exec"
	"manvision/report"
)

// Row is the time of all kernels of one kind and shape in a step.
type Row struct {
	Kind    string  `json:"op"`
	Shape   string  `json:"shape,omitempty"` // empty in sums by kind
	Calls   float64 `json:"calls"`           // a step
	Seconds float64 `json:"seconds"`         // a step
	Share   float64 `json:"share"`           // of the step, 0 to 1
	GFLOPs  float64 `json:"gflops"`          // 10⁹ operations of the direct algorithm a second
	GB      float64 `json:"gb"`              // 10⁹ bytes of arguments a second
	// OfPeak and OfCopy are the rates as parts of the machine's peaks. The first is
	// above 1 where Winograd's algorithm leaves operations out, the second where
	// arguments stay in the caches.
	OfPeak float64 `json:"of_peak,omitempty"`
	OfCopy float64 `json:"of_copy,omitempty"`
	// Limit is the roofline in seconds a step: for each kernel the longer of its
	// operations at the peak rate and of its bytes at the rate of a copy.
	Limit float64 `json:"limit,omitempty"`
	// Bound names what the larger part of Limit stands for: "compute" or "memory".
	Bound string `json:"bound,omitempty"`

	work    device.Work
	compute float64 // the part of Limit where operations take longer
	least   float64 // Limit with Work.Least for Work.FLOPs
}

// Report is what a profiled step took, beside the limits of the machine.
type Report struct {
	Work    string `json:"work"` // what was run
	Device  string `json:"device"`
	Threads int    `json:"threads"`
	Steps   int    `json:"steps"` // profiled; all figures are means
	// Step is the seconds of a whole step, Kernels those inside kernels. Where programs
	// run side by side on several devices kernels can add up to more than the step.
	Step    float64 `json:"step"`
	Kernels float64 `json:"kernels"`
	Peaks   *Peaks  `json:"peaks,omitempty"`
	// Limit is the roofline of the step, the sum over all kernels: no order of these
	// kernels with the direct algorithm and nothing found in caches is faster. Least
	// is the same with Work.Least operations.
	Limit float64 `json:"limit,omitempty"`
	Least float64 `json:"least_limit,omitempty"`
	GFLOP float64 `json:"gflop"`     // 10⁹ operations a step
	Moved float64 `json:"gigabytes"` // 10⁹ bytes of arguments a step
	Kinds []Row   `json:"kinds"`     // slowest first
	Ops   []Row   `json:"ops"`       // slowest first
	// Unknown lists kinds whose operations were not counted.
	Unknown []string `json:"unknown,omitempty"`
}

// NewReport adds up the kernels of a number of profiled steps that took step seconds
// each; peaks may be nil.
func NewReport(work string, kernels []exec.StepTime, steps int, step float64, peaks *Peaks) *Report {
	r := &Report{Work: work, Steps: steps, Step: step, Peaks: peaks}
	ops, kinds, unknown := map[[2]string]*Row{}, map[string]*Row{}, map[string]bool{}
	for _, k := range kernels {
		if r.Device == "" && k.Device != nil {
			r.Device, r.Threads = k.Device.Name(), k.Device.Threads()
		}
		if !k.Counted {
			unknown[k.Op.Kind()] = true
		}
		kind, shape := k.Op.Kind(), Shape(k.Op)
		if _, ok := k.Op.(device.Mixed); ok {
			kind += " bf16"
		}
		one := row(k, steps, peaks)
		r.Kernels += one.Seconds
		r.Limit += one.Limit
		r.Least += one.least
		r.GFLOP += one.work.FLOPs / 1e9
		r.Moved += one.work.Bytes / 1e9
		if ops[[2]string{kind, shape}] == nil {
			ops[[2]string{kind, shape}] = &Row{Kind: kind, Shape: shape}
		}
		if kinds[kind] == nil {
			kinds[kind] = &Row{Kind: kind}
		}
		ops[[2]string{kind, shape}].add(one)
		kinds[kind].add(one)
	}
	for _, o := range ops {
		r.Ops = append(r.Ops, o.rates(step, peaks))
	}
	for _, o := range kinds {
		r.Kinds = append(r.Kinds, o.rates(step, peaks))
	}
	order := func(a, b Row) int {
		return cmp.Or(cmp.Compare(b.Seconds, a.Seconds), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Shape, b.Shape))
	}
	slices.SortFunc(r.Ops, order)
	slices.SortFunc(r.Kinds, order)
	r.Unknown = slices.Sorted(maps.Keys(unknown))
	return r
}

// row is the part of one kernel in a step.
func row(k exec.StepTime, steps int, peaks *Peaks) Row {
	calls := float64(k.Runs) / float64(steps)
	one := Row{Calls: calls, Seconds: k.Time.Seconds() * calls,
		work: device.Work{FLOPs: calls * k.Work.FLOPs, Least: calls * k.Work.Least, Bytes: calls * k.Work.Bytes}}
	if peaks == nil {
		return one
	}
	rate := peaks.GFLOPs
	if m, ok := k.Op.(device.Mixed); ok && peaks.BF16 > 0 && strings.HasPrefix(m.Of.Kind(), "conv") {
		rate = peaks.BF16
	}
	bytes := one.work.Bytes / peaks.Copy / 1e9
	one.Limit = max(one.work.FLOPs/rate/1e9, bytes)
	if one.Limit > bytes {
		one.compute = one.Limit
	}
	one.least = max(one.work.Least/rate/1e9, bytes)
	return one
}

func (r *Row) add(o Row) {
	r.Calls += o.Calls
	r.Seconds += o.Seconds
	r.Limit += o.Limit
	r.compute += o.compute
	r.least += o.least
	r.work.FLOPs += o.work.FLOPs
	r.work.Least += o.work.Least
	r.work.Bytes += o.work.Bytes
}

func (r *Row) rates(step float64, peaks *Peaks) Row {
	if step > 0 {
		r.Share = r.Seconds / step
	}
	if r.Seconds > 0 {
		r.GFLOPs, r.GB = r.work.FLOPs/r.Seconds/1e9, r.work.Bytes/r.Seconds/1e9
	}
	if peaks != nil {
		r.OfPeak, r.OfCopy = r.GFLOPs/peaks.GFLOPs, r.GB/peaks.Copy
		if strings.HasPrefix(r.Kind, "conv") && strings.HasSuffix(r.Kind, " bf16") && peaks.BF16 > 0 {
			r.OfPeak = r.GFLOPs / peaks.BF16
		}
		r.Bound = "memory"
		if 2*r.compute > r.Limit {
			r.Bound = "compute"
		}
	}
	return *r
}

// Write prints the report: the step beside its limit, the sums by kind, and the top
// kernels by shape (0: all).
func (r *Report) Write(w io.Writer, terminal bool, top int) error {
	fmt.Fprintf(w, "%s: %.4g s a step (mean of %d), %.4g s in kernels, %.4g GFLOP, %.4g GB; %s, %d threads\n",
		r.Work, r.Step, r.Steps, r.Kernels, r.GFLOP, r.Moved, r.Device, r.Threads)
	if p := r.Peaks; p != nil {
		fmt.Fprintf(w, "peaks: sgemm %.0f GFLOP/s", p.GFLOPs)
		if p.BF16 > 0 {
			fmt.Fprintf(w, ", bf16 %.0f GFLOP/s", p.BF16)
		}
		fmt.Fprintf(w, ", copy of %d MiB %.1f GB/s, within the caches %.0f GB/s\n", p.CopyBytes>>20, p.Copy, p.Cached)
		fmt.Fprintf(w, "limit: %.4g s by peak and bytes with direct convolutions: the step takes %.2f of it; %.4g s with Winograd's for 3x3: %.2f\n",
			r.Limit, r.Step/r.Limit, r.Least, r.Step/r.Least)
	}
	if len(r.Unknown) > 0 {
		fmt.Fprintf(w, "operations not counted: %s\n", strings.Join(r.Unknown, ", "))
	}
	for _, part := range []struct {
		rows  []Row
		shape bool
	}{{r.Kinds, false}, {r.Ops, true}} {
		fmt.Fprintln(w)
		header := []string{"op", "calls", "ms", "share %", "GFLOP/s", "of peak %", "GB/s", "of copy %", "limit ms", "bound"}
		if part.shape {
			header = append(header, "shape")
		}
		t := report.NewTable(header...)
		for i, o := range part.rows {
			if top > 0 && i == top {
				break
			}
			cells := []any{o.Kind, fmt.Sprintf("%.4g", o.Calls), fmt.Sprintf("%.3f", 1e3*o.Seconds), fmt.Sprintf("%.1f", 100*o.Share),
				fmt.Sprintf("%.0f", o.GFLOPs), fmt.Sprintf("%.0f", 100*o.OfPeak), fmt.Sprintf("%.1f", o.GB), fmt.Sprintf("%.0f", 100*o.OfCopy), fmt.Sprintf("%.3f", 1e3*o.Limit), o.Bound}
			if part.shape {
				cells = append(cells, o.Shape)
			}
			t.Row(cells...)
		}
		if err := t.Write(w, terminal); err != nil {
			return err
		}
	}
	return nil
}
