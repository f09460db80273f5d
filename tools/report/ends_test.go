package main

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"manvision/report"
)

// Kept are those that a sort of all would put at the ends.
func TestEnds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		scores := rapid.SliceOf(rapid.Float64Range(0, 1)).Draw(t, "scores")
		n := rapid.IntRange(1, 5).Draw(t, "n")
		e := &ends[int]{n: n}
		var all []scored[int]
		for i, s := range scores {
			if e.wants(s) {
				e.add(s, i)
			}
			all = append(all, scored[int]{score: s, at: i, value: i})
		}
		slices.SortFunc(all, order[int])
		for i, w := range e.worst() {
			if w.score != all[i].score {
				t.Fatalf("worst %d: %v, want %v", i, w, all[i])
			}
		}
		for i, b := range e.best() {
			if want := all[len(all)-1-i]; b.score != want.score {
				t.Fatalf("best %d: %v, want %v", i, b, want)
			}
		}
		if len(scores) >= 2*n && (len(e.worst()) != n || len(e.best()) != n) {
			t.Fatalf("%d and %d of %d", len(e.worst()), len(e.best()), n)
		}
	})
}

// By hand: the first box is right, the second finds the same object again, the third
// is of another class.
func TestMatch(t *testing.T) {
	truth := []report.Mark{{Box: [4]float64{0, 0, 10, 10}, Class: 1}, {Box: [4]float64{20, 0, 30, 10}, Class: 2}}
	found := []report.Mark{{Box: [4]float64{0, 0, 10, 8}, Class: 1, Score: 0.9}, {Box: [4]float64{0, 0, 10, 10}, Class: 1, Score: 0.8}, {Box: [4]float64{20, 0, 30, 10}, Class: 1, Score: 0.7}}
	right, missed, extra := match(truth, found)
	if right != 1 || missed != 1 || extra != 2 {
		t.Errorf("%d %d %d", right, missed, extra)
	}
	if v := f1(right, missed, extra); math.Abs(v-0.4) > 1e-15 {
		t.Errorf("F1 %v", v)
	}
	if v := overlap(truth[0].Box, found[0].Box); math.Abs(v-0.8) > 1e-15 {
		t.Errorf("IoU %v", v)
	}
	// From 0.85 on the one box found is right: 2/3. Below, more false ones come in.
	if v := bestThreshold([]detected{{truth: truth, found: found}}); math.Abs(v-0.9) > 1e-12 {
		t.Errorf("threshold %v", v)
	}
	if f1(0, 0, 0) != 0 {
		t.Error("F1 of nothing")
	}
}
