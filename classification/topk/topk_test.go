package topk

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Six classes and four images, counted by hand: image 0 (class 1) right; image 1
// (class 1) taken for 0, class 1 second; image 2 (class 5) last of six, so not among
// five; image 3 (class 0) has all logits equal, the lower class comes first: right.
func TestCounts(t *testing.T) {
	e := New([]string{"a", "b", "c", "d", "e", "f"})
	logits := []float32{
		0, 3, 1, 0, 0, 0,
		2, 1, 0, 0, 0, 0,
		5, 4, 3, 2, 1, 0,
		1, 1, 1, 1, 1, 1,
	}
	if err := e.Process(logits[:12], []int32{1, 1}); err != nil {
		t.Fatal(err)
	}
	if err := e.Process(logits[12:], []int32{5, 0}); err != nil {
		t.Fatal(err)
	}
	s := e.Evaluate()
	entropy := 0.0
	for i, l := range []int{1, 1, 5, 0} {
		sum := 0.0
		for _, v := range logits[6*i:][:6] {
			sum += math.Exp(float64(v))
		}
		entropy += (math.Log(sum) - float64(logits[6*i+l])) / 4
	}
	if s.Top1 != 0.5 || s.Top5 != 0.75 || s.Images != 4 || s.Present != 3 || math.Abs(s.CrossEntropy-entropy) > 1e-12 {
		t.Errorf("%+v, cross-entropy %v", s, entropy)
	}
	if math.Abs(s.MeanTop1-(0.5+0+1)/3) > 1e-15 {
		t.Errorf("mean top1 %v", s.MeanTop1)
	}
	if d := cmp.Diff([][]int64{{1, 0, 0, 0, 0, 0}, {1, 1, 0, 0, 0, 0}, {0, 0, 0, 0, 0, 0}, {0, 0, 0, 0, 0, 0}, {0, 0, 0, 0, 0, 0}, {1, 0, 0, 0, 0, 0}}, s.Confusion); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]ClassScore{{"a", 1, 1, 1, 3}, {"b", 0.5, 1, 2, 1}, {"c", 0, 0, 0, 0}, {"d", 0, 0, 0, 0}, {"e", 0, 0, 0, 0}, {"f", 0, 0, 1, 0}}, s.Classes); d != "" {
		t.Error(d)
	}
	text, err := json.Marshal(s)
	if err != nil || !strings.Contains(string(text), `{"name":"c","top1":null`) || !strings.Contains(string(text), `"top1":0.5`) {
		t.Errorf("%s %v", text, err)
	}
	if m := s.Metrics(); m[0].Key != "top1" || m[0].Value != 0.5 {
		t.Errorf("%+v", m)
	}
	e.Reset()
	if text, err := json.Marshal(e.Evaluate()); err != nil || !strings.Contains(string(text), `"top5":null`) {
		t.Errorf("nothing counted: %s %v", text, err)
	}
}

func TestErrors(t *testing.T) {
	e := New([]string{"a", "b"})
	nan := float32(math.NaN())
	for name, c := range map[string]struct {
		logits []float32
		labels []int32
		want   string
	}{
		"length":   {[]float32{1}, []int32{0}, "1 logits"},
		"label":    {[]float32{1, 2, 1, 2}, []int32{0, 2}, "label 2"},
		"negative": {[]float32{1, 2}, []int32{-1}, "label -1"},
		"NaN":      {[]float32{1, 2, nan, 1}, []int32{0, 1}, "image 1"},
	} {
		if err := e.Process(c.logits, c.labels); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if s := e.Evaluate(); s.Images != 0 || s.Top1 != 0 {
		t.Errorf("bad batches count: %+v", s)
	}
}
