package page

import (
	"cmp"
	"encoding/json"
	"fmt"
	"html/template"
	"math"
	"slices"

	"manvision/report"
)

// detail is what the results of all tasks have in common, as result.json holds it.
type detail struct {
	Classes   []map[string]any `json:"per_class"`
	Confusion [][]float64      `json:"confusion"`
	Curves    *struct {
		AP   []float64
		AP50 []float64
		AP75 []float64
	} `json:"precision_recall"`
}

func (r *Run) detail() detail {
	var d detail
	if r.Result == nil || len(r.Result.Metrics) == 0 {
		return d
	}
	if err := json.Unmarshal(r.Result.Metrics, &d); err != nil {
		r.note(fmt.Sprintf("%s: metrics cannot be read and are left out: %v", resultFile, err))
		return detail{}
	}
	return d
}

// classKeys are the numbers of a class, the one that the bars show first.
var classKeys = []string{"AP", "IoU", "top1", "AP50", "AP75", "AR100", "accuracy", "top5", "objects", "pixels", "images", "detections", "predicted"}

// shares are those of classKeys that lie in 0..1.
var shares = classKeys[:8]

// classTable holds the numbers of the classes of all runs.
type classTable struct {
	Key  string // of the bars
	Runs []legendEntry
	Rows []classRow
	// More are the rows beyond those at both ends, of many classes.
	More    []classRow
	Columns []string // of Numbers
	Numbers []numberRow
}

type classRow struct {
	Name string
	Bars []bar
}

// bar is a length in percent; a value that is missing has no bar.
type bar struct {
	Style template.CSS
	Value string
	Width string
	Title string
}

type numberRow struct {
	Class, Run string
	Cells      []string
}

// mostBars bounds the classes shown at once; of more, the best and the worst are.
const mostBars = 60

// classTableOf compares the classes of the runs; nil where none has any.
func classTableOf(runs []*Run, details []detail) *classTable {
	t := &classTable{}
	for _, key := range classKeys {
		if t.Key == "" && slices.ContainsFunc(details, func(d detail) bool { return len(d.Classes) > 0 && has(d.Classes, key) }) {
			t.Key = key
		}
	}
	if t.Key == "" {
		return nil
	}
	for _, key := range classKeys {
		if slices.ContainsFunc(details, func(d detail) bool { return has(d.Classes, key) }) {
			t.Columns = append(t.Columns, key)
		}
	}
	type ranked struct {
		row  classRow
		best float64
	}
	var rows []ranked
	at := map[string]int{}
	for k, d := range details {
		col, _ := distinct(k)
		t.Runs = append(t.Runs, legendEntry{Name: runs[k].Label, Style: col.style()})
		for _, c := range d.Classes {
			name, _ := c["name"].(string)
			i, ok := at[name]
			if !ok {
				i = len(rows)
				at[name] = i
				rows = append(rows, ranked{row: classRow{Name: name, Bars: make([]bar, len(runs))}, best: -1})
				for b := range rows[i].row.Bars {
					rows[i].row.Bars[b] = bar{Value: "–", Width: "0", Title: runs[b].Label + ": no number"}
				}
			}
			v, ok := c[t.Key].(float64)
			if ok && v >= 0 {
				rows[i].row.Bars[k] = bar{col.style(), percent(v), px(100 * min(v, 1)), runs[k].Label + ": " + percent(v) + " %"}
				rows[i].best = max(rows[i].best, v)
			}
			n := numberRow{Class: name, Run: runs[k].Label}
			for _, key := range t.Columns {
				n.Cells = append(n.Cells, classNumber(c, key))
			}
			t.Numbers = append(t.Numbers, n)
		}
	}
	slices.SortStableFunc(rows, func(a, b ranked) int { return cmp.Compare(b.best, a.best) })
	for i, r := range rows {
		if len(rows) > mostBars && i >= mostBars/2 && i < len(rows)-mostBars/2 {
			t.More = append(t.More, r.row)
			continue
		}
		t.Rows = append(t.Rows, r.row)
	}
	return t
}

func has(classes []map[string]any, key string) bool {
	return slices.ContainsFunc(classes, func(c map[string]any) bool { _, ok := c[key].(float64); return ok })
}

func classNumber(c map[string]any, key string) string {
	v, ok := c[key].(float64)
	if !ok || slices.Contains(shares, key) && v < 0 {
		return "–"
	}
	if slices.Contains(shares, key) {
		return percent(v)
	}
	return thousands(int64(v))
}

func percent(v float64) string { return fmt.Sprintf("%.1f", 100*v) }

// prCharts draws precision by recall: of all runs in one chart, and of the classes of
// each run that has them.
func prCharts(runs []*Run, details []detail) []*drawn {
	var out []*drawn
	add := func(c chart) {
		c.x, c.y, c.xRange, c.yRange = "recall", "precision", [2]float64{0, 1}, [2]float64{0, 1.02}
		if d := c.draw(fmt.Sprintf("pr%d", len(out))); d != nil {
			out = append(out, d)
		}
	}
	all := chart{title: "Precision by recall, mean of the classes"}
	for k, r := range runs {
		before := ""
		if len(runs) > 1 {
			before = r.Label + ", "
		}
		var mean []PR
		for _, c := range r.Curves {
			if !c.Class {
				mean = append(mean, c)
			}
		}
		if d := details[k].Curves; d != nil && len(mean) == 0 {
			mean = []PR{{Name: "IoU 0.50", Precision: d.AP50}, {Name: "IoU 0.75", Precision: d.AP75}, {Name: "IoU 0.50 to 0.95", Precision: d.AP}}
		}
		for _, c := range mean {
			all.series = append(all.series, prSeries(before+c.Name, c.Precision))
		}
	}
	add(all)
	for _, r := range runs {
		c := chart{title: "Precision by recall at IoU 0.50, by class"}
		if len(runs) > 1 {
			c.title += ": " + r.Label
		}
		var classes []PR
		for _, p := range r.Curves {
			if p.Class {
				classes = append(classes, p)
			}
		}
		// More curves than these cannot be told apart.
		const most = 24
		if len(classes) > most {
			slices.SortStableFunc(classes, func(a, b PR) int { return cmp.Compare(meanOf(b.Precision), meanOf(a.Precision)) })
			classes = append(classes[:most/2:most/2], classes[len(classes)-most/2:]...)
			c.title += fmt.Sprintf(", the %d best and the %d worst", most/2, most/2)
		}
		for _, p := range classes {
			c.series = append(c.series, prSeries(p.Name, p.Precision))
		}
		add(c)
	}
	return out
}

func meanOf(v []float64) float64 {
	sum := 0.0
	for _, x := range v {
		sum += x
	}
	return sum / math.Max(1, float64(len(v)))
}

func prSeries(name string, precision []float64) report.Series {
	s := report.Series{Name: name, Y: precision}
	for i := range precision {
		s.X = append(s.X, float64(i)/float64(max(1, len(precision)-1)))
	}
	return s
}
