package mask

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// testdata/mask.json was computed by pycocotools 2.0.11 (testdata/gen_mask.py).
type goldens struct {
	Bitmaps []struct {
		H, W int
		Bits string
		Text string
		Area int
		Box  [4]float64
	}
	Big struct {
		H, W int
		Text string
		Area int
		Box  [4]float64
	}
	Polygons []struct {
		H, W int
		XY   []float64
		Text string
		Area int
		Box  [4]float64
	}
	Unions []struct {
		H, W                int
		Polygons            [][]float64
		Union, Intersection string
	}
	Ious []struct {
		H, W  int
		D, G  []string
		Crowd []int
		IoU   [][]float64
	}
	Boxes []struct {
		D, G  [][4]float64
		Crowd []int
		IoU   [][]float64
	}
}

func load(t *testing.T) *goldens {
	t.Helper()
	b, err := os.ReadFile("testdata/mask.json")
	if err != nil {
		t.Fatal(err)
	}
	g := new(goldens)
	if err := json.Unmarshal(b, g); err != nil {
		t.Fatal(err)
	}
	return g
}

func TestGoldenBitmaps(t *testing.T) {
	for i, c := range load(t).Bitmaps {
		bits := make([]byte, len(c.Bits))
		for j := range bits {
			bits[j] = c.Bits[j] - '0'
		}
		r, err := Encode(bits, c.H, c.W)
		if err != nil {
			t.Fatal(err)
		}
		if r.Text() != c.Text || r.Area() != c.Area || r.Box() != c.Box {
			t.Errorf("case %d: text %q area %d box %v, want %q %d %v", i, r.Text(), r.Area(), r.Box(), c.Text, c.Area, c.Box)
		}
		back, err := FromText([]byte(c.Text), c.H, c.W)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(bits, back.Decode()); diff != "" {
			t.Errorf("case %d: %s", i, diff)
		}
	}
}

func TestGoldenLongRuns(t *testing.T) {
	c := load(t).Big
	r, err := FromText([]byte(c.Text), c.H, c.W)
	if err != nil {
		t.Fatal(err)
	}
	if r.Text() != c.Text || r.Area() != c.Area || r.Box() != c.Box {
		t.Errorf("text %q area %d box %v", r.Text(), r.Area(), r.Box())
	}
}

func TestGoldenPolygons(t *testing.T) {
	for i, c := range load(t).Polygons {
		r, err := FromPolygon(c.XY, c.H, c.W)
		if err != nil {
			t.Fatal(err)
		}
		if r.Text() != c.Text || r.Area() != c.Area || r.Box() != c.Box {
			t.Errorf("case %d %v on %dx%d: text %q area %d box %v, want %q %d %v", i, c.XY, c.H, c.W, r.Text(), r.Area(), r.Box(), c.Text, c.Area, c.Box)
		}
	}
}

func TestGoldenUnions(t *testing.T) {
	for i, c := range load(t).Unions {
		s := Segmentation{Polygons: c.Polygons}
		r, err := s.Mask(c.H, c.W)
		if err != nil {
			t.Fatal(err)
		}
		if r.Text() != c.Union {
			t.Errorf("case %d: union %q, want %q", i, r.Text(), c.Union)
		}
		var parts []*RLE
		for _, p := range c.Polygons {
			m, _ := FromPolygon(p, c.H, c.W)
			parts = append(parts, m)
		}
		if r, _ = Intersection(parts...); r.Text() != c.Intersection {
			t.Errorf("case %d: intersection %q, want %q", i, r.Text(), c.Intersection)
		}
	}
}

func TestGoldenIoU(t *testing.T) {
	g := load(t)
	for i, c := range g.Ious {
		for a, dt := range c.D {
			for b, gt := range c.G {
				d, err1 := FromText([]byte(dt), c.H, c.W)
				g, err2 := FromText([]byte(gt), c.H, c.W)
				if err1 != nil || err2 != nil {
					t.Fatal(err1, err2)
				}
				if got := IoU(d, g, c.Crowd[b] == 1); got != c.IoU[a][b] {
					t.Errorf("case %d: masks %d %d: %v, want %v", i, a, b, got, c.IoU[a][b])
				}
			}
		}
	}
	for i, c := range g.Boxes {
		for a := range c.D {
			for b := range c.G {
				if got := BoxIoU(&c.D[a], &c.G[b], c.Crowd[b] == 1); got != c.IoU[a][b] {
					t.Errorf("case %d: boxes %d %d: %v, want %v", i, a, b, got, c.IoU[a][b])
				}
			}
		}
	}
}

func bitmap(t *rapid.T, label string, n int) []byte {
	return rapid.SliceOfN(rapid.ByteRange(0, 1), n, n).Draw(t, label)
}

// Everything that works on runs agrees with the same thing on pixels.
func TestRunsAgreeWithPixels(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h, w := rapid.IntRange(1, 9).Draw(t, "h"), rapid.IntRange(1, 9).Draw(t, "w")
		pa, pb := bitmap(t, "a", h*w), bitmap(t, "b", h*w)
		a, _ := Encode(pa, h, w)
		b, _ := Encode(pb, h, w)
		back, err := FromText([]byte(a.Text()), h, w)
		if err != nil || cmp.Diff(back.Decode(), pa) != "" {
			t.Fatalf("text %q does not come back: %v", a.Text(), err)
		}
		area, inter, union := 0, 0, 0
		for i := range pa {
			area += int(pa[i])
			inter += int(pa[i] & pb[i])
			union += int(pa[i] | pb[i])
		}
		u, _ := Union(a, b)
		n, _ := Intersection(a, b)
		if a.Area() != area || u.Area() != union || n.Area() != inter {
			t.Fatalf("areas %d %d %d, want %d %d %d", a.Area(), u.Area(), n.Area(), area, union, inter)
		}
		want := 0.0
		if inter > 0 {
			want = float64(inter) / float64(union)
		}
		if got := IoU(a, b, false); got != want {
			t.Fatalf("IoU %v, want %v", got, want)
		}
	})
}

func TestBadMasks(t *testing.T) {
	for _, c := range []struct {
		text string
		h, w int
	}{{"", 2, 2}, {"4\x7f", 2, 2}, {"o", 2, 2}, {"oooooooooo1", 2, 2}, {"5", 2, 2}, {"O", 2, 2}, {"4", -2, -2}, {"4", 1 << 40, 1 << 40}} {
		if _, err := FromText([]byte(c.text), c.h, c.w); err == nil {
			t.Errorf("%q on %dx%d: no error", c.text, c.h, c.w)
		}
	}
	if _, err := FromCounts([]uint32{1 << 31, 1 << 31, 4}, 2, 2); err == nil {
		t.Error("counts that overflow: no error")
	}
	for _, xy := range [][]float64{nil, {1, 2, 3, 4}, {1, 2, 3, 4, 5, 6, 7}, {1, 2, 3, 4, 5, 1e300}} {
		if _, err := FromPolygon(xy, 5, 5); err == nil {
			t.Errorf("polygon %v: no error", xy)
		}
	}
}

func FuzzFromText(f *testing.F) {
	f.Add([]byte("04"), 2, 2)
	f.Add([]byte("PP4oo"), 30, 40)
	f.Fuzz(func(t *testing.T, text []byte, h, w int) {
		r, err := FromText(text, h, w)
		if err != nil {
			return
		}
		r.Box()
		if back, err := FromText([]byte(r.Text()), h, w); err != nil || back.Area() != r.Area() {
			t.Fatalf("%q -> %q: %v", text, r.Text(), err)
		}
	})
}
