package page

import (
	"fmt"
	"slices"

	"manvision/report"
)

// lineSeries reads one value a log line.
func (r *Run) lineSeries(name string, of func(*Line) *float64) report.Series {
	s := report.Series{Name: name}
	for i := range r.Log {
		if v := of(&r.Log[i]); v != nil {
			s.X, s.Y = append(s.X, float64(r.Log[i].Step)), append(s.Y, *v)
		}
	}
	return s
}

// blockSeries reads a list of values a log line, one a block.
func (r *Run) blockSeries(of func(*Line) []float64) []report.Series {
	var out []report.Series
	for i := range r.Log {
		for k, v := range of(&r.Log[i]) {
			if k == len(out) {
				out = append(out, report.Series{Name: r.blockName(k)})
			}
			out[k].X, out[k].Y = append(out[k].X, float64(r.Log[i].Step)), append(out[k].Y, v)
		}
	}
	return out
}

// moved says whether a value is not 0: strategies without fusion log zeros, and the
// EMA's distance where there is none.
func moved(all []report.Series) bool {
	return slices.ContainsFunc(all, func(s report.Series) bool {
		return slices.ContainsFunc(s.Y, func(v float64) bool { return v != s.Y[0] || v != 0 && v != 1 })
	})
}

// blockName is "block 2, to layer2.1" where the run says where it ends.
func (r *Run) blockName(k int) string {
	name := fmt.Sprintf("block %d", k+1)
	if r.Result == nil || r.Result.Outline == nil {
		return name
	}
	if cuts := r.Result.Outline.Cuts; k < len(cuts) {
		return name + ", to " + cuts[k]
	}
	return name + ", to the head"
}

// section is a group of charts under a heading.
type section struct {
	Title  string
	Charts []*drawn
	Small  bool // charts that matter less, folded away
}

// sections makes the curves of all runs.
func sections(runs []*Run) []section {
	n := 0
	put := func(s *section, c chart) {
		if d := c.draw(fmt.Sprintf("chart%d", n)); d != nil {
			s.Charts = append(s.Charts, d)
			n++
		}
	}
	each := func(of func(*Line) *float64) []report.Series {
		var out []report.Series
		for _, r := range runs {
			out = append(out, r.lineSeries(r.Label, of))
		}
		return out
	}
	compared := section{Title: "Curves"}
	put(&compared, chart{title: "Loss of the last block", x: "step", y: "loss", smooth: true, logY: true, series: each(func(l *Line) *float64 { return l.Loss })})
	first, more := metricKeys(runs)
	metric := func(key string) chart {
		c := chart{title: metricTitle(key), x: "step", y: key}
		for _, r := range runs {
			s := report.Series{Name: r.Label}
			for _, e := range r.Evaluations {
				if v, ok := e.Metrics[key]; ok && v != -1 {
					s.X, s.Y = append(s.X, float64(e.Step)), append(s.Y, v)
				}
			}
			c.series = append(c.series, s)
		}
		return c
	}
	for _, key := range first {
		put(&compared, metric(key))
	}
	put(&compared, chart{title: "Learning rate", x: "step", y: "learning rate", series: each(func(l *Line) *float64 { return l.LR })})
	out := []section{compared}

	for _, r := range runs {
		s := section{Title: "Blocks"}
		if len(runs) > 1 {
			s.Title = "Blocks of " + r.Label
		}
		if blocks := r.blockSeries(func(l *Line) []float64 { return l.Blocks }); len(blocks) > 1 {
			put(&s, chart{title: "Loss of every block", x: "step", y: "loss", parts: len(blocks), logY: true, series: blocks})
			if scales := r.blockSeries(func(l *Line) []float64 { return l.Scales }); moved(scales) {
				put(&s, chart{title: "Fusion scalar s", x: "step", y: "s", parts: len(blocks), series: scales})
			}
			if distances := r.blockSeries(func(l *Line) []float64 { return l.Distances }); moved(distances) {
				put(&s, chart{title: "Distance of local block and EMA", x: "step", y: "‖LB−EMA‖", parts: len(blocks), logY: true, series: distances})
			}
		}
		if len(s.Charts) > 0 {
			out = append(out, s)
		}
	}

	engine := section{Title: "Speed and memory over time"}
	put(&engine, chart{title: "Images a second", x: "step", y: "images / s", series: each(func(l *Line) *float64 { return l.Images })})
	put(&engine, chart{title: "Waiting for data", x: "step", y: "% of the time", scale: 100, series: each(func(l *Line) *float64 { return l.DataWait })})
	put(&engine, chart{title: "Resident memory", x: "step", y: "MiB", scale: 1.0 / (1 << 20), series: each(func(l *Line) *float64 { return l.Memory })})
	if slices.ContainsFunc(runs, func(r *Run) bool {
		return slices.ContainsFunc(r.Log, func(l Line) bool { return l.GradNorm != nil && *l.GradNorm != 0 })
	}) {
		put(&engine, chart{title: "Norm of the gradient", x: "step", y: "norm", logY: true, series: each(func(l *Line) *float64 { return l.GradNorm })})
	}
	if len(engine.Charts) > 0 {
		out = append(out, engine)
	}
	rest := section{Title: "More metrics", Small: true}
	for _, key := range more {
		put(&rest, metric(key))
	}
	if len(rest.Charts) > 0 {
		out = append(out, rest)
	}
	return out
}

// leading are the metrics worth a chart at the top.
var leading = []string{"AP", "AP50", "AP75", "mIoU", "pixel_accuracy", "mean_accuracy", "top1", "top5", "cross_entropy"}

// metricKeys lists the metrics of the runs: those to show first, and the others.
func metricKeys(runs []*Run) (first, more []string) {
	have := map[string]bool{}
	for _, r := range runs {
		for _, e := range r.Evaluations {
			for k, v := range e.Metrics {
				have[k] = have[k] || v != -1
			}
		}
	}
	for _, k := range leading {
		if have[k] {
			first = append(first, k)
		}
	}
	for k, any := range have {
		if any && !slices.Contains(leading, k) {
			more = append(more, k)
		}
	}
	slices.Sort(more)
	return first, more
}

func metricTitle(key string) string {
	switch key {
	case "AP":
		return "AP, IoU 0.50 to 0.95"
	case "AP50":
		return "AP at IoU 0.50"
	case "AP75":
		return "AP at IoU 0.75"
	case "mIoU":
		return "Mean IoU"
	case "pixel_accuracy":
		return "Pixel accuracy"
	case "mean_accuracy":
		return "Mean accuracy of the classes"
	case "top1":
		return "Top-1 accuracy"
	case "top5":
		return "Top-5 accuracy"
	case "cross_entropy":
		return "Cross-entropy"
	case "mean_top1":
		return "Mean top-1 accuracy of the classes"
	}
	return key
}
