package weights

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Report says what became of each tensor when stored weights meet a model.
type Report struct {
	Loaded     []string   // in both, of equal shape
	Missing    []string   // wanted, not stored
	Unused     []string   // stored, not wanted
	Mismatched []Mismatch // in both, of different shape

	wanted, loaded int64 // elements
	groups         []*groupCount
}

// Mismatch is a tensor whose stored shape is not the wanted one.
type Mismatch struct {
	Name       string
	Want, Have []int
}

type groupCount struct {
	name                                string
	loaded, missing, unused, mismatched int
}

// Match compares by name and shape; elements are not looked at. Each of the two
// lists has distinct names.
func Match(want, have []Tensor) *Report {
	r := &Report{}
	stored := make(map[string][]int, len(have))
	for _, t := range have {
		stored[t.Name] = t.Shape
	}
	known := make(map[string]bool, len(want))
	for _, t := range want {
		known[t.Name] = true
		n, _ := elements(t.Shape)
		r.wanted += n
		g := r.group(t.Name)
		switch shape, ok := stored[t.Name]; {
		case !ok:
			r.Missing = append(r.Missing, t.Name)
			g.missing++
		case !slices.Equal(shape, t.Shape):
			r.Mismatched = append(r.Mismatched, Mismatch{t.Name, t.Shape, shape})
			g.mismatched++
		default:
			r.Loaded = append(r.Loaded, t.Name)
			r.loaded += n
			g.loaded++
		}
	}
	for _, t := range have {
		if !known[t.Name] {
			r.Unused = append(r.Unused, t.Name)
			r.group(t.Name).unused++
		}
	}
	return r
}

// group returns the count of the part of the model that the name belongs to: the
// name's first part, with the second where that is a word and deeper names
// follow ("backbone.layer1").
func (r *Report) group(name string) *groupCount {
	parts := strings.Split(name, ".")
	g := parts[0]
	if len(parts) >= 4 {
		if _, err := strconv.Atoi(parts[1]); err != nil {
			g += "." + parts[1]
		}
	}
	for _, c := range r.groups {
		if c.name == g {
			return c
		}
	}
	c := &groupCount{name: g}
	r.groups = append(r.groups, c)
	return c
}

// Share is the part of the wanted elements that is loaded, 0 to 1; 1 where
// nothing is wanted.
func (r *Report) Share() float64 {
	if r.wanted == 0 {
		return 1
	}
	return float64(r.loaded) / float64(r.wanted)
}

// Complete reports whether every wanted tensor is loaded.
func (r *Report) Complete() bool { return len(r.Missing) == 0 && len(r.Mismatched) == 0 }

// Require returns an error where less than the share of the wanted elements is
// loaded, or where a shape differs. 1 wants everything.
func (r *Report) Require(share float64) error {
	short := r.Share() < share || share >= 1 && len(r.Missing) > 0
	if len(r.Mismatched) == 0 && !short {
		return nil
	}
	return fmt.Errorf("weights do not fit: %.1f %% of the model's elements loaded, %.1f %% needed\n%s", 100*r.Share(), 100*share, r)
}

// listed bounds the names spelt out in a report.
const listed = 5

// String is a table of the groups with the first few names that are not loaded.
func (r *Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-24s %7s %8s %7s %11s\n", "group", "loaded", "missing", "unused", "mismatched")
	for _, g := range r.groups {
		fmt.Fprintf(&b, "%-24s %7d %8d %7d %11d\n", g.name, g.loaded, g.missing, g.unused, g.mismatched)
	}
	fmt.Fprintf(&b, "%-24s %7d %8d %7d %11d  (%.1f %% of the elements)\n", "all", len(r.Loaded), len(r.Missing), len(r.Unused), len(r.Mismatched), 100*r.Share())
	few := func(what string, names []string) {
		if len(names) == 0 {
			return
		}
		more := ""
		if len(names) > listed {
			more = fmt.Sprintf(" and %d more", len(names)-listed)
		}
		fmt.Fprintf(&b, "%s: %s%s\n", what, strings.Join(names[:min(listed, len(names))], ", "), more)
	}
	few("missing", r.Missing)
	few("unused", r.Unused)
	var shapes []string
	for _, m := range r.Mismatched {
		shapes = append(shapes, fmt.Sprintf("%s wants %v, file has %v", m.Name, m.Want, m.Have))
	}
	few("mismatched", shapes)
	return b.String()
}
