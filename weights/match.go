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
	Idle       []string   // stored, not wanted, and known for what they are: see idle

	// Source is the kind of file that the stored names are from, "torchvision
	// ResNet"; "" where it is not known or was not asked.
	Source string

	from           map[string]string // stored names of loaded tensors, where they differ
	renamed        []string          // loaded tensors with another name in the file
	wanted, loaded int64             // elements
	groups         []*groupCount
	kinds          []kindCount // of Idle
}

// kindCount counts the idle tensors of one kind.
type kindCount struct {
	kind string
	n    int
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
	stored := make(map[string]Tensor, len(have))
	for _, t := range have {
		stored[t.Name] = t
	}
	return match(want, have, func(name string) (Tensor, bool) {
		t, ok := stored[name]
		return t, ok
	})
}

// Fit is Match for files that other programs wrote. Where a wanted name is not
// stored as it is, it takes the stored tensor that means the same: with or without
// "module." and the like; torchvision's classification, RetinaNet and DeepLabV3
// models, whatever prefix the body has; torchvision's and timm's vision
// transformers; checkpoints of the official MAN and MAN++ releases, of which the
// clones and their scalars go to manpp.<j>.lb, .ema and .s. A scalar may be stored
// with one dimension.
func Fit(want, have []Tensor) *Report {
	stored, meaning := make(map[string]Tensor, len(have)), make(map[string]Tensor, len(have))
	s := newSpeller(have)
	file := s
	for _, t := range have {
		stored[t.Name] = t
		c := s.common(t.Name)
		if _, taken := meaning[c]; c != "" && !taken {
			meaning[c] = t
		}
	}
	s = newSpeller(want)
	r := match(want, have, func(name string) (Tensor, bool) {
		t, ok := stored[name]
		common := s.common(name)
		if !ok || common != "" && file.common(name) == "" { // fc beside fc64 is not the classifier
			t, ok = meaning[common]
		}
		return t, ok
	})
	r.Source = family(have)
	r.setIdleApart(file)
	r.groups = slices.DeleteFunc(r.groups, func(g *groupCount) bool {
		return g.loaded+g.missing+g.unused+g.mismatched == 0
	})
	return r
}

// setIdleApart moves the unused tensors that are known for what they are to Idle.
func (r *Report) setIdleApart(file speller) {
	unused := r.Unused[:0]
	for _, name := range r.Unused {
		kind := file.idle(name)
		if kind == "" {
			unused = append(unused, name)
			continue
		}
		r.Idle = append(r.Idle, name)
		r.group(name).unused--
		i := slices.IndexFunc(r.kinds, func(k kindCount) bool { return k.kind == kind })
		if i < 0 {
			i = len(r.kinds)
			r.kinds = append(r.kinds, kindCount{kind: kind})
		}
		r.kinds[i].n++
	}
	r.Unused = unused
}

func match(want, have []Tensor, find func(name string) (Tensor, bool)) *Report {
	r := &Report{from: map[string]string{}}
	taken := make(map[string]bool, len(want))
	for _, t := range want {
		n, _ := elements(t.Shape)
		r.wanted += n
		g := r.group(t.Name)
		x, ok := find(t.Name)
		if ok {
			taken[x.Name] = true
		}
		switch scalar := len(t.Shape)+len(x.Shape) == 1 && n == 1; {
		case !ok:
			r.Missing = append(r.Missing, t.Name)
			g.missing++
		case !slices.Equal(x.Shape, t.Shape) && !(scalar && (len(t.Shape) == 1 || x.Shape[0] == 1)):
			r.Mismatched = append(r.Mismatched, Mismatch{t.Name, t.Shape, x.Shape})
			g.mismatched++
		default:
			r.Loaded = append(r.Loaded, t.Name)
			r.loaded += n
			g.loaded++
			if x.Name != t.Name {
				r.from[t.Name] = x.Name
				r.renamed = append(r.renamed, t.Name)
			}
		}
	}
	for _, t := range have {
		if !taken[t.Name] {
			r.Unused = append(r.Unused, t.Name)
			r.group(t.Name).unused++
		}
	}
	return r
}

// From returns the stored name of a loaded tensor.
func (r *Report) From(name string) string {
	if s, ok := r.from[name]; ok {
		return s
	}
	return name
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

// RequireShare returns an error where less than the share of the wanted elements
// is loaded. Unlike Require it puts up with tensors of another shape, which stay
// as they are: a head for other classes.
func (r *Report) RequireShare(share float64) error {
	if r.Share() >= share {
		return nil
	}
	return r.short(share)
}

// Require returns an error where less than the share of the wanted elements is
// loaded, or where a shape differs. 1 wants everything.
func (r *Report) Require(share float64) error {
	short := r.Share() < share || share >= 1 && len(r.Missing) > 0
	if len(r.Mismatched) == 0 && !short {
		return nil
	}
	return r.short(share)
}

func (r *Report) short(share float64) error {
	return fmt.Errorf("weights do not fit: %.1f %% of the model's elements loaded, %.1f %% needed\n%s", 100*r.Share(), 100*share, r)
}

// listed bounds the names spelt out in a report.
const listed = 5

// String is a table of the groups with the first few names that are not loaded, and
// how many tensors of which kinds are of no use here.
func (r *Report) String() string {
	var b strings.Builder
	if r.Source != "" {
		fmt.Fprintf(&b, "names of: %s\n", r.Source)
	}
	if n := len(r.renamed); n > 0 {
		fmt.Fprintf(&b, "%d names translated, e.g. %s from %s\n", n, r.renamed[0], r.from[r.renamed[0]])
	}
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
	if len(r.kinds) > 0 {
		var kinds []string
		for _, k := range r.kinds {
			kinds = append(kinds, fmt.Sprintf("%d %s", k.n, k.kind))
		}
		fmt.Fprintf(&b, "not needed: %s\n", strings.Join(kinds, ", "))
	}
	return b.String()
}
