package cityeval

import (
	"context"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"

	"manvision/internal/testdata"
)

// official is a result of cityscapesScripts' evalPixelLevelSemanticLabeling.
type official struct {
	MIoU          *float64            `json:"averageScoreClasses"`
	IIoU          *float64            `json:"averageScoreInstClasses"`
	CategoryMIoU  *float64            `json:"averageScoreCategories"`
	CategoryIIoU  *float64            `json:"averageScoreInstCategories"`
	ClassIoU      map[string]*float64 `json:"classScores"`
	ClassIIoU     map[string]*float64 `json:"classInstScores"`
	CategoryIoU   map[string]*float64 `json:"categoryScores"`
	CategoryIIoUs map[string]*float64 `json:"categoryInstScores"`
	Priors        map[string]float64  `json:"priors"`
	Matrix        [][]int64           `json:"confMatrix"`
	Accuracy      *float64            `json:"_pixelAccuracy_eval_classes"`
}

func (want *official) compare(t *testing.T, got *Summary) {
	t.Helper()
	number := func(name string, got, want *float64) {
		t.Helper()
		switch {
		case got == nil && want == nil:
		case got == nil || want == nil:
			t.Errorf("%s: nil only on one side: got nil %v, want nil %v", name, got == nil, want == nil)
		case !(math.Abs(*got-*want) <= 1e-9):
			t.Errorf("%s: %v, want %v", name, *got, *want)
		}
	}
	number("mIoU", got.MIoU, want.MIoU)
	number("iIoU", got.IIoU, want.IIoU)
	number("category mIoU", got.CategoryMIoU, want.CategoryMIoU)
	number("category iIoU", got.CategoryIIoU, want.CategoryIIoU)
	if want.Accuracy != nil {
		number("pixel accuracy", got.PixelAccuracy, want.Accuracy)
	}
	scores := func(what string, list []Score, iou, iiou map[string]*float64) {
		found := map[string]Score{}
		for _, s := range list {
			found[s.Name] = s
		}
		for name := range iou { // names that are not evaluated have no numbers on either side
			number(what+" "+name+" IoU", found[name].IoU, iou[name])
			number(what+" "+name+" iIoU", found[name].IIoU, iiou[name])
		}
	}
	if len(want.ClassIoU) != 34 || len(want.CategoryIoU) != 8 {
		t.Fatalf("%d classes, %d categories", len(want.ClassIoU), len(want.CategoryIoU))
	}
	scores("class", got.Classes, want.ClassIoU, want.ClassIIoU)
	scores("category", got.Categories, want.CategoryIoU, want.CategoryIIoUs)
	for _, c := range got.Classes {
		share := float64(c.Pixels) / float64(got.Pixels)
		prior := want.Priors[c.Name]
		number("prior of "+c.Name, &share, &prior)
	}
	for g, row := range want.Matrix {
		for p, n := range row {
			if got.Confusion[g][p] != n {
				t.Errorf("confusion of %s as %s: %d, want %d", got.Labels[g], got.Labels[p], got.Confusion[g][p], n)
			}
		}
	}
	if len(got.Confusion) != len(want.Matrix) {
		t.Errorf("%d rows", len(got.Confusion))
	}
}

// Expected values: cityscapesScripts @0bcc4a72 on a model's real predictions.
func TestGoldenOracle(t *testing.T) {
	dir := testdata.Shared(t, "miou-oracle")
	b, err := os.ReadFile(filepath.Join(dir, "expected_hrnet_2images.json"))
	if err != nil {
		t.Fatal(err)
	}
	var want official
	if err := json.Unmarshal(b, &want); err != nil {
		t.Fatal(err)
	}
	if want.Accuracy == nil {
		t.Error("no pixel accuracy in the oracle")
	}
	for _, workers := range []int{1, 3} {
		got, err := EvaluateFolders(context.Background(), dir, dir, Options{Workers: workers})
		if err != nil {
			t.Fatal(err)
		}
		want.compare(t, got)
		if got.Images != 2 || !got.Instances || len(got.Warnings) > 0 {
			t.Errorf("%+v", got)
		}
	}
}

// Expected values: cityscapesScripts 2.3.0 (testdata/gen_official.py).
func TestGoldenSmallCases(t *testing.T) {
	b, err := os.ReadFile("testdata/official.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Name   string
		Images []struct {
			GT, Pred  []int
			Instances []uint16
		}
		Want official
	}
	if err := json.Unmarshal(b, &cases); err != nil {
		t.Fatal(err)
	}
	narrow := func(v []int) []uint8 {
		out := make([]uint8, len(v))
		for i, x := range v {
			out[i] = uint8(x)
		}
		return out
	}
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			e := New()
			for _, im := range c.Images {
				if err := e.Process(narrow(im.GT), narrow(im.Pred), im.Instances); err != nil {
					t.Fatal(err)
				}
			}
			c.Want.compare(t, e.Evaluate())
		})
	}
}
