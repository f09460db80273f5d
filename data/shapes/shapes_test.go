package shapes

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func tree(t *testing.T, dir string) map[string][32]byte {
	t.Helper()
	out := map[string][32]byte{}
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(p)
		rel, _ := filepath.Rel(dir, p)
		out[rel] = sha256.Sum256(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestWriteIsDeterministic(t *testing.T) {
	a, b, c := t.TempDir(), t.TempDir(), t.TempDir()
	o := Options{Train: 12, Val: 4, Seed: 7}
	for _, d := range []string{a, b} {
		if _, _, err := Write(context.Background(), d, o); err != nil {
			t.Fatal(err)
		}
	}
	o.Seed = 8
	if _, _, err := Write(context.Background(), c, o); err != nil {
		t.Fatal(err)
	}
	ta, tb, tc := tree(t, a), tree(t, b), tree(t, c)
	if len(ta) != 18 {
		t.Errorf("%d files, want 16 images and 2 annotation files", len(ta))
	}
	for f, sum := range ta {
		if tb[f] != sum {
			t.Errorf("%s differs between two runs", f)
		}
		if tc[f] == sum {
			t.Errorf("%s is the same under another seed", f)
		}
	}
	if ta["train/000001.jpg"] == ta["val/000001.jpg"] {
		t.Error("training and validation share an image")
	}
}

func TestAnnotations(t *testing.T) {
	dir := t.TempDir()
	counts, _, err := Write(context.Background(), dir, Options{Train: 150, Width: 160, Height: 128, Seed: 1, PNG: true})
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(InstancesFile(dir, TrainPart))
	if err != nil {
		t.Fatal(err)
	}
	var set struct {
		Images []struct {
			ID            int
			FileName      string `json:"file_name"`
			Width, Height int
		}
		Annotations []struct {
			ID           int
			ImageID      int `json:"image_id"`
			CategoryID   int `json:"category_id"`
			BBox         [4]float64
			Area         float64
			Segmentation [][]float64
		}
		Categories []struct {
			ID   int
			Name string
		}
	}
	if err := json.Unmarshal(raw, &set); err != nil {
		t.Fatal(err)
	}
	if len(set.Images) != 150 || len(set.Categories) != len(Classes) || len(set.Annotations) != counts.Objects {
		t.Fatalf("%d images, %d categories, %d annotations (counted %d)", len(set.Images), len(set.Categories), len(set.Annotations), counts.Objects)
	}
	perImage := map[int]int{}
	for i, a := range set.Annotations {
		if a.ID != i+1 {
			t.Fatalf("annotation id %d at %d", a.ID, i)
		}
		perImage[a.ImageID]++
		b := a.BBox
		const eps = 0.011
		if b[0] < 0 || b[1] < 0 || b[2] < 4 || b[3] < 4 || b[0]+b[2] > 160+eps || b[1]+b[3] > 128+eps {
			t.Errorf("annotation %d: box %v outside the image or tiny", a.ID, b)
		}
		if a.Area <= 0 || a.Area > b[2]*b[3]+eps {
			t.Errorf("annotation %d: area %v in box %v", a.ID, a.Area, b)
		}
		for k, v := range a.Segmentation[0] {
			if v < b[k%2]-eps || v > b[k%2]+b[2+k%2]+eps {
				t.Errorf("annotation %d: polygon leaves its box", a.ID)
				break
			}
		}
	}
	for id, n := range perImage {
		if n > 6 {
			t.Errorf("image %d has %d objects", id, n)
		}
	}
	for k, n := range counts.PerClass {
		if n < counts.Objects/len(Classes)/2 {
			t.Errorf("class %s has only %d of %d objects", Classes[k], n, counts.Objects)
		}
	}
	if counts.Small == 0 || counts.Medium == 0 {
		t.Errorf("sizes: %+v", counts)
	}
}

func TestOutlines(t *testing.T) {
	// Areas by hand, in units of the radius squared: the 40-gon 40/2*sin(2*pi/40);
	// the square 2; the triangle 3*sqrt(3)/4; the star's ten triangles
	// 5*0.42*sin(36 degrees); the cross's bars 4*a*b*2 less the middle counted
	// twice, 4*a*a.
	want := map[string]float64{
		"circle":   20 * math.Sin(2*math.Pi/40),
		"square":   2,
		"triangle": 3 * math.Sqrt(3) / 4,
		"star":     5 * 0.42 * math.Sin(36*math.Pi/180),
		"cross":    8*0.32*0.947 - 4*0.32*0.32,
	}
	for k, name := range Classes {
		p := outline(k)
		for _, q := range p {
			if r := math.Hypot(q.x, q.y); r > 1.001 {
				t.Errorf("%s: a corner at radius %v", name, r)
			}
		}
		if w, ok := want[name]; ok && math.Abs(area(p)-w) > 1e-9 {
			t.Errorf("%s: area %v, want %v", name, area(p), w)
		}
	}
}

func TestClip(t *testing.T) {
	square := []point{{-5, -5}, {5, -5}, {5, 5}, {-5, 5}}
	got := clip(square, 10, 3) // leaves [0,5] x [0,3]
	if a := area(got); a != 15 {
		t.Errorf("area %v, want 15", a)
	}
	if b := bounds(got); b != [4]float64{0, 0, 5, 3} {
		t.Errorf("bounds %v", b)
	}
	if got := clip([]point{{-3, -3}, {-1, -3}, {-1, -1}}, 10, 10); len(got) != 0 {
		t.Errorf("outside: %v", got)
	}
}

func TestCover(t *testing.T) {
	s := &scene{w: 4, h: 4}
	got := map[int]float32{}
	s.cover([]point{{0.5, 1}, {2, 1}, {2, 2}, {0.5, 2}}, func(i int, share float32) { got[i] = share })
	if len(got) != 2 || got[4] != 0.5 || got[5] != 1 {
		t.Errorf("shares %v, want pixel 4: 0.5, pixel 5: 1", got)
	}
}

func TestWriteRefuses(t *testing.T) {
	dir := t.TempDir()
	for _, o := range []Options{{}, {Train: 1, Val: -1}, {Train: 1, Width: 8}, {Train: 1, Height: 5000}} {
		if _, _, err := Write(context.Background(), dir, o); err == nil {
			t.Errorf("%+v: no error", o)
		}
	}
	if _, _, err := Write(context.Background(), dir, Options{Train: 1}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Write(context.Background(), dir, Options{Train: 1}); err == nil || !strings.Contains(err.Error(), "exists") {
		t.Errorf("second write: %v", err)
	}
	if _, _, err := Write(context.Background(), dir, Options{Train: 1, Overwrite: true}); err != nil {
		t.Errorf("overwrite: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, _, err := Write(ctx, t.TempDir(), Options{Train: 50}); err == nil {
		t.Error("cancelled: no error")
	}
}
