package cocoeval

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"manvision/data/coco"
	"manvision/internal/testdata"
)

const tolerance = 1e-9

func near(a, b float64) bool { return math.Abs(a-b) <= tolerance }

// The expected numbers were computed with the original pycocotools (its commit
// is named in the file's "_tool").
func TestGoldenOracle(t *testing.T) {
	dir := testdata.Shared(t, "coco-eval-oracle")
	b, err := os.ReadFile(filepath.Join(dir, "expected_val2014_100.json"))
	if err != nil {
		t.Fatal(err)
	}
	type expected struct {
		Stats       []float64 `json:"stats_list"`
		NDT         int       `json:"n_dt"`
		PerCategory map[string]struct {
			ID              int
			AP, AP50, AR100 *float64
		} `json:"per_category"`
	}
	var want map[string]json.RawMessage
	if err := json.Unmarshal(b, &want); err != nil {
		t.Fatal(err)
	}
	for _, iou := range []string{"bbox", "segm"} {
		t.Run(iou, func(t *testing.T) {
			var w expected
			if err := json.Unmarshal(want[iou], &w); err != nil {
				t.Fatal(err)
			}
			s, err := EvaluateFiles(filepath.Join(dir, "instances_val2014_100.json"),
				filepath.Join(dir, "instances_val2014_fake"+iou+"100_results.json"), Options{IoU: iou})
			if err != nil {
				t.Fatal(err)
			}
			worst := 0.0
			check := func(what string, got, want float64) {
				worst = max(worst, math.Abs(got-want))
				if !near(got, want) {
					t.Errorf("%s: %v, want %v", what, got, want)
				}
			}
			if s.Detections != w.NDT || len(w.Stats) != 12 {
				t.Fatalf("%d detections, want %d; %d numbers", s.Detections, w.NDT, len(w.Stats))
			}
			for i, m := range s.Metrics() {
				check(m.Key, m.Value, w.Stats[i])
			}
			orNone := func(v *float64) float64 {
				if v == nil {
					return -1
				}
				return *v
			}
			if len(s.PerClass) != len(w.PerCategory) {
				t.Fatalf("%d classes, want %d", len(s.PerClass), len(w.PerCategory))
			}
			for _, c := range s.PerClass {
				p, ok := w.PerCategory[c.Name]
				if !ok || p.ID != c.CategoryID {
					t.Errorf("class %q (%d) is not expected", c.Name, c.CategoryID)
				}
				check(c.Name+" AP", c.AP, orNone(p.AP))
				check(c.Name+" AP50", c.AP50, orNone(p.AP50))
				check(c.Name+" AR100", c.AR100, orNone(p.AR100))
			}
			t.Logf("largest difference %.3g", worst)
		})
	}
}

// goldenCase is one evaluation of testdata/cases.json, computed by pycocotools
// 2.0.11 (testdata/gen_cases.py).
type goldenCase struct {
	Name string
	GT   json.RawMessage
	DT   json.RawMessage
	Want map[string]struct {
		Stats    []float64
		PerClass map[string]float64 `json:"per_class"`
	}
}

func goldenCases(t testing.TB) []goldenCase {
	b, err := os.ReadFile("testdata/cases.json")
	if err != nil {
		t.Fatal(err)
	}
	var f struct{ Cases []goldenCase }
	if err := json.Unmarshal(b, &f); err != nil {
		t.Fatal(err)
	}
	return f.Cases
}

func (c *goldenCase) read(t testing.TB) (*coco.Dataset, []coco.Result) {
	gt, err := coco.Decode(bytes.NewReader(c.GT), "instances.json", coco.Options{AsIs: true, KeepSegmentation: true})
	if err != nil {
		t.Fatal(err)
	}
	dt, err := coco.ParseResults(c.DT, "results.json", coco.ResultOptions{KeepSegmentation: true})
	if err != nil {
		t.Fatal(err)
	}
	return gt, dt
}

func TestGoldenRandomCases(t *testing.T) {
	for _, c := range goldenCases(t) {
		gt, dt := c.read(t)
		for kind, want := range c.Want {
			t.Run(c.Name+"/"+kind, func(t *testing.T) {
				results := append([]coco.Result(nil), dt...)
				iou := "bbox"
				if strings.HasPrefix(kind, "segm") {
					iou = "segm"
				}
				if kind == "segm-only" || kind == "bbox-from-segm" {
					for i := range results {
						results[i].BBox, results[i].NoBBox = [4]float64{}, true
					}
				}
				for _, workers := range []int{1, 3} {
					s, err := Evaluate(gt, results, Options{IoU: iou, CompatPycocotools: true, Workers: workers})
					if err != nil {
						t.Fatal(err)
					}
					for i, m := range s.Metrics() {
						if !near(m.Value, want.Stats[i]) {
							t.Errorf("%s: %v, want %v", m.Key, m.Value, want.Stats[i])
						}
					}
					for _, p := range s.PerClass {
						if w := want.PerClass[strconv.Itoa(p.CategoryID)]; !near(p.AP, w) {
							t.Errorf("class %d: %v, want %v", p.CategoryID, p.AP, w)
						}
					}
				}
			})
		}
	}
}

// Without the compatible mode an object with annotation id 0 is found like any
// other: the numbers equal those of the same file with ids counted from 1.
func TestIDZeroCounts(t *testing.T) {
	for _, c := range goldenCases(t) {
		if !strings.HasPrefix(c.Name, "id 0") {
			continue
		}
		gt, dt := c.read(t)
		var raw struct {
			Images      []map[string]any `json:"images"`
			Categories  []map[string]any `json:"categories"`
			Annotations []map[string]any `json:"annotations"`
		}
		if err := json.Unmarshal(c.GT, &raw); err != nil {
			t.Fatal(err)
		}
		for _, a := range raw.Annotations {
			a["id"] = a["id"].(float64) + 1
		}
		b, _ := json.Marshal(raw)
		shifted, err := coco.Decode(bytes.NewReader(b), "shifted.json", coco.Options{AsIs: true})
		if err != nil {
			t.Fatal(err)
		}
		zero, err1 := Evaluate(gt, dt, Options{})
		one, err2 := Evaluate(shifted, dt, Options{})
		compat, err3 := Evaluate(gt, dt, Options{CompatPycocotools: true})
		if err1 != nil || err2 != nil || err3 != nil {
			t.Fatal(err1, err2, err3)
		}
		zero.Warnings = nil // about the id
		if diff := cmp.Diff(zero, one); diff != "" {
			t.Error(diff)
		}
		if c.Name == "id 0" && compat.AP >= zero.AP {
			t.Errorf("%s: the compatible mode gives AP %v, the plain one %v", c.Name, compat.AP, zero.AP)
		}
	}
}
