package report

import (
	"encoding/csv"
	"errors"
	"fmt"
	"image/color"
	"io"
	"math"
	"strconv"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
)

// Series is one curve. Where Y (or X) is NaN or infinite the curve has a gap.
type Series struct {
	Name string
	X, Y []float64
}

// Chart says how curves are drawn; the zero value works.
type Chart struct {
	Title, XLabel, YLabel string
	Width, Height         int     // pixels, 0: 960 x 540
	LogY                  bool    // logarithmic axis; values that are not positive become gaps
	Smooth                float64 // 0 … 1: weight of the past in a running mean drawn over the faint raw curve; 0: raw only
}

// ReadCSV reads columns of a CSV log with a header line: x names the column of
// the horizontal axis, columns the curves (none: every other column whose first
// filled cell is a number). Empty cells and "nan" become gaps. A cell that is no
// number is an error with its line and column; an unknown column is an error
// that lists the known ones. A last line that was cut off in the middle (a run
// still going, or killed) is left out.
func ReadCSV(r io.Reader, x string, columns ...string) ([]Series, error) {
	in := csv.NewReader(r)
	in.FieldsPerRecord = -1
	header, err := in.Read()
	if err != nil {
		return nil, fmt.Errorf("report: csv: header line: %w", err)
	}
	var rows [][]string
	for {
		row, err := in.Read()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("report: csv: %w", err)
		}
		rows = append(rows, row)
	}
	if n := len(rows); n > 0 && len(rows[n-1]) < len(header) {
		rows = rows[:n-1]
	}
	for i, row := range rows {
		if len(row) != len(header) {
			return nil, fmt.Errorf("report: csv: line %d has %d cells, the header %d", i+2, len(row), len(header))
		}
	}
	at := map[string]int{}
	for i, name := range header {
		at[name] = i
	}
	xi, ok := at[x]
	if !ok {
		return nil, fmt.Errorf("report: csv: no column %q; there are %s", x, strings.Join(header, ", "))
	}
	if len(columns) == 0 {
		for i, name := range header {
			if i != xi && numeric(rows, i) {
				columns = append(columns, name)
			}
		}
	}
	out := make([]Series, 0, len(columns))
	for _, name := range columns {
		i, ok := at[name]
		if !ok {
			return nil, fmt.Errorf("report: csv: no column %q; there are %s", name, strings.Join(header, ", "))
		}
		s := Series{Name: name, X: make([]float64, len(rows)), Y: make([]float64, len(rows))}
		for k, row := range rows {
			var errX, errY error
			s.X[k], errX = cell(row[xi])
			s.Y[k], errY = cell(row[i])
			if err := errors.Join(errX, errY); err != nil {
				return nil, fmt.Errorf("report: csv: line %d, column %q or %q: %w", k+2, x, name, err)
			}
		}
		out = append(out, s)
	}
	return out, nil
}

func cell(s string) (float64, error) {
	if s = strings.TrimSpace(s); s == "" {
		return math.NaN(), nil
	}
	v, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return 0, fmt.Errorf("%q is not a number", s)
	}
	return v, nil
}

func numeric(rows [][]string, column int) bool {
	for _, row := range rows {
		if strings.TrimSpace(row[column]) != "" {
			_, err := cell(row[column])
			return err == nil
		}
	}
	return false
}

// Curves draws the series as a PNG. It returns an error where a series' X and Y
// differ in length, or no series has a single point to show.
func Curves(w io.Writer, c Chart, series ...Series) error {
	p := plot.New()
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = c.Title, c.XLabel, c.YLabel
	p.Title.Padding = vg.Points(6)
	p.Legend.Top = true
	for _, style := range []*draw.TextStyle{&p.Title.TextStyle, &p.X.Label.TextStyle, &p.Y.Label.TextStyle,
		&p.X.Tick.Label, &p.Y.Tick.Label, &p.Legend.TextStyle} {
		style.Font.Variant = "Sans"
	}
	if c.Smooth < 0 || c.Smooth >= 1 || math.IsNaN(c.Smooth) {
		return fmt.Errorf("report: curves: smoothing %v; need 0 <= smoothing < 1", c.Smooth)
	}
	grid := plotter.NewGrid()
	grid.Horizontal.Color, grid.Vertical.Color = color.Gray{225}, color.Gray{235}
	p.Add(grid)
	if c.LogY {
		p.Y.Scale, p.Y.Tick.Marker = plot.LogScale{}, plot.LogTicks{Prec: -1}
	}
	points := 0
	for i, s := range series {
		if len(s.X) != len(s.Y) {
			return fmt.Errorf("report: curves: series %q has %d x values and %d y values", s.Name, len(s.X), len(s.Y))
		}
		colour := hsl(math.Mod(210+float64(i)*137.50776405, 360), 0.7, 0.42)
		faint := colour
		faint.A = 70
		raw := pieces(s, c.LogY)
		if c.Smooth > 0 {
			for _, piece := range raw {
				addLine(p, piece, faint, 1)
			}
			raw = pieces(Series{s.Name, s.X, smooth(s.Y, c.Smooth)}, c.LogY)
		}
		for k, piece := range raw {
			points += len(piece)
			line := addLine(p, piece, colour, 1.6)
			if k == 0 && s.Name != "" {
				p.Legend.Add(s.Name, line)
			}
		}
	}
	if points == 0 {
		return fmt.Errorf("report: curves: no finite point in %d series", len(series))
	}
	if c.LogY && p.Y.Min == p.Y.Max {
		// Plot would widen an axis of no extent by 1, below 0 on a small value.
		p.Y.Min, p.Y.Max = p.Y.Min/2, p.Y.Max*2
	}
	width, height := c.Width, c.Height
	if width <= 0 || height <= 0 {
		width, height = 960, 540
	}
	const dpi = 110
	size := func(px int) vg.Length { return vg.Length(px) / dpi * vg.Inch }
	canvas := vgimg.NewWith(vgimg.UseWH(size(width), size(height)), vgimg.UseDPI(dpi))
	inner := draw.Crop(draw.New(canvas), vg.Points(6), -vg.Points(12), vg.Points(6), -vg.Points(6))
	p.Draw(inner)
	if _, err := (vgimg.PngCanvas{Canvas: canvas}).WriteTo(w); err != nil {
		return fmt.Errorf("report: curves: %w", err)
	}
	return nil
}

// SaveCurves is Curves into a file, which is replaced as a whole.
func SaveCurves(path string, c Chart, series ...Series) error {
	return writeFile(path, func(w io.Writer) error { return Curves(w, c, series...) })
}

func addLine(p *plot.Plot, piece plotter.XYs, c color.Color, points float64) *plotter.Line {
	line := &plotter.Line{XYs: piece, LineStyle: plotter.DefaultLineStyle}
	line.Color, line.Width = c, vg.Points(points)
	p.Add(line)
	if len(piece) == 1 { // a line of one point shows nothing
		dot := &plotter.Scatter{XYs: piece, GlyphStyle: draw.GlyphStyle{Color: c, Radius: vg.Points(2), Shape: draw.CircleGlyph{}}}
		p.Add(dot)
	}
	return line
}

// pieces cuts a series at its gaps.
func pieces(s Series, positive bool) []plotter.XYs {
	var out []plotter.XYs
	open := false
	for i, x := range s.X {
		y := s.Y[i]
		if !finite(x) || !finite(y) || positive && y <= 0 {
			open = false
			continue
		}
		if !open {
			out, open = append(out, nil), true
		}
		out[len(out)-1] = append(out[len(out)-1], plotter.XY{X: x, Y: y})
	}
	return out
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// smooth is the bias-corrected exponential running mean; gaps stay gaps.
func smooth(y []float64, keep float64) []float64 {
	out := make([]float64, len(y))
	sum, weight := 0.0, 0.0
	for i, v := range y {
		if !finite(v) {
			out[i] = v
			continue
		}
		sum, weight = keep*sum+(1-keep)*v, keep*weight+1-keep
		out[i] = sum / weight
	}
	return out
}
