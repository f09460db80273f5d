package cocoeval

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"manvision/data/coco"
)

// With distinct scores the order of the detections changes nothing, nor do the
// number of workers and the way they are handed over.
func TestOrderDoesNotMatter(t *testing.T) {
	dir := t.TempDir()
	gtPath, dtPath, err := WriteBenchmarkFiles(dir, 20, 600, 1)
	if err != nil {
		t.Fatal(err)
	}
	gt, err := coco.Read(gtPath, coco.Options{AsIs: true})
	if err != nil {
		t.Fatal(err)
	}
	results, err := coco.ReadResults(dtPath, coco.ResultOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range results {
		results[i].Score += float64(i) * 1e-9
	}
	want, err := Evaluate(gt, results, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if want.AP <= 0 || want.AP >= 1 {
		t.Fatalf("AP %v says nothing", want.AP)
	}
	rapid.Check(t, func(t *rapid.T) {
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		mixed := slices.Clone(results)
		rng.Shuffle(len(mixed), func(i, j int) { mixed[i], mixed[j] = mixed[j], mixed[i] })
		e, err := New(gt, Options{Workers: rapid.IntRange(1, 5).Draw(t, "workers")})
		if err != nil {
			t.Fatal(err)
		}
		if err := e.Process(mixed[:7]); err != nil {
			t.Fatal(err)
		}
		e.Reset()
		cut := rapid.IntRange(0, len(mixed)).Draw(t, "cut")
		for _, part := range [][]coco.Result{mixed[:cut], mixed[cut:]} {
			if err := e.Process(part); err != nil {
				t.Fatal(err)
			}
		}
		got, err := e.Evaluate()
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestSubsetOfImages(t *testing.T) {
	c := goldenCases(t)[0]
	gt, dt := c.read(t)
	one := gt.Images[3].ID
	s, err := Evaluate(gt, dt, Options{ImageIDs: []int64{one, one}})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, r := range dt {
		if r.ImageID == one {
			n++
		}
	}
	if s.Images != 1 || s.Detections != n {
		t.Errorf("%d images, %d detections, want 1 and %d", s.Images, s.Detections, n)
	}
	if _, err := New(gt, Options{ImageIDs: []int64{-1}}); err == nil {
		t.Error("an unknown image to evaluate: no error")
	}
}

// An error leaves the detections of earlier calls as they were.
func TestProcessErrors(t *testing.T) {
	c := goldenCases(t)[0]
	gt, dt := c.read(t)
	e, err := New(gt, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Process(dt); err != nil {
		t.Fatal(err)
	}
	want, _ := e.Evaluate()
	id, category := gt.Images[0].ID, gt.Categories[0].ID
	nan := dt[0].Score - dt[0].Score
	nan /= nan
	for _, bad := range []struct {
		r    coco.Result
		want string
	}{
		{coco.Result{ImageID: 4000, CategoryID: category}, "lists no image 4000"},
		{coco.Result{ImageID: id, CategoryID: 4000}, "lists no category 4000"},
		{coco.Result{ImageID: id, CategoryID: category, Score: nan}, "no valid number"},
		{coco.Result{ImageID: id, CategoryID: category, BBox: [4]float64{0, 0, -1, 1}}, "no valid number"},
		{coco.Result{ImageID: id, CategoryID: category, NoBBox: true}, "neither a box nor a mask"},
	} {
		err := e.Process([]coco.Result{dt[0], bad.r})
		if err == nil || !strings.Contains(err.Error(), bad.want) {
			t.Errorf("%v, want %q", err, bad.want)
		}
	}
	got, _ := e.Evaluate()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for _, o := range []Options{{IoU: "masks"}, {MaxDets: [3]int{10, 1, 100}}} {
		if _, err := New(gt, o); err == nil {
			t.Errorf("%+v: no error", o)
		}
	}
}

// The time of everything from files to numbers. COCO_BENCH_DIR keeps the files
// for the peer (benchmarks/coco_eval_peer.py).
func BenchmarkEvaluate5000x500k(b *testing.B) {
	dir := os.Getenv("COCO_BENCH_DIR")
	if dir == "" {
		dir = b.TempDir()
	}
	gt, dt := filepath.Join(dir, "instances.json"), filepath.Join(dir, "results.json")
	if _, err := os.Stat(dt); err != nil {
		if gt, dt, err = WriteBenchmarkFiles(dir, 5000, 500000, 1); err != nil {
			b.Fatal(err)
		}
	}
	b.ResetTimer()
	for b.Loop() {
		s, err := EvaluateFiles(gt, dt, Options{})
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(s.AP, "AP")
	}
}
