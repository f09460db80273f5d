// Package finding is the form of what checks of data sets, recipes and machines find,
// with what to do about it.
package finding

import (
	"cmp"
	"fmt"
	"io"
	"slices"
)

// Severity orders findings.
type Severity string

// An error makes the work impossible or its result useless; a warning changes what
// comes out or how fast; a note is worth knowing.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
	Note    Severity = "note"
)

// Finding is one kind of thing found, however often.
type Finding struct {
	Area     string   `json:"area,omitempty"` // such as "recipe", "training data", "memory"
	Severity Severity `json:"severity"`
	Kind     string   `json:"kind"`
	Count    int      `json:"count"`
	Examples []string `json:"examples,omitempty"` // the first few of Count
	Fix      string   `json:"fix,omitempty"`      // what to do
}

// New makes a finding of a single thing.
func New(area string, s Severity, fix, format string, args ...any) Finding {
	return Finding{Area: area, Severity: s, Kind: fmt.Sprintf(format, args...), Count: 1, Fix: fix}
}

// Count adds up how often things of a severity were found.
func Count(list []Finding, s Severity) int {
	n := 0
	for _, f := range list {
		if f.Severity == s {
			n += f.Count
		}
	}
	return n
}

var rank = map[Severity]int{Error: 0, Warning: 1, Note: 2}

// Sort puts errors first, then warnings, then notes, each by kind.
func Sort(list []Finding) {
	slices.SortFunc(list, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(rank[a.Severity], rank[b.Severity]), cmp.Compare(a.Kind, b.Kind))
	})
}

// SortBySeverity puts errors first, then warnings, then notes, and leaves the order
// within them.
func SortBySeverity(list []Finding) {
	slices.SortStableFunc(list, func(a, b Finding) int { return cmp.Compare(rank[a.Severity], rank[b.Severity]) })
}

// Write prints findings for people: a line of severity, area, kind and count, the
// examples and the fix below it.
func Write(w io.Writer, list []Finding) error {
	p := &printer{w: w}
	for _, f := range list {
		area := ""
		if f.Area != "" {
			area = f.Area + ": "
		}
		count := ""
		if f.Count != 1 || len(f.Examples) > 0 {
			count = fmt.Sprintf(": %d", f.Count)
		}
		p.line("%s: %s%s%s", f.Severity, area, f.Kind, count)
		for _, e := range f.Examples {
			p.line("  %s", e)
		}
		if n := f.Count - len(f.Examples); n > 0 && len(f.Examples) > 0 {
			p.line("  and %d more", n)
		}
		if f.Fix != "" {
			p.line("  fix: %s", f.Fix)
		}
	}
	if len(list) == 0 {
		p.line("no findings")
	}
	return p.err
}

type printer struct {
	w   io.Writer
	err error
}

func (p *printer) line(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format+"\n", args...)
	}
}
