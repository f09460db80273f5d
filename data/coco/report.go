package coco

import (
	"fmt"
	"strings"
)

// Report counts what a reader left out, changed or found odd.
type Report struct {
	Images      int // read
	Annotations int // read, including those left out
	Findings    []Finding
}

// Finding is one kind of remark in a [Report].
type Finding struct {
	Action   string // "skipped", "clipped" or "warning"
	Reason   string
	Count    int
	Examples []string // the first few
}

const maxExamples = 3

func (r *Report) add(action, reason string, example func() string) {
	for i := range r.Findings {
		f := &r.Findings[i]
		if f.Action == action && f.Reason == reason {
			f.Count++
			if len(f.Examples) < maxExamples {
				f.Examples = append(f.Examples, example())
			}
			return
		}
	}
	r.Findings = append(r.Findings, Finding{Action: action, Reason: reason, Count: 1, Examples: []string{example()}})
}

// Skipped returns the number of annotations left out.
func (r *Report) Skipped() int {
	n := 0
	for _, f := range r.Findings {
		if f.Action == "skipped" {
			n += f.Count
		}
	}
	return n
}

// String returns a line for what was read and one for each finding.
func (r *Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d images, %d annotations", r.Images, r.Annotations)
	if n := r.Skipped(); n > 0 {
		fmt.Fprintf(&b, " (%d skipped)", n)
	}
	for _, f := range r.Findings {
		more := ""
		if f.Count > len(f.Examples) {
			more = ", ..."
		}
		fmt.Fprintf(&b, "\n%s: %d x %s: %s%s", f.Action, f.Count, f.Reason, strings.Join(f.Examples, "; "), more)
	}
	return b.String()
}
