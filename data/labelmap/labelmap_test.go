package labelmap

import (
	"context"
	"encoding/json"
	"image"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var threeClasses = []Class{{Name: "ground"}, {Name: "disc", Color: [3]uint8{255, 0, 0}}, {Name: "square"}}

// folders makes images and labels of 4x2 pixels.
func folders(t *testing.T, maps map[string][]uint8) (images, labels string) {
	dir := t.TempDir()
	images, labels = filepath.Join(dir, "images"), filepath.Join(dir, "labels")
	for name, v := range maps {
		save(t, filepath.Join(images, name+".png"), image.NewRGBA(image.Rect(0, 0, 4, 2)))
		save(t, filepath.Join(labels, name+".png"), &image.Gray{Pix: v, Stride: 4, Rect: image.Rect(0, 0, 4, 2)})
	}
	return images, labels
}

func TestFolders(t *testing.T) {
	images, labels := folders(t, map[string][]uint8{"b": {0, 1, 2, 0, 9, 9, 1, 1}, "a": {2, 2, 2, 2, 2, 2, 2, 2}})
	saveBytes(t, images+"/.hidden.png", nil)
	saveBytes(t, images+"/notes.txt", nil)
	s, err := Folders(images, labels, threeClasses, 9)
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Pairs) != 2 || s.Pairs[1] != (Pair{"b", images + "/b.png", labels + "/b.png", 4, 2}) {
		t.Fatalf("%+v", s.Pairs)
	}
	v, err := s.Read(1, nil)
	if err != nil || !slices.Equal(v, []uint8{0, 1, 2, 0, 255, 255, 1, 1}) {
		t.Error(v, err)
	}
	if s.Output(2) != 2 || s.Output(Ignore) != 9 {
		t.Error("output", s.Output(2), s.Output(Ignore))
	}
}

func TestFoldersProblems(t *testing.T) {
	images, labels := folders(t, map[string][]uint8{"a": {2, 2, 2, 2, 2, 2, 2, 2}, "b": make([]uint8, 8), "c": make([]uint8, 8), "d": make([]uint8, 8)})
	for _, f := range []string{labels + "/a.png", labels + "/b.png", images + "/c.png"} {
		if err := os.Remove(f); err != nil {
			t.Fatal(err)
		}
	}
	save(t, labels+"/d.png", image.NewGray(image.Rect(0, 0, 2, 4)))
	saveBytes(t, images+"/e.jpg", []byte("no picture"))
	save(t, labels+"/e.png", image.NewGray(image.Rect(0, 0, 2, 4)))
	_, err := Folders(images, labels, threeClasses, 255)
	if err == nil {
		t.Fatal("no error")
	}
	want := []string{
		images + ": 2 times image without label; the first is " + images + "/a.png: the image has no label file: there is no " + labels + "/a.png",
		images + "/e.jpg: the image cannot be read: image: unknown format",
		labels + "/c.png: the label file has no image",
		labels + "/d.png: 2x4 pixels, but " + images + "/d.png has 4x2",
	}
	if got := strings.Split(err.Error(), "\n"); !slices.Equal(got, want) {
		t.Errorf("got:\n%s\nwant:\n%s", err, strings.Join(want, "\n"))
	}
	empty := t.TempDir()
	for _, c := range []struct {
		images, labels string
		ignore         int
		want           string
	}{
		{empty, empty, 255, empty + ": there is not one image with a label"},
		{empty + "/no", empty, 255, empty + "/no: cannot read the folder: no such file or directory"},
		{empty, empty + "/no", 255, empty + "/no: cannot read the folder: no such file or directory"},
		{empty, empty, 1, "the ignored value 1 is also the index of a class (there are 3 classes)"},
		{empty, empty, 256, "the ignored value is 256"},
	} {
		if _, err := Folders(c.images, c.labels, threeClasses, c.ignore); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %q", err, c.want)
		}
	}
	if _, err := Folders(empty, empty, nil, -1); err == nil || !strings.Contains(err.Error(), "0 classes") {
		t.Error(err)
	}
	save(t, empty+"/x.png", image.NewGray(image.Rect(0, 0, 1, 1)))
	saveBytes(t, empty+"/x.jpg", nil)
	if _, err := Folders(empty, empty, threeClasses, -1); err == nil || !strings.Contains(err.Error(), "x.png: the same name as "+empty+"/x.jpg; leave one of them") {
		t.Error(err)
	}
}

func TestValues(t *testing.T) {
	images, labels := folders(t, map[string][]uint8{"a": {0, 1, 2, 3, 255, 3, 0, 0}, "b": {0, 7, 0, 0, 0, 0, 0, 0}})
	s, err := Folders(images, labels, threeClasses, -1)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{
		labels + "/a.png: 2 values are not allowed: 3 at 2 pixels, first at column 3, row 0; 255 at 1 pixel, first at column 0, row 1 (class indices: 0..2)",
		labels + "/b.png: the value 7 at 1 pixel, first at column 1, row 0, is not allowed (class indices: 0..2)",
	} {
		if _, err := s.Read(i, nil); err == nil || err.Error() != want {
			t.Errorf("%v\nwant %s", err, want)
		}
	}
	save(t, labels+"/b.png", image.NewGray(image.Rect(0, 0, 4, 3)))
	if _, err := s.Read(1, nil); err == nil || !strings.Contains(err.Error(), "b.png: 4x3 pixels, but "+images+"/b.png has 4x2") {
		t.Error(err)
	}
}

func TestCheck(t *testing.T) {
	images, labels := folders(t, map[string][]uint8{
		"a": {0, 1, 1, 1, 255, 255, 0, 0}, "b": {0, 7, 0, 0, 0, 0, 0, 0}, "c": make([]uint8, 8), "d": make([]uint8, 8), "e": make([]uint8, 8), "f": make([]uint8, 8),
	})
	save(t, labels+"/c.png", image.NewRGBA(image.Rect(0, 0, 4, 2)))
	if err := os.Truncate(labels+"/d.png", 60); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(images+"/e.png", 60); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(labels + "/f.png"); err != nil {
		t.Fatal(err)
	}
	s, err := ScanFolders(images, labels, threeClasses, 255)
	if err != nil {
		t.Fatal(err)
	}
	calls := make(chan bool, 100)
	r, err := Check(context.Background(), s, CheckOptions{Progress: func() { calls <- true }})
	if err != nil {
		t.Fatal(err)
	}
	kinds := ""
	for _, f := range r.Findings {
		kinds += string(f.Severity) + " " + f.Kind + "\n"
		if f.Count < 1 || len(f.Examples) != f.Count {
			t.Errorf("%+v", f)
		}
	}
	if want := "error broken file\nerror image without label\nerror label file of another format\nerror value that is not allowed\nwarning class without pixels\n"; kinds != want {
		t.Errorf("got\n%s", kinds)
	}
	// By hand: a (8 pixels, 2 ignored) and e, whose label is good, 8 of class 0.
	if r.Pairs != 5 || r.Broken != 4 || r.Pixels != 16 || r.Ignored != 2 || r.Errors() != 5 || len(calls) != 5 {
		t.Errorf("%+v", r)
	}
	if got := r.Classes[1]; got != (ClassCount{1, "disc", 3, 3.0 / 14, 1}) {
		t.Errorf("%+v", got)
	}
	if got := r.Values; !slices.Equal(got, []ValueCount{{0, 18}, {1, 3}, {7, 1}, {255, 2}}) {
		t.Errorf("%+v", got)
	}
	if _, err := json.Marshal(r); err != nil {
		t.Error(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	stop()
	if _, err := Check(ctx, s, CheckOptions{}); err == nil {
		t.Error("not stopped")
	}
}

func TestHistogram(t *testing.T) {
	v := make([]uint8, 1003)
	var want [256]int64
	for i := range v {
		v[i] = uint8(i * i)
		want[v[i]]++
	}
	if *Histogram(v) != want {
		t.Error("counts differ")
	}
}
