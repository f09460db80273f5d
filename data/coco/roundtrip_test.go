package coco

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
	"pgregory.net/rapid"

	"manvision/data/coco/mask"
	"manvision/internal/testdata"
)

// What is read and written again reads the same.
func TestInstancesRoundTrip(t *testing.T) {
	d, err := Read(testdata.Shared(t, "coco/annotations/instances_train2017.json"), Options{AsIs: true, KeepSegmentation: true})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "out.json")
	if err := WriteInstances(path, d.Images, d.Categories, d.annotations); err != nil {
		t.Fatal(err)
	}
	again, err := Read(path, Options{AsIs: true, KeepSegmentation: true})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(d.annotations, again.annotations); diff != "" {
		t.Error(diff)
	}
	if cmp.Diff(d.Images, again.Images) != "" || !d.IDs.Equal(again.IDs) {
		t.Error("images or categories differ")
	}
}

func TestResultsRoundTrip(t *testing.T) {
	r, err := mask.Encode([]byte{0, 1, 1, 0, 0, 1}, 2, 3)
	if err != nil {
		t.Fatal(err)
	}
	want := []Result{
		{ImageID: 5, CategoryID: 2, BBox: [4]float64{.1, 1e-9, 1e21, 12}, Score: 1.0 / 3},
		{ImageID: -5, CategoryID: 0, NoBBox: true, Score: -2, Segmentation: mask.Segmentation{RLE: r}},
	}
	path := filepath.Join(t.TempDir(), "r.json")
	if err := WriteResults(path, want); err != nil {
		t.Fatal(err)
	}
	got, err := ReadResults(path, ResultOptions{KeepSegmentation: true})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	before, _ := os.ReadFile(path)
	var streamed bytes.Buffer
	w := NewResultWriter(&streamed)
	for _, r := range want {
		if err := w.Write(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(path); err != nil || !bytes.Equal(b, streamed.Bytes()) {
		t.Errorf("one after the other:\n%s\nat once:\n%s%v", streamed.Bytes(), b, err)
	}
	if err := NewResultWriter(&streamed).Write(Result{Score: math.NaN()}); err == nil {
		t.Error("NaN was written")
	}
	if err := WriteResults(path, []Result{{Score: math.NaN()}}); err == nil {
		t.Error("NaN was written")
	}
	if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
		t.Error("a failed write changed the file")
	}
	if files, _ := os.ReadDir(filepath.Dir(path)); len(files) != 1 {
		t.Errorf("a failed write left %d files", len(files))
	}
}

// Shares read side by side give what one reader gives, also where text in the
// file looks like the border of two results.
func TestResultShares(t *testing.T) {
	var b strings.Builder
	b.WriteString("[")
	for i := range 20000 {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(`{"image_id": ` + strconv.Itoa(i) + `, "note": "}, {\"", "sub": [{}, {}], "category_id": 2, "bbox": [1, 2.5, 3, 4], "score": 0.5}`)
	}
	b.WriteString("]\n")
	data := []byte(b.String())
	one, err := ParseResults(data, "r.json", ResultOptions{Workers: 1})
	if err != nil {
		t.Fatal(err)
	}
	many, err := ParseResults(data, "r.json", ResultOptions{Workers: 7})
	if err != nil {
		t.Fatal(err)
	}
	if len(one) != 20000 || cmp.Diff(one, many) != "" {
		t.Errorf("%d and %d results differ", len(one), len(many))
	}
	plain := bytes.ReplaceAll(bytes.ReplaceAll(data, []byte(`"}, {\""`), []byte(`"y"`)), []byte("[{}, {}]"), []byte("0"))
	if many, ok := parseShares(plain, "r.json", ResultOptions{}, 7); !ok || cmp.Diff(one, many) != "" {
		t.Error("shares fail on a plain file")
	}
	if _, err = ParseResults(data[:len(data)-40], "r.json", ResultOptions{Workers: 7}); err == nil || !strings.Contains(err.Error(), "result 19999") {
		t.Errorf("cut off: %v", err)
	}
}

// parseNumber rounds like the standard library on every number.
func TestNumbers(t *testing.T) {
	check := func(t interface {
		Fatalf(string, ...any)
	}, text string) {
		want, err := strconv.ParseFloat(text, 64)
		got, n, ok := parseNumber([]byte(text + ", "))
		if !ok || n != len(text) || got != want || math.Signbit(got) != math.Signbit(want) {
			t.Fatalf("%s: %v %d %v, want %v %v", text, got, n, ok, want, err)
		}
	}
	for _, text := range []string{"0", "-0", "-0.0", "1", "123456789012345678", "18446744073709551616", "99999999999999999999", "0.1",
		"473.07000000000005", "9007199254740993", "1e22", "1e23", "1e-22", "5e-324", "1e-400", "1.7976931348623157e308", "0.00000000000000000000000000001", "1E+2"} {
		check(t, text)
	}
	rapid.Check(t, func(t *rapid.T) {
		f := rapid.Float64().Draw(t, "f")
		check(t, strconv.FormatFloat(f, 'g', rapid.IntRange(-1, 25).Filter(func(n int) bool { return n != 0 }).Draw(t, "digits"), 64))
	})
	for _, text := range []string{"", "-", ".5", "1.", "01", "1e", "1e+", "+1", "NaN", "--1"} {
		if _, _, ok := parseNumber([]byte(text)); ok {
			t.Errorf("%q is taken for a number", text)
		}
	}
}

func TestIDMap(t *testing.T) {
	m := NewIDMap([]Category{{ID: 90, Name: "toothbrush"}, {ID: 1, Name: "person"}, {ID: 7, Name: "train"}})
	if m.Len() != 3 || m.CategoryID(1) != 7 || m.Name(2) != "toothbrush" {
		t.Fatalf("labels do not follow ids: %v", m.Categories())
	}
	if _, ok := m.Label(2); ok {
		t.Error("id 2 has a label")
	}
	b, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	var back IDMap
	if err := json.Unmarshal(b, &back); err != nil || !m.Equal(&back) {
		t.Errorf("%s: %v", b, err)
	}
	if err := json.Unmarshal([]byte(`[{"id": 1, "name": "a"}, {"id": 1, "name": "b"}]`), &back); err == nil {
		t.Error("a double id was read")
	}
	other := NewIDMap([]Category{{ID: 1, Name: "person"}, {ID: 8, Name: "truck"}})
	if got, want := m.Diff(other), `3 classes against 2; label 1: "train" (id 7) against "truck" (id 8); label 2: "toothbrush" (id 90) against none`; got != want {
		t.Errorf("%s", got)
	}
}
