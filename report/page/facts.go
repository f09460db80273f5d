package page

import (
	"fmt"
	"html/template"
	"slices"
	"strings"
	"time"

	"manvision/report/progress"
)

// fact is a row of a table with a column for each run.
type fact struct {
	Name  string
	Cells []string
}

// facts makes the rows of a table; rows that are empty for all runs are left out.
type facts struct {
	runs []*Run
	rows []fact
}

func (f *facts) add(name string, of func(*Run) string) {
	row := fact{Name: name}
	empty := true
	for _, r := range f.runs {
		text := of(r)
		empty = empty && text == ""
		if text == "" {
			text = "–"
		}
		row.Cells = append(row.Cells, text)
	}
	if !empty {
		f.rows = append(f.rows, row)
	}
}

// done reads the result where there is one.
func done(of func(*Result) string) func(*Run) string {
	return func(r *Run) string {
		if r.Result == nil {
			return ""
		}
		return of(r.Result)
	}
}

func outlined(of func(*Outline) string) func(*Run) string {
	return done(func(r *Result) string {
		if r.Outline == nil {
			return ""
		}
		return of(r.Outline)
	})
}

// overview are the numbers that one looks for first.
func overview(runs []*Run) []fact {
	f := facts{runs: runs}
	f.add("status", func(r *Run) string {
		if r.Result == nil {
			return "no result"
		}
		if r.Result.Error != "" {
			return r.Result.Status + ": " + r.Result.Error
		}
		return r.Result.Status
	})
	f.add("task", func(r *Run) string { return r.Setting("task") })
	f.add("steps", func(r *Run) string {
		last := int64(0)
		if n := len(r.Log); n > 0 {
			last = r.Log[n-1].Step
		}
		if r.Result != nil {
			last = r.Result.Step
			if o := r.Result.Outline; o != nil {
				text := thousands(last) + " of " + thousands(o.Steps)
				if o.StepsPerEpoch > 0 {
					text += fmt.Sprintf(", %.1f epochs", float64(last)/float64(o.StepsPerEpoch))
				}
				return text
			}
		}
		return thousands(last)
	})
	first, _ := metricKeys(runs)
	for _, key := range first {
		f.add(metricTitle(key), func(r *Run) string { return r.lastMetric(key) })
	}
	f.add("best step", func(r *Run) string { return r.bestStep(first) })
	f.add("time", done(func(r *Result) string {
		return fmt.Sprintf("%s (evaluation %s, checkpoints %s)", seconds(r.Seconds), seconds(r.Eval), seconds(r.Save))
	}))
	f.add("images a second", done(func(r *Result) string { return number(r.Images) }))
	f.add("waiting for data", done(func(r *Result) string { return fmt.Sprintf("%.2f %% of training", 100*r.DataWait) }))
	f.add("images left out", done(func(r *Result) string {
		if r.Skipped == 0 {
			return ""
		}
		return thousands(int64(r.Skipped))
	}))
	f.add("peak memory", done(func(r *Result) string { return progress.Bytes(max(r.Memory.Allocated, r.Memory.Planned)) }))
	return f.rows
}

// lastMetric is a metric's last value.
func (r *Run) lastMetric(key string) string {
	for _, e := range slices.Backward(r.Evaluations) {
		if v, ok := e.Metrics[key]; ok && v != -1 {
			if key == "cross_entropy" {
				return fmt.Sprintf("%.4f", v)
			}
			return percent(v) + " %"
		}
	}
	return ""
}

// bestStep says when the metric that ranks checkpoints, the first of keys that the run
// has, was greatest.
func (r *Run) bestStep(keys []string) string {
	for _, key := range keys {
		best, found := Evaluation{}, false
		for _, e := range r.Evaluations {
			if v, ok := e.Metrics[key]; ok && v != -1 && (!found || v > best.Metrics[key]) {
				best, found = e, true
			}
		}
		if found {
			return fmt.Sprintf("%s (%s %s %%)", thousands(best.Step), key, percent(best.Metrics[key]))
		}
	}
	return ""
}

func seconds(s float64) string {
	if s < 60 {
		return fmt.Sprintf("%.1f s", s)
	}
	return progress.Duration(time.Duration(s * float64(time.Second)))
}

// machine is what the runs ran on and with.
func machine(runs []*Run) []fact {
	f := facts{runs: runs}
	f.add("folder", func(r *Run) string { return r.Dir })
	originated := func(of func(*Origin) string) func(*Run) string {
		return done(func(r *Result) string {
			if r.Origin == nil {
				return ""
			}
			return of(r.Origin)
		})
	}
	f.add("command", originated(func(o *Origin) string { return o.Command }))
	f.add("started", originated(func(o *Origin) string { return o.Started }))
	f.add("program's commit", originated(func(o *Origin) string { return o.Program }))
	f.add("machine", originated(func(o *Origin) string {
		return fmt.Sprintf("%s, %d cores, %s", o.Machine.CPU, o.Machine.Cores, progress.Bytes(o.Machine.Memory))
	}))
	f.add("device", outlined(func(o *Outline) string { return o.Device }))
	f.add("threads", outlined(func(o *Outline) string { return fmt.Sprint(o.Threads) }))
	f.add("network", outlined(func(o *Outline) string {
		text := o.Backbone
		if o.Width > 0 {
			text += fmt.Sprintf(", width %d", o.Width)
		}
		if o.Head != "" {
			text += ", " + o.Head
		}
		return text
	}))
	f.add("training", outlined(func(o *Outline) string { return fmt.Sprintf("%s, K=%d", o.Strategy, o.Blocks) }))
	f.add("cuts after", outlined(func(o *Outline) string { return strings.Join(o.Cuts, ", ") }))
	f.add("classes", outlined(func(o *Outline) string { return fmt.Sprint(o.Classes) }))
	f.add("parameters at inference", outlined(func(o *Outline) string { return thousands(int64(o.InferenceParameters)) }))
	f.add("parameters in training", outlined(func(o *Outline) string { return thousands(int64(o.TrainingParameters)) }))
	f.add("batch", outlined(func(o *Outline) string {
		text := fmt.Sprintf("%d images", o.Batch)
		if len(o.Input) == 3 {
			text += fmt.Sprintf(", the largest step %d of %d×%d", o.Input[0], o.Input[1], o.Input[2])
		}
		return text
	}))
	f.add("learning rate", outlined(func(o *Outline) string { return fmt.Sprintf("%g, %s", o.LR, o.Schedule) }))
	f.add("training data", outlined(func(o *Outline) string { return amount(o.TrainImages, o.TrainObjects) }))
	f.add("validation data", outlined(func(o *Outline) string { return amount(o.ValImages, o.ValObjects) }))
	f.add("checkpoint", done(func(r *Result) string { return r.Checkpoint }))
	return f.rows
}

func amount(images, objects int) string {
	text := thousands(int64(images)) + " images"
	if objects > 0 {
		text += ", " + thousands(int64(objects)) + " objects"
	}
	return text
}

// memoryBar is a row of the memory chart: parts, each a share of the longest row.
type memoryBar struct {
	Run, Name, Total string
	First            bool // of its run
	Parts            []memoryPart
}

type memoryPart struct {
	Style template.CSS
	X     string // percent
	Width string
	Title string
}

// memory is the plan beside what was measured.
type memory struct {
	Legend []legendEntry
	Bars   []memoryBar
	Rows   []fact // the same in numbers
}

func memoryOf(runs []*Run) *memory {
	m := &memory{}
	kinds := []struct {
		name string
		of   func(Plan) int64
	}{
		{"working memory", func(p Plan) int64 { return p.Working }},
		{"between blocks", func(p Plan) int64 { return p.Boundary }},
		{"parameters", func(p Plan) int64 { return p.Parameters }},
		{"optimizer", func(p Plan) int64 { return p.Optimizer }},
		{"gradients", func(p Plan) int64 { return p.Gradients }},
	}
	f := facts{runs: runs}
	for i, k := range kinds {
		col, _ := distinct(i)
		m.Legend = append(m.Legend, legendEntry{Name: k.name, Style: col.style()})
		f.add("planned: "+k.name, outlined(func(o *Outline) string { return size(k.of(o.Memory)) }))
	}
	f.add("planned in all", done(func(r *Result) string { return size(r.Memory.Planned) }))
	f.add("allocated at most", done(func(r *Result) string { return size(r.Memory.Allocated) }))
	f.add("allocated over planned", done(func(r *Result) string {
		if r.Memory.Planned == 0 || r.Memory.Allocated == 0 {
			return ""
		}
		return fmt.Sprintf("%.2f", float64(r.Memory.Allocated)/float64(r.Memory.Planned))
	}))
	f.add("resident at most, with images", done(func(r *Result) string { return size(r.Memory.Resident) }))
	m.Rows = f.rows
	var longest int64
	for _, r := range runs {
		if r.Result != nil {
			longest = max(longest, r.Result.Memory.Planned, r.Result.Memory.Allocated, r.Result.Memory.Resident)
		}
	}
	if longest == 0 {
		return nil
	}
	grey := template.CSS("--l:#8a8a8a;--d:#8f8f8f")
	for _, r := range runs {
		if r.Result == nil {
			continue
		}
		use := r.Result.Memory
		plan := memoryBar{Run: r.Label, Name: "planned", Total: size(use.Planned), First: true}
		if o := r.Result.Outline; o != nil {
			var at int64
			for i, k := range kinds {
				v := k.of(o.Memory)
				if v > 0 {
					plan.Parts = append(plan.Parts, memoryPart{m.Legend[i].Style, share(at, longest), share(v, longest), k.name + ": " + size(v)})
				}
				at += v
			}
		}
		m.Bars = append(m.Bars, plan)
		for _, measured := range []struct {
			name string
			v    int64
		}{{"allocated", use.Allocated}, {"resident", use.Resident}} {
			if measured.v > 0 {
				m.Bars = append(m.Bars, memoryBar{Run: r.Label, Name: measured.name, Total: size(measured.v),
					Parts: []memoryPart{{grey, "0", share(measured.v, longest), measured.name + " at most: " + size(measured.v)}}})
			}
		}
	}
	return m
}

func share(v, of int64) string { return px(100 * float64(v) / float64(of)) }

func size(n int64) string {
	if n <= 0 {
		return ""
	}
	return progress.Bytes(n)
}

// blockRow is what a block of a run took and reached.
type blockRow struct {
	Name, Memory, MemoryWidth, Time, TimeWidth string
	Loss, Scale, Distance                      string
}

// blockTable is the table of a run's blocks; nil of a run with one.
func blockTable(r *Run) []blockRow {
	if r.Result == nil || r.Result.Outline == nil || len(r.Result.Outline.Memory.Blocks) < 2 {
		return nil
	}
	plan := r.Result.Outline.Memory.Blocks
	times := make([]float64, len(plan))
	n := 0
	for _, l := range r.Log {
		if len(l.BlockTime) == len(plan) {
			n++
			for i, v := range l.BlockTime {
				times[i] += v
			}
		}
	}
	slowest := 0.0
	for i := range times {
		times[i] /= float64(max(n, 1))
		slowest = max(slowest, times[i])
	}
	var last Line
	if len(r.Log) > 0 {
		last = r.Log[len(r.Log)-1]
	}
	at := func(v []float64, i int) string {
		if i >= len(v) {
			return "–"
		}
		return number(v[i])
	}
	var rows []blockRow
	for i, bytes := range plan {
		row := blockRow{Name: r.blockName(i), Memory: progress.Bytes(bytes), MemoryWidth: share(bytes, max(1, slices.Max(plan))),
			Loss: at(last.Blocks, i), Scale: at(last.Scales, i), Distance: at(last.Distances, i), Time: "–", TimeWidth: "0"}
		if slowest > 0 {
			row.Time, row.TimeWidth = fmt.Sprintf("%.1f ms", 1000*times[i]), px(100*times[i]/slowest)
		}
		rows = append(rows, row)
	}
	return rows
}

// differences are the settings in which runs differ; a run that lacks one shows "–".
func differences(runs []*Run) []fact {
	if len(runs) < 2 {
		return nil
	}
	var keys []string
	for _, r := range runs {
		for _, s := range r.Config {
			if !slices.Contains(keys, s.Key) {
				keys = append(keys, s.Key)
			}
		}
	}
	var out []fact
	for _, key := range keys {
		row := fact{Name: key}
		same := true
		for _, r := range runs {
			v := r.Setting(key)
			same = same && v == runs[0].Setting(key)
			if v == "" {
				v = "–"
			}
			row.Cells = append(row.Cells, v)
		}
		if !same {
			out = append(out, row)
		}
	}
	return out
}
