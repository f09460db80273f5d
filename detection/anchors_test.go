package detection

import (
	"math"
	"testing"

	"manvision/internal/golden"
)

func near(a, b, tol float64) bool { return math.Abs(a-b) <= tol }

// goldenGrid is the grid of a golden RetinaNet trajectory.
func goldenGrid(t *testing.T, f *golden.File) *Grid {
	t.Helper()
	c := DefaultAnchors()
	g, err := NewGrid(c, c.LevelShapes(f.Config.Height, f.Config.Width))
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// The anchors of the release, as an l2 norm and a probe of the float32 values.
func TestGoldenAnchors(t *testing.T) {
	for _, f := range golden.Load(t, "retinanet") {
		t.Run(f.Name, func(t *testing.T) {
			g, want := goldenGrid(t, f), f.Eval["anchors"]
			if g.Len() != want.Shape[0] {
				t.Fatalf("%d anchors, want %d", g.Len(), want.Shape[0])
			}
			flat := make([]float32, 0, 4*g.Len())
			for _, b := range g.Boxes {
				flat = append(flat, b[:]...)
			}
			l2, probe := golden.Probe("anchors", f.Config.Seed, flat)
			if !near(l2, want.L2, 1e-13*want.L2) || !near(probe, want.Probe, 1e-13*want.L2) {
				t.Errorf("l2 %v probe %v, want %v %v", l2, probe, want.L2, want.Probe)
			}
		})
	}
}

// First two anchors of every pyramid, from the golden files' description.
func TestFirstAnchors(t *testing.T) {
	c := DefaultAnchors()
	g, err := NewGrid(c, c.LevelShapes(128, 160))
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range [][4]float64{{-18.627417, -7.313708, 26.627417, 15.313708}, {-24.508759, -10.254379, 32.508759, 18.254379}} {
		for k := range want {
			if !near(float64(g.Boxes[i][k]), want[k], 1e-6) {
				t.Errorf("anchor %d: %v, want %v", i, g.Boxes[i], want)
			}
		}
	}
	// Order: the tenth anchor is the first of the cell one column on; the first of
	// the second row comes after 20 columns of 9 (width 160, stride 8).
	if g.Boxes[9][0]-g.Boxes[0][0] != 8 || g.Boxes[180][1]-g.Boxes[0][1] != 8 || g.Boxes[180][0] != g.Boxes[0][0] {
		t.Errorf("order: %v %v %v", g.Boxes[0], g.Boxes[9], g.Boxes[180])
	}
}

func TestLevelShapes(t *testing.T) {
	// 100 -> 13 7 4 2 1 and 608 -> 76 38 19 10 5: halving rounded up from the
	// stride-8 map, by hand.
	got := DefaultAnchors().LevelShapes(100, 608)
	want := [][2]int{{13, 76}, {7, 38}, {4, 19}, {2, 10}, {1, 5}}
	for l := range want {
		if got[l] != want[l] {
			t.Errorf("level %d: %v, want %v", l, got[l], want[l])
		}
	}
}

func TestLevelsOfAuxiliaryHeads(t *testing.T) {
	c := DefaultAnchors()
	shapes := c.LevelShapes(128, 160)
	whole, _ := NewGrid(c, shapes)
	at := 0
	for _, part := range [][2]int{{0, 1}, {1, 2}, {2, 5}} {
		g, err := NewGrid(c.Levels(part[0], part[1]), shapes[part[0]:part[1]])
		if err != nil {
			t.Fatal(err)
		}
		for i, b := range g.Boxes {
			if b != whole.Boxes[at+i] {
				t.Fatalf("levels %v: anchor %d %v, want %v", part, i, b, whole.Boxes[at+i])
			}
		}
		at += g.Len()
	}
	if at != whole.Len() {
		t.Errorf("parts hold %d anchors, the whole %d", at, whole.Len())
	}
}

func TestAnchorErrors(t *testing.T) {
	ok := DefaultAnchors()
	for name, change := range map[string]func(*AnchorConfig){
		"no levels":   func(c *AnchorConfig) { c.Strides, c.Sizes = nil, nil },
		"sizes short": func(c *AnchorConfig) { c.Sizes = c.Sizes[:2] },
		"no ratios":   func(c *AnchorConfig) { c.Ratios = nil },
		"stride 0":    func(c *AnchorConfig) { c.Strides = []int{0, 1, 2, 3, 4} },
		"ratio NaN":   func(c *AnchorConfig) { c.Ratios = []float64{math.NaN()} },
		"scale inf":   func(c *AnchorConfig) { c.Scales = []float64{math.Inf(1)} },
	} {
		c := ok
		change(&c)
		if _, err := NewGrid(c, make([][2]int, len(c.Strides))); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := NewGrid(ok, [][2]int{{1, 1}}); err == nil {
		t.Error("one feature map for five levels: no error")
	}
	if _, err := NewGrid(ok, make([][2]int, 5)); err == nil {
		t.Error("empty feature maps: no error")
	}
}
