package page

import (
	"encoding/json"
	"fmt"
	"html"
	"html/template"
	"math"
	"strconv"
	"strings"

	"manvision/report"
)

// The charts' size in units of their viewBox, and the margins of the plot in it. On a
// phone a unit is about 0.8 pixels.
const (
	chartWidth, chartHeight = 440.0, 270.0
	left, right             = 54.0, 10.0
	top, bottom             = 10.0, 36.0
)

// maxPoints bounds the points drawn of one curve.
const maxPoints = 600

// chart is a picture of curves.
type chart struct {
	title  string
	x, y   string // what the axes measure
	series []report.Series
	// parts, where it is not 0, says that the series are the first of that many parts in
	// order, such as blocks, and coloured so.
	parts int
	// smooth draws a running mean over the faint curve where there are many points.
	smooth bool
	// logY draws a logarithmic axis where all values are positive and span a factor
	// of 30 or more.
	logY bool
	// xRange and yRange fix the axes; where both ends are equal the data does.
	xRange, yRange [2]float64
	scale          float64 // values are shown times this; 0: 1
}

// drawn is a chart as the template wants it.
type drawn struct {
	ID     string
	Title  string
	SVG    template.HTML
	Legend []legendEntry
	Data   template.JS // for the cursor
	Rows   []numbersRow
	X, Y   string
	// Smoothed: the faint curves are the values, the others a running mean.
	Smoothed bool
}

type legendEntry struct {
	Name  string
	Short string // in the place of the name where there are many
	Style template.CSS
	Dash  string
}

// numbersRow is a curve's row in the table under a chart.
type numbersRow struct{ Name, First, Last, Least, LeastAt, Most, MostAt string }

// draw makes the chart; nil where no series has a point.
func (c chart) draw(id string) *drawn {
	scale := c.scale
	if scale == 0 {
		scale = 1
	}
	var series []report.Series
	var places []int // a run keeps its colour where others have no points
	for i, s := range c.series {
		if s = finitePoints(s, scale); len(s.X) > 0 {
			series, places = append(series, s), append(places, i)
		}
	}
	if len(series) == 0 {
		return nil
	}
	xs, ys := c.axes(series)
	d := &drawn{ID: id, Title: c.title, X: c.x, Y: c.y}
	if ys.log {
		d.Y += ", logarithmic"
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg viewBox="0 0 %g %g" role="img" tabindex="0" aria-label="%s">`, chartWidth, chartHeight,
		html.EscapeString(c.title+". "+d.Y+" by "+c.x+". The numbers are in the table below; with a script, left and right move the cursor."))
	writeGrid(&b, xs, ys, c.x)
	for i, s := range series {
		col, dash := distinct(places[i])
		if c.parts > 0 {
			col, dash = ordered(places[i], c.parts), ""
		}
		e := legendEntry{Name: s.Name, Style: col.style(), Dash: dash}
		if c.parts > 8 {
			e.Short = fmt.Sprint(i + 1)
		}
		d.Legend = append(d.Legend, e)
		d.Rows = append(d.Rows, numbersOf(s))
		fmt.Fprintf(&b, `<g class="s" data-s="%d" style="%s">`, i, col.style())
		thinned := thin(s, maxPoints)
		if c.smooth && len(s.X) >= 40 {
			d.Smoothed = true
			writePath(&b, thinned, xs, ys, "faint", "")
			writePath(&b, thin(smoothed(s), maxPoints), xs, ys, "line", dash)
		} else {
			writePath(&b, thinned, xs, ys, "line", dash)
		}
		b.WriteString("</g>")
	}
	b.WriteString(`<line class="cursor" y1="10" y2="234" x1="-9" x2="-9"/></svg>`)
	d.SVG = template.HTML(b.String())
	if c.parts > 8 { // the cursor has no room for more
		for i := range series {
			series[i].Name = d.Legend[i].Short
		}
	}
	d.Data = cursorData(series, xs, ys)
	return d
}

// finitePoints leaves out what cannot be drawn.
func finitePoints(s report.Series, scale float64) report.Series {
	out := report.Series{Name: s.Name}
	for i, x := range s.X {
		if y := s.Y[i] * scale; !math.IsNaN(x+y) && !math.IsInf(x+y, 0) {
			out.X, out.Y = append(out.X, x), append(out.Y, y)
		}
	}
	return out
}

// axes fits the axes around the series.
func (c chart) axes(series []report.Series) (xs, ys axis) {
	xs = axis{min: math.Inf(1), max: math.Inf(-1), from: left, to: chartWidth - right}
	ys = axis{min: math.Inf(1), max: math.Inf(-1), from: chartHeight - bottom, to: top}
	for _, s := range series {
		for i := range s.X {
			xs.min, xs.max = min(xs.min, s.X[i]), max(xs.max, s.X[i])
			ys.min, ys.max = min(ys.min, s.Y[i]), max(ys.max, s.Y[i])
		}
	}
	if c.xRange[0] != c.xRange[1] {
		xs.min, xs.max = c.xRange[0], c.xRange[1]
	} else if xs.min > 0 && xs.min < xs.max/4 {
		xs.min = 0
	}
	if xs.min == xs.max {
		xs.min, xs.max = xs.min-1, xs.max+1
	}
	switch {
	case c.yRange[0] != c.yRange[1]:
		ys.min, ys.max = c.yRange[0], c.yRange[1]
		return xs, ys
	case c.logY && ys.min > 0 && ys.max/ys.min >= 30:
		ys.log = true
		ys.min, ys.max = ys.min/1.1, ys.max*1.1
		return xs, ys
	case ys.min == ys.max:
		pad := math.Max(math.Abs(ys.min)*0.1, 1e-9)
		if ys.min == 0 {
			pad = 1
		}
		ys.min, ys.max = ys.min-pad, ys.max+pad
		return xs, ys
	}
	span := ys.max - ys.min
	below := ys.min
	ys.min, ys.max = ys.min-0.05*span, ys.max+0.05*span
	if below >= 0 && (below < 0.4*ys.max || ys.min < 0) {
		ys.min = 0
	}
	return xs, ys
}

func px(v float64) string { return strconv.FormatFloat(math.Round(v*10)/10, 'f', -1, 64) }

func writeGrid(b *strings.Builder, xs, ys axis, name string) {
	for _, v := range ys.ticks(5) {
		y := px(ys.at(v))
		fmt.Fprintf(b, `<line class="grid" x1="%g" x2="%g" y1="%s" y2="%s"/><text class="tick" x="%g" y="%s" dy=".35em" text-anchor="end">%s</text>`,
			left, chartWidth-right, y, y, left-6, y, short(v))
	}
	for _, v := range xs.ticks(5) {
		x, word, anchor := px(xs.at(v)), short(v), "middle"
		if xs.at(v)+4*float64(len(word)) > chartWidth {
			anchor = "end"
		}
		fmt.Fprintf(b, `<line class="grid" x1="%s" x2="%s" y1="%g" y2="%g"/><text class="tick" x="%s" y="%g" text-anchor="%s">%s</text>`,
			x, x, top, chartHeight-bottom+4, x, chartHeight-bottom+18, anchor, word)
	}
	fmt.Fprintf(b, `<line class="axis" x1="%g" x2="%g" y1="%g" y2="%g"/><text class="tick" x="%g" y="%g" text-anchor="end">%s</text>`,
		left, chartWidth-right, chartHeight-bottom, chartHeight-bottom, chartWidth-right, chartHeight-4, html.EscapeString(name))
}

// writePath draws a curve; a single point becomes a dot.
func writePath(b *strings.Builder, s report.Series, xs, ys axis, class, dash string) {
	if len(s.X) == 1 {
		fmt.Fprintf(b, `<circle class="dot" cx="%s" cy="%s" r="3.5"/>`, px(xs.at(s.X[0])), px(ys.at(s.Y[0])))
		return
	}
	fmt.Fprintf(b, `<path class="%s"`, class)
	if dash != "" {
		fmt.Fprintf(b, ` stroke-dasharray="%s"`, dash)
	}
	b.WriteString(` d="`)
	for i := range s.X {
		verb := "L"
		if i == 0 {
			verb = "M"
		}
		b.WriteString(verb + px(xs.at(s.X[i])) + " " + px(ys.at(s.Y[i])))
	}
	b.WriteString(`"/>`)
}

// thin keeps about n points of a curve: of each stretch the first, the last, the least
// and the greatest, so that no peak is lost.
func thin(s report.Series, n int) report.Series {
	if len(s.X) <= n {
		return s
	}
	out := report.Series{Name: s.Name}
	stretch := (4*len(s.X) + n - 1) / n
	for from := 0; from < len(s.X); from += stretch {
		to := min(from+stretch, len(s.X))
		least, most := from, from
		for i := from; i < to; i++ {
			if s.Y[i] < s.Y[least] {
				least = i
			}
			if s.Y[i] > s.Y[most] {
				most = i
			}
		}
		last := -1
		for _, i := range []int{from, min(least, most), max(least, most), to - 1} {
			if i > last {
				out.X, out.Y = append(out.X, s.X[i]), append(out.Y, s.Y[i])
				last = i
			}
		}
	}
	return out
}

// smoothed is a running mean over about a twentieth of the points, ten at most.
func smoothed(s report.Series) report.Series {
	keep := 1 - 1/math.Min(10, math.Max(2, float64(len(s.X))/20))
	out := report.Series{Name: s.Name, X: s.X, Y: make([]float64, len(s.Y))}
	sum, weight := 0.0, 0.0
	for i, v := range s.Y {
		sum, weight = keep*sum+(1-keep)*v, keep*weight+1-keep
		out.Y[i] = sum / weight
	}
	return out
}

func numbersOf(s report.Series) numbersRow {
	least, most := 0, 0
	for i, v := range s.Y {
		if v < s.Y[least] {
			least = i
		}
		if v > s.Y[most] {
			most = i
		}
	}
	return numbersRow{s.Name, number(s.Y[0]), number(s.Y[len(s.Y)-1]), number(s.Y[least]), number(s.X[least]), number(s.Y[most]), number(s.X[most])}
}

// cursorData is what the script needs to show values: points in pixels and in numbers.
func cursorData(series []report.Series, xs, ys axis) template.JS {
	type curve struct {
		N string    `json:"n"`
		X []float64 `json:"x"`
		Y []float64 `json:"y"`
	}
	out := struct {
		S []curve    `json:"s"`
		X [4]float64 `json:"x"` // least and greatest value, their pixels
	}{X: [4]float64{xs.min, xs.max, xs.from, xs.to}}
	for _, s := range series {
		t := thin(s, maxPoints)
		c := curve{N: s.Name, X: t.X, Y: make([]float64, len(t.Y))}
		for i, v := range t.Y {
			c.Y[i], _ = strconv.ParseFloat(strconv.FormatFloat(v, 'g', 6, 64), 64)
		}
		out.S = append(out.S, c)
	}
	b, err := json.Marshal(out) // escapes <, > and &, so that no name can end the script
	if err != nil {
		panic(fmt.Sprintf("page: %v", err)) // all values are finite
	}
	return template.JS(b)
}
