package cityscapes

import (
	"context"
	"errors"
	"image"
	"image/png"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"manvision/data/labelmap"
	"manvision/internal/testdata"
)

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func picture(t *testing.T, path string, w, h int) {
	t.Helper()
	write(t, path, "")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := png.Encode(f, image.NewRGBA(image.Rect(0, 0, w, h))); err != nil {
		t.Fatal(err)
	}
}

func labels(t *testing.T, path string, w, h int, v ...uint8) {
	t.Helper()
	write(t, path, "")
	if err := labelmap.WritePNG(path, v, w, h); err != nil {
		t.Fatal(err)
	}
}

func TestRealFrames(t *testing.T) {
	root := testdata.Shared(t, "cityscapes")
	s, err := Open(root, "train", Options{})
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Pairs) != 5 || s.Pairs[0].Name != "aachen_000000_000019_leftImg8bit" || s.Pairs[0].Width != 2048 || s.Pairs[0].Height != 1024 {
		t.Fatalf("%d pairs, first %+v", len(s.Pairs), s.Pairs[0])
	}
	var buf []uint8
	for i := range s.Pairs {
		raw, _, _, err := labelmap.ReadPNG(s.Pairs[i].Label, nil)
		if err != nil {
			t.Fatal(err)
		}
		if buf, err = s.Read(i, buf); err != nil {
			t.Fatal(err)
		}
		for k, v := range buf {
			if int(v) != Labels[raw[k]].TrainID {
				t.Fatalf("image %d, pixel %d: label id %d became %d", i, k, raw[k], v)
			}
			if v != labelmap.Ignore && s.Output(v) != raw[k] {
				t.Fatalf("training id %d became label id %d, was %d", v, s.Output(v), raw[k])
			}
		}
	}
	_, err = Open(root, "nope", Options{})
	if err == nil || !strings.Contains(err.Error(), "there is no such folder; leftImg8bit has train, val") {
		t.Errorf("wrong split: %v", err)
	}
}

func TestKindsOfLabels(t *testing.T) {
	root := t.TempDir()
	base := filepath.Join(root, "gtFine/val/bonn/bonn_0_1_gtFine_")
	picture(t, filepath.Join(root, "leftImg8bit/val/bonn/bonn_0_1_leftImg8bit.png"), 3, 2)
	write(t, base+"polygons.json", `{"imgHeight":2,"imgWidth":3,"objects":[{"label":"sky","polygon":[[0,0],[2,0]]}]}`)
	read := func(kind string) string {
		s, err := Open(root, "val", Options{Labels: kind})
		if err != nil {
			return err.Error()
		}
		v, err := s.Read(0, nil)
		if err != nil {
			return err.Error()
		}
		out := ""
		for _, x := range v {
			out += string(rune('a' + min(x, 25)))
		}
		return out
	}
	if got := read("auto"); got != "kkkzzz" {
		t.Errorf("polygons: %s", got)
	}
	labels(t, base+"labelTrainIds.png", 3, 2, 0, 1, 2, 18, 255, 3)
	if got := read(""); got != "abcszd" {
		t.Errorf("training ids: %s", got)
	}
	labels(t, base+"labelIds.png", 3, 2, 7, 8, 11, 33, 0, 12)
	if got := read("auto"); got != "abcszd" {
		t.Errorf("label ids: %s", got)
	}
	if got := read("polygons"); got != "kkkzzz" {
		t.Errorf("polygons named: %s", got)
	}
	if got := read("masks"); !strings.Contains(got, `label files "masks" are unknown: valid are auto, labelIds, labelTrainIds, polygons`) {
		t.Error(got)
	}
	labels(t, base+"labelIds.png", 3, 2, 0, 1, 2, 18, 255, 3)
	if got := read("labelIds"); !strings.Contains(got, "the value 255 at 1 pixel, first at column 1, row 1, is not allowed (label ids: 0..33); the file holds nothing but 0..18 and 255, as labelTrainIds files do: is it misnamed?") {
		t.Error(got)
	}
	labels(t, base+"labelTrainIds.png", 3, 2, 7, 8, 11, 33, 33, 12)
	if got := read("labelTrainIds"); !strings.Contains(got, "the value 33 at 2 pixels, first at column 0, row 1, is not allowed (training ids: 0..18, 255); the file holds nothing but 0..33, as labelIds files do") {
		t.Error(got)
	}
}

func TestMissingPartners(t *testing.T) {
	root := t.TempDir()
	for _, name := range []string{"a_0_0", "b_0_0", "c_0_0"} {
		picture(t, filepath.Join(root, "leftImg8bit/train/x", name+"_leftImg8bit.png"), 2, 1)
	}
	open := func() string {
		_, err := Open(root, "train", Options{})
		if err == nil {
			return ""
		}
		var bad *labelmap.InputError
		if !errors.As(err, &bad) {
			t.Errorf("%v is no InputError", err)
		}
		return strings.ReplaceAll(err.Error(), root, "ROOT")
	}
	if got := open(); !strings.Contains(got, "ROOT/gtFine/train: there is no such folder") {
		t.Error(got)
	}
	write(t, filepath.Join(root, "gtFine/train/x/.keep"), "")
	if got := open(); !strings.Contains(got, "ROOT/gtFine/train: there is no label file in a city's folder (CITY/*_gtFine_labelIds.png)") {
		t.Error(got)
	}
	labels(t, filepath.Join(root, "gtFine/train/x/c_0_0_gtFine_labelIds.png"), 1, 2, 0, 0)
	labels(t, filepath.Join(root, "gtFine/train/x/d_0_0_gtFine_labelIds.png"), 1, 2, 0, 0)
	got := open()
	for _, want := range []string{
		"ROOT/leftImg8bit/train: 2 times image without label; the first is ROOT/leftImg8bit/train/x/a_0_0_leftImg8bit.png: the image has no label file: there is no ROOT/gtFine/train/x/a_0_0_gtFine_labelIds.png",
		"ROOT/gtFine/train/x/d_0_0_gtFine_labelIds.png: the label file has no image",
		"ROOT/gtFine/train/x/c_0_0_gtFine_labelIds.png: 1x2 pixels, but ROOT/leftImg8bit/train/x/c_0_0_leftImg8bit.png has 2x1",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in:\n%s", want, got)
		}
	}
	if n := strings.Count(got, "\n") + 1; n != 3 {
		t.Errorf("%d lines:\n%s", n, got)
	}
}

// Facts of the data set (cityscapesScripts 2.3.0, labels.py).
func TestLabelTable(t *testing.T) {
	list := ClassList()
	if len(Labels) != 35 || list[0].Name != "road" || list[18].Name != "bicycle" || list[13].Color != [3]uint8{0, 0, 142} {
		t.Error("table")
	}
	instances := 0
	for i, l := range Labels[:IDs] {
		if l.ID != i || (l.TrainID == 255) != l.IgnoreInEval {
			t.Errorf("%+v", l)
		}
		if l.HasInstances {
			instances++
		}
	}
	if got := strings.Join(Categories(), " "); got != "void flat construction object nature sky human vehicle" || instances != 10 {
		t.Error(got, instances)
	}
}

func TestCheck(t *testing.T) {
	root := t.TempDir()
	for _, name := range []string{"a_0_0", "b_0_0"} {
		picture(t, filepath.Join(root, "leftImg8bit/train/x", name+"_leftImg8bit.png"), 3, 1)
		labels(t, filepath.Join(root, "gtFine/train/x", name+"_gtFine_labelIds.png"), 3, 1, 7, 8, 18)
	}
	picture(t, filepath.Join(root, "leftImg8bit/train/x/c_0_0_leftImg8bit.png"), 3, 1)
	r, err := Check(context.Background(), root, "train", Options{}, labelmap.CheckOptions{})
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]int{}
	for _, f := range r.Findings {
		kinds[string(f.Severity)+" "+f.Kind] = f.Count
	}
	// Road and sidewalk are there, 17 classes are not; 18 (polegroup) is ignored.
	want := map[string]int{"error image without label": 1, "warning class without pixels": 17, "warning label ids that look like training ids": 1}
	if !maps.Equal(kinds, want) || r.Pairs != 2 || r.Pixels != 6 || r.Ignored != 2 || r.Classes[0].Pixels != 2 || r.Classes[1].Images != 2 {
		t.Errorf("%v\n%+v", kinds, r)
	}
}
