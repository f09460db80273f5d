package bench

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"sort"

	"manvision/internal/processor"
	"manvision/report"
)

// Record is one run of all benchmarks on one machine.
type Record struct {
	Machine string   `json:"machine"` // the processor's name
	Cores   int      `json:"cores"`
	Threads int      `json:"threads"`
	Date    string   `json:"date"`   // RFC 3339
	Commit  string   `json:"commit"` // of the source; ends in "+" where files had changed
	Figures []Figure `json:"benchmarks"`
}

// Figure is what one benchmark measured.
type Figure struct {
	Name string `json:"name"`
	// More tells that larger figures are better.
	More   bool      `json:"more_is_better,omitempty"`
	Runs   []float64 `json:"runs"`
	Median float64   `json:"median"`
	// Peer are the figures of the peer's runs in turn with these, if it was there.
	Peer []float64 `json:"peer_runs,omitempty"`
	// Ratios are ours by the peer's, round by round.
	Ratios []float64 `json:"ratios,omitempty"`
}

// ReadRecord reads a file that Record.Add wrote.
func ReadRecord(path string) (*Record, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var r Record
	if err := json.Unmarshal(b, &r); err != nil {
		return nil, fmt.Errorf("%s: no record of benchmarks: %w", path, err)
	}
	seen := map[string]bool{}
	for _, f := range r.Figures {
		if f.Name == "" || len(f.Runs) == 0 || seen[f.Name] {
			return nil, fmt.Errorf("%s: benchmark %q: want a name of its own and at least one run", path, f.Name)
		}
		seen[f.Name] = true
		for _, v := range f.Runs {
			if !(v > 0) || math.IsInf(v, 0) {
				return nil, fmt.Errorf("%s: benchmark %q: run %v is no number above 0", path, f.Name, v)
			}
		}
	}
	if len(r.Figures) == 0 {
		return nil, fmt.Errorf("%s: no benchmarks in it; 'make bench' writes such files", path)
	}
	return &r, nil
}

// OpenRecord reads the record of a file that exists, or begins one of this machine.
func OpenRecord(path string, threads int, commit, date string) (*Record, error) {
	r, err := ReadRecord(path)
	if !errors.Is(err, os.ErrNotExist) {
		return r, err
	}
	return &Record{Machine: processor.Name(), Cores: runtime.NumCPU(), Threads: threads, Commit: commit, Date: date}, nil
}

// Add adds a figure, or puts it in the place of that of its name.
func (r *Record) Add(f Figure) {
	f.Median = median(f.Runs)
	for i := range r.Figures {
		if r.Figures[i].Name == f.Name {
			r.Figures[i] = f
			return
		}
	}
	r.Figures = append(r.Figures, f)
}

// Verdicts of a comparison.
const (
	Same    = "same"    // within noise
	Worse   = "worse"   // beyond noise
	Better  = "better"  // beyond noise
	Missing = "missing" // in the old file only
	New     = "new"     // in the new file only
)

// Change compares one benchmark of two records.
type Change struct {
	Name string  `json:"name"`
	Old  float64 `json:"old,omitempty"` // medians
	New  float64 `json:"new,omitempty"`
	// OldNoise and NewNoise are the half widths of the medians' intervals.
	OldNoise float64 `json:"old_noise,omitempty"`
	NewNoise float64 `json:"new_noise,omitempty"`
	// Ratio is new by old, or old by new where more is better: above 1 is worse.
	Ratio float64 `json:"ratio,omitempty"`
	// Peer is the same of the ratios to the peer, 0 where a file has none.
	Peer    float64 `json:"ratio_to_peer,omitempty"`
	Verdict string  `json:"verdict"`
}

// fewRuns is the number of runs below which a spread says nothing; then only a change
// by more than alone counts.
const (
	fewRuns = 3
	alone   = 0.10
)

// Compare compares the benchmarks of two records. A change is beyond noise when the
// intervals of the two medians do not overlap and the medians differ by more than the
// share floor. The interval is that of the notches of McGill, Tukey and Larsen 1978
// (Variations of Box Plots, The American Statistician 32:1, p. 16), median ± 1.7·1.25·s/√n, with
// s = 1.4826·MAD for their quartiles' estimate of the spread: notches that do not
// overlap mean a difference at about the 5 % level. Where both files have a peer's runs
// made in turn, its ratios have to tell the same: a machine that was slower for both is
// no loss.
func Compare(old, new *Record, floor float64) []Change {
	var out []Change
	find := func(r *Record, name string) *Figure {
		for i := range r.Figures {
			if r.Figures[i].Name == name {
				return &r.Figures[i]
			}
		}
		return nil
	}
	for _, o := range old.Figures {
		n := find(new, o.Name)
		if n == nil {
			out = append(out, Change{Name: o.Name, Old: median(o.Runs), Verdict: Missing})
			continue
		}
		c := change(o.Runs, n.Runs, o.More, floor)
		c.Name = o.Name
		if len(o.Ratios) > 0 && len(n.Ratios) > 0 {
			p := change(o.Ratios, n.Ratios, o.More, floor)
			c.Peer = p.Ratio
			if p.Verdict != c.Verdict {
				c.Verdict = Same
			}
		}
		out = append(out, c)
	}
	for _, n := range new.Figures {
		if find(old, n.Name) == nil {
			out = append(out, Change{Name: n.Name, New: median(n.Runs), Verdict: New})
		}
	}
	return out
}

func change(old, new []float64, more bool, floor float64) Change {
	c := Change{Old: median(old), New: median(new), OldNoise: notch(old), NewNoise: notch(new), Verdict: Same}
	c.Ratio = c.New / c.Old
	if more {
		c.Ratio = c.Old / c.New
	}
	apart := math.Abs(c.New-c.Old) > c.OldNoise+c.NewNoise
	if len(old) < fewRuns || len(new) < fewRuns {
		floor = math.Max(floor, alone)
		apart = true
	}
	if apart && c.Ratio > 1+floor {
		c.Verdict = Worse
	} else if apart && 1/c.Ratio > 1+floor {
		c.Verdict = Better
	}
	return c
}

// notch is the half width of the median's interval; 0 with fewer than fewRuns.
func notch(runs []float64) float64 {
	if len(runs) < fewRuns {
		return 0
	}
	m := median(runs)
	off := make([]float64, len(runs))
	for i, v := range runs {
		off[i] = math.Abs(v - m)
	}
	return 1.7 * 1.25 * 1.4826 * median(off) / math.Sqrt(float64(len(runs)))
}

// Lost reports whether any benchmark got worse or is missing.
func Lost(list []Change) bool {
	for _, c := range list {
		if c.Verdict == Worse || c.Verdict == Missing {
			return true
		}
	}
	return false
}

// WriteChanges prints a comparison, the greatest losses first.
func WriteChanges(w io.Writer, terminal bool, old, new *Record, list []Change) error {
	if old.Machine != new.Machine || old.Cores != new.Cores || old.Threads != new.Threads {
		fmt.Fprintf(w, "warning: not the same machine: %s, %d cores, %d threads; %s, %d cores, %d threads\n",
			old.Machine, old.Cores, old.Threads, new.Machine, new.Cores, new.Threads)
	}
	list = append([]Change(nil), list...)
	sort.SliceStable(list, func(i, j int) bool { return list[i].Ratio > list[j].Ratio })
	t := report.NewTable("benchmark", "old", "±", "new", "±", "ratio", "to peer", "verdict")
	number := func(v float64) string {
		if v == 0 {
			return ""
		}
		return fmt.Sprintf("%.4g", v)
	}
	for _, c := range list {
		t.Row(c.Name, number(c.Old), number(c.OldNoise), number(c.New), number(c.NewNoise), number(c.Ratio), number(c.Peer), c.Verdict)
	}
	return t.Write(w, terminal)
}
