package page

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // for the page's parts
	"encoding/base64"
	"errors"
	"html/template"
	"strings"
)

//go:embed page.html
var pageText string

//go:embed style.css
var styleText string

//go:embed script.js
var scriptText string

var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{"slot": slot}).Parse(pageText))

// factTable is what the template makes a table with a column for each run of.
type factTable struct {
	Labels []string
	Rows   []fact
}

func slot(labels []string, rows []fact) factTable { return factTable{labels, rows} }

// runPart is what the page shows of one run.
type runPart struct {
	Label     string
	Notes     []string
	Blocks    []blockRow
	Galleries []shownGallery
	Config    string
}

// content is what the template fills in.
type content struct {
	Title       string
	Style       template.CSS
	Script      template.JS
	Policy      string
	Labels      []string
	Noted       bool
	Overview    []fact
	Sections    []section
	Small       []section
	PR          []*drawn
	Classes     *classTable
	Matrices    []*matrix
	Memory      *memory
	Machine     []fact
	Differences []fact
	Compared    bool // several recipes are there to compare
	Pictures    bool
	Runs        []runPart
}

// Render makes the page of one or more runs, compared where there are several.
func Render(title string, runs []*Run) ([]byte, error) {
	if len(runs) == 0 {
		return nil, errors.New("page: no runs")
	}
	sum := sha256.Sum256([]byte(scriptText))
	c := content{
		Title: title, Style: template.CSS(styleText), Script: template.JS(scriptText),
		// Nothing may be loaded and no script but ours runs, whatever a class is called.
		Policy:   "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'",
		Overview: overview(runs), Memory: memoryOf(runs), Machine: machine(runs), Differences: differences(runs), Compared: len(runs) > 1,
	}
	details := make([]detail, len(runs))
	for i, r := range runs {
		c.Labels = append(c.Labels, r.Label)
		details[i] = r.detail()
		if m := matrixOf(r, details[i]); m != nil {
			c.Matrices = append(c.Matrices, m)
		}
	}
	for _, s := range sections(runs) {
		if s.Small {
			c.Small = append(c.Small, s)
		} else {
			c.Sections = append(c.Sections, s)
		}
	}
	c.PR, c.Classes = prCharts(runs, details), classTableOf(runs, details)
	for _, r := range runs {
		g, err := show(r.Galleries)
		if err != nil {
			return nil, err
		}
		c.Pictures = c.Pictures || len(g) > 0
		c.Noted = c.Noted || len(r.Notes) > 0
		c.Runs = append(c.Runs, runPart{r.Label, r.Notes, blockTable(r), g, strings.TrimRight(r.ConfigText, "\n")})
	}
	var b bytes.Buffer
	if err := pageTemplate.Execute(&b, c); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
