package shapes

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"image/png"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func write(t *testing.T, dir string, o Options) {
	t.Helper()
	if _, _, err := Write(context.Background(), dir, o); err != nil {
		t.Fatal(err)
	}
}

// Label maps change nothing else, and added later they are the same files.
func TestLabelsBesideCOCO(t *testing.T) {
	plain, with := t.TempDir(), t.TempDir()
	o := Options{Train: 12, Val: 4, Seed: 7}
	write(t, plain, o)
	if HasLabels(plain, TrainPart) {
		t.Error("label maps that nobody asked for")
	}
	if _, err := Segmentation(plain, TrainPart); err == nil || !strings.Contains(err.Error(), "no label maps") {
		t.Errorf("without label maps: %v", err)
	}
	o.Labels = true
	write(t, with, o)
	ta, tb := tree(t, plain), tree(t, with)
	if len(tb) != len(ta)+16+2 {
		t.Errorf("%d files with and %d without label maps", len(tb), len(ta))
	}
	for f, sum := range ta {
		if tb[f] != sum {
			t.Errorf("%s differs with label maps", f)
		}
	}
	if _, _, err := Write(context.Background(), plain, o); err == nil || !strings.Contains(err.Error(), "can be added") {
		t.Errorf("writing over a data set without label maps: %v", err)
	}
	for range 2 { // the second time there is nothing to do
		if err := AddLabels(context.Background(), plain, nil); err != nil {
			t.Fatal(err)
		}
	}
	for f, sum := range tree(t, plain) {
		if tb[f] != sum {
			t.Errorf("%s differs where label maps were added later", f)
		}
	}
	if !HasLabels(plain, TrainPart) || !HasLabels(plain, ValPart) {
		t.Error("added label maps are not seen")
	}
}

// The images and annotations of a seed stay what they were: this sum of an
// annotation file and pixels was made before there were label maps.
func TestSceneIsUnchanged(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("skipped: other processors may fuse multiplications and additions")
	}
	dir := t.TempDir()
	write(t, dir, Options{Train: 8, Seed: 3, PNG: true, Width: 96, Height: 64, Labels: true})
	h := sha256.New()
	b, err := os.ReadFile(InstancesFile(dir, TrainPart))
	if err != nil {
		t.Fatal(err)
	}
	h.Write(b)
	for i := range 8 {
		f, err := os.Open(filepath.Join(ImageDir(dir, TrainPart), imageName(i, true)))
		if err != nil {
			t.Fatal(err)
		}
		img, err := png.Decode(f)
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		for y := range 64 {
			for x := range 96 {
				r, g, b, _ := img.At(x, y).RGBA()
				h.Write([]byte{byte(r >> 8), byte(g >> 8), byte(b >> 8)})
			}
		}
	}
	if got, want := fmt.Sprintf("%x", h.Sum(nil)), "66b601b4a54bebc10b92dc1373c231326dbe28204486251ab0bbc23b9c71413d"; got != want {
		t.Errorf("sum %s, want %s", got, want)
	}
}

// A label map names the topmost shape of each pixel: it agrees with the polygons
// of the scene, drawn here with a test of each pixel's centre, but for a rim.
func TestLabelsMatchPolygons(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, Options{Train: 20, Seed: 5, Width: 120, Height: 90, Labels: true})
	set, err := Segmentation(dir, TrainPart)
	if err != nil {
		t.Fatal(err)
	}
	if len(set.Pairs) != 20 || len(set.Classes) != 7 || set.Pairs[0].Width != 120 || set.Pairs[0].Height != 90 {
		t.Fatalf("%d pairs of %dx%d, %d classes", len(set.Pairs), set.Pairs[0].Width, set.Pairs[0].Height, len(set.Classes))
	}
	seen := map[uint8]bool{}
	wrong, pixels := 0, 0
	for i := range set.Pairs {
		v, err := set.Read(i, nil)
		if err != nil {
			t.Fatal(err)
		}
		s := drawScene(120, 90, 5, 1, uint64(i))
		for y := range 90 {
			for x := range 120 {
				want := uint8(0)
				for _, o := range s.objects {
					inside := false
					for _, c := range crossings(o.polygon, float64(y)+0.5, nil) {
						inside = inside != (c > float64(x)+0.5)
					}
					if inside {
						want = uint8(o.class + 1)
					}
				}
				seen[v[y*120+x]] = true
				pixels++
				if v[y*120+x] != want {
					wrong++
				}
			}
		}
	}
	if len(seen) != 7 {
		t.Errorf("classes seen: %v", seen)
	}
	if wrong > pixels/200 {
		t.Errorf("%d of %d pixels disagree with the polygons", wrong, pixels)
	}
}

// Writing a smaller data set of another format over one with label maps leaves a
// sound data set, and a stranger's files alone.
func TestOverwriteLeavesNothingStale(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, Options{Train: 9, Seed: 1, Labels: true})
	stranger := filepath.Join(ImageDir(dir, TrainPart), "000011.jpg")
	if err := os.WriteFile(stranger, []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	write(t, dir, Options{Train: 4, Seed: 2, PNG: true, Overwrite: true})
	if HasLabels(dir, TrainPart) {
		t.Error("label maps of the data set before pass for this one's")
	}
	if b, err := os.ReadFile(stranger); err != nil || !bytes.Equal(b, []byte("mine")) {
		t.Errorf("a stranger's file: %v", err)
	}
	if err := os.Remove(stranger); err != nil {
		t.Fatal(err)
	}
	if err := AddLabels(context.Background(), dir, nil); err != nil {
		t.Fatal(err)
	}
	set, err := Segmentation(dir, TrainPart)
	if err != nil || len(set.Pairs) != 4 {
		t.Fatalf("%v, want 4 pairs", err)
	}
}

func TestAddLabelsRefuses(t *testing.T) {
	if err := AddLabels(context.Background(), t.TempDir(), nil); err == nil || !strings.Contains(err.Error(), "no data set") {
		t.Errorf("empty folder: %v", err)
	}
	dir := t.TempDir()
	write(t, dir, Options{Train: 3, Seed: 1})
	path := InstancesFile(dir, TrainPart)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, changed := range []string{"", "{}", strings.Replace(string(b), `"seed":1`, `"seed":2`, 1), strings.Replace(string(b), `"width":128`, `"width":1000000`, 1), string(b) + "\n"} {
		if err := os.WriteFile(path, []byte(changed), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := AddLabels(context.Background(), dir, nil); err == nil || !strings.Contains(err.Error(), "not as this version draws it") {
			t.Errorf("annotation file changed: %v", err)
		}
		if HasLabels(dir, TrainPart) {
			t.Fatal("refused, yet label maps count as complete")
		}
	}
}

func TestLabelClasses(t *testing.T) {
	list := LabelClasses()
	if len(list) != len(Classes)+1 || list[0].Name != "background" || list[3].Name != Classes[2] {
		t.Errorf("%+v", list)
	}
	colours := map[[3]uint8]bool{}
	for _, c := range list {
		colours[c.Color] = true
	}
	if len(colours) != len(list) {
		t.Error("two classes have one colour")
	}
}
