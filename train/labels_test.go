package train

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"manvision/data/cityscapes"
	"manvision/data/labelmap"
)

// Classes come back from a checkpoint as they went in: names, colours, values.
func TestLabelClassesRoundTrip(t *testing.T) {
	want := &LabelClasses{List: cityscapes.ClassList()}
	for i := range want.List {
		want.Outputs = append(want.Outputs, uint8(7+i))
	}
	raw, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := segmentationTask{}.ReadClasses(raw)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(Classes(want), got); d != "" || want.Diff(got) != "" {
		t.Error(d, want.Diff(got))
	}
	for _, bad := range []string{`{}`, `[]`, `[{"label":0,"name":"a"}]`, `[{"label":0,"name":"a"},{"label":2,"name":"b"}]`, `null`} {
		if _, err := (segmentationTask{}).ReadClasses([]byte(bad)); err == nil {
			t.Errorf("accepts %s", bad)
		}
	}
	if _, err := (detectionTask{}).ReadClasses(raw); err == nil {
		t.Error("label classes read as categories")
	}
}

func TestLabelClassesDiff(t *testing.T) {
	of := func(names ...string) *LabelClasses {
		c := &LabelClasses{}
		for _, n := range names {
			c.List, c.Outputs = append(c.List, labelmap.Class{Name: n}), append(c.Outputs, 0)
		}
		return c
	}
	if d := of("road", "car").Diff(of("road", "bus", "sky")); d != `2 classes against 3; label 1: "car" against "bus"; label 2: none against "sky"` {
		t.Error(d)
	}
	long := of(strings.Split("abcdefgh", "")...)
	if d := long.Diff(of(strings.Split("ijklmnop", "")...)); !strings.HasSuffix(d, "; ...") || strings.Count(d, "label") != 4 {
		t.Error(d)
	}
	if d := long.Diff(detectionTask{}.Numbered(8)); d != "they are of another task" {
		t.Error(d)
	}
}
