package page

import (
	"cmp"
	"fmt"
	"html"
	"html/template"
	"slices"
	"strings"
)

// matrix is a confusion matrix: of each true class, the share that was called so.
type matrix struct {
	Run   string
	Unit  string // what is counted
	Names []string
	Rows  []matrixRow // nil of many classes
	// Map is the picture of many classes, empty of very many.
	Map template.HTML
	// Confused are the most frequent mistakes.
	Confused []mistake
	// Left says how many mistakes are not listed.
	Left int
}

type matrixRow struct {
	Name  string
	Cells []matrixCell
	Total string
}

type matrixCell struct {
	Text, Title string
	Style       template.CSS // how dark
	Strong      bool         // dark enough for light letters
	Dark        bool         // on dark pages, light enough for dark letters
	Right       bool         // on the diagonal
}

type mistake struct{ Truth, Called, Count, Share string }

const (
	mostCells    = 25  // classes of a matrix in numbers
	mostMap      = 200 // classes of a matrix as a picture
	mostMistakes = 15
)

// matrixOf makes the matrix of a run; nil where there is none.
func matrixOf(r *Run, d detail) *matrix {
	n := len(d.Confusion)
	if n == 0 || len(d.Classes) != n {
		return nil
	}
	m := &matrix{Run: r.Label, Unit: "images"}
	if has(d.Classes, "pixels") {
		m.Unit = "pixels"
	}
	share := make([][]float64, n)
	totals := make([]float64, n)
	for i, row := range d.Confusion {
		name, _ := d.Classes[i]["name"].(string)
		m.Names = append(m.Names, name)
		if len(row) != n {
			r.note(fmt.Sprintf("%s: row %d of the confusion matrix has %d numbers for %d classes", resultFile, i, len(row), n))
			return nil
		}
		for _, v := range row {
			totals[i] += v
		}
		share[i] = make([]float64, n)
		for k, v := range row {
			if totals[i] > 0 {
				share[i][k] = v / totals[i]
			}
		}
	}
	m.mistakes(d.Confusion, share)
	switch {
	case n <= mostCells:
		for i := range share {
			row := matrixRow{Name: m.Names[i], Total: thousands(int64(totals[i]))}
			for k, v := range share[i] {
				c := matrixCell{Title: fmt.Sprintf("%s called %s: %s %s, %s %%", m.Names[i], m.Names[k], thousands(int64(d.Confusion[i][k])), m.Unit, percent(v)),
					Style: template.CSS(fmt.Sprintf("--v:%.0f%%", 100*v)), Strong: v >= 0.85, Dark: v >= 0.6, Right: i == k}
				if d.Confusion[i][k] > 0 {
					c.Text = fmt.Sprintf("%.0f", 100*v)
				}
				row.Cells = append(row.Cells, c)
			}
			m.Rows = append(m.Rows, row)
		}
	case n <= mostMap:
		m.Map = heatMap(m.Names, share)
	}
	return m
}

func (m *matrix) mistakes(counts, share [][]float64) {
	type pair struct{ i, k int }
	var wrong []pair
	for i, row := range counts {
		for k, v := range row {
			if i != k && v > 0 {
				wrong = append(wrong, pair{i, k})
			}
		}
	}
	slices.SortStableFunc(wrong, func(a, b pair) int { return cmp.Compare(counts[b.i][b.k], counts[a.i][a.k]) })
	for _, p := range wrong[:min(mostMistakes, len(wrong))] {
		m.Confused = append(m.Confused, mistake{m.Names[p.i], m.Names[p.k], thousands(int64(counts[p.i][p.k])), percent(share[p.i][p.k])})
	}
	m.Left = max(0, len(wrong)-mostMistakes)
}

// heatMap draws the shares of 0.5 % and more as squares.
func heatMap(names []string, share [][]float64) template.HTML {
	var b strings.Builder
	n := len(share)
	fmt.Fprintf(&b, `<svg class="map" viewBox="0 0 %d %d" role="img" aria-label="Confusion matrix of %d classes; the most frequent mistakes are in the table"><rect class="ground" width="%d" height="%d"/>`, n, n, n, n, n)
	for i, row := range share {
		for k, v := range row {
			if v >= 0.005 {
				fmt.Fprintf(&b, `<rect x="%d" y="%d" width="1" height="1" fill-opacity="%.2f"><title>%s called %s: %s %%</title></rect>`,
					k, i, max(v, 0.06), html.EscapeString(names[i]), html.EscapeString(names[k]), percent(v))
			}
		}
	}
	b.WriteString("</svg>")
	return template.HTML(b.String())
}
