package detection

import (
	"math"
	"math/rand/v2"
	"testing"

	"manvision/internal/golden"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// naiveAssign is the slow twin of Assign: every anchor against every box.
func naiveAssign(c AssignConfig, g *Grid, boxes [][4]float64, classes []int32) (labels []int32, deltas []float64, positives int) {
	labels, deltas = make([]int32, g.Len()), make([]float64, 4*g.Len())
	most := make([]float64, len(boxes))
	for _, a := range g.Boxes {
		for m, b := range boxes {
			most[m] = max(most[m], IoU(widen(a), b))
		}
	}
	for i, a := range g.Boxes {
		best, match, forced := 0.0, 0, false
		for m, b := range boxes {
			iou := IoU(widen(a), b)
			if iou > best {
				best, match = iou, m
			}
			forced = forced || c.ForceMatch && iou > 0 && iou == most[m]
		}
		switch {
		case len(boxes) == 0 && c.ReleasedEmpty:
			labels[i] = Ignored
		case len(boxes) > 0 && (best >= c.PosIoU || forced):
			labels[i] = classes[match]
			positives++
			d := c.Coder.Encode(a, boxes[match])
			copy(deltas[4*i:], d[:])
		case len(boxes) == 0 || best < c.NegIoU:
			labels[i] = Background
		default:
			labels[i] = Ignored
		}
	}
	return labels, deltas, positives
}

func compare(t interface{ Fatalf(string, ...any) }, c AssignConfig, g *Grid, boxes [][4]float64, classes []int32) {
	a, err := NewAssigner(c)
	if err != nil {
		t.Fatalf("%v", err)
	}
	labels, deltas := make([]int32, g.Len()), make([]float64, 4*g.Len())
	for i := range deltas {
		deltas[i] = 7 // what an earlier image left must not stay
	}
	got, err := Assign(a, g, boxes, classes, labels, deltas)
	if err != nil {
		t.Fatalf("%v", err)
	}
	wantLabels, wantDeltas, want := naiveAssign(c, g, boxes, classes)
	if got != want || !cmp.Equal(labels, wantLabels) || !cmp.Equal(deltas, wantDeltas) {
		t.Fatalf("%d positives, want %d; labels %s targets %s; boxes %v", got, want,
			cmp.Diff(wantLabels, labels), cmp.Diff(wantDeltas, deltas), boxes)
	}
}

func TestAssignEqualsAllPairs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := DefaultAnchors()
		h, w := rapid.IntRange(8, 150).Draw(t, "height"), rapid.IntRange(8, 150).Draw(t, "width")
		g, err := NewGrid(c, c.LevelShapes(h, w))
		if err != nil {
			t.Fatalf("%v", err)
		}
		n := rapid.IntRange(0, 8).Draw(t, "boxes")
		boxes, classes := make([][4]float64, n), make([]int32, n)
		for i := range boxes {
			// Corners on a coarse lattice make exact ties; some boxes lie outside.
			x, y := float64(rapid.IntRange(-20, 160).Draw(t, "x")), float64(rapid.IntRange(-20, 160).Draw(t, "y"))
			bw := rapid.OneOf(rapid.Float64Range(0.01, 300), rapid.SampledFrom([]float64{8, 32, 64})).Draw(t, "w")
			bh := rapid.OneOf(rapid.Float64Range(0.01, 300), rapid.SampledFrom([]float64{8, 32, 64})).Draw(t, "h")
			boxes[i], classes[i] = [4]float64{x, y, x + bw, y + bh}, int32(i)
			if i > 0 && rapid.IntRange(0, 4).Draw(t, "same") == 0 {
				boxes[i] = boxes[i-1]
			}
		}
		neg := rapid.SampledFrom([]float64{0.4, 0, 0.1, 0.5}).Draw(t, "neg")
		compare(t, AssignConfig{PosIoU: max(neg, 0.05), NegIoU: neg,
			ForceMatch: rapid.Bool().Draw(t, "force"), ReleasedEmpty: rapid.Bool().Draw(t, "released")}, g, boxes, classes)
	})
}

// An anchor that two equal boxes cover belongs to the first, as torch.max gives it.
func TestAssignTie(t *testing.T) {
	c := DefaultAnchors()
	g, _ := NewGrid(c, c.LevelShapes(64, 64))
	a, _ := NewAssigner(DefaultAssign())
	labels, deltas := make([]int32, g.Len()), make([]float32, 4*g.Len())
	n, err := Assign(a, g, [][4]float64{{10, 10, 45, 44}, {10, 10, 45, 44}}, []int32{5, 2}, labels, deltas)
	if err != nil || n == 0 {
		t.Fatal(n, err)
	}
	for i, l := range labels {
		if l == 2 {
			t.Fatalf("anchor %d belongs to the second of two equal boxes", i)
		}
	}
}

// Counts of positives and ignored anchors from the golden files' description:
// positives of auxiliary heads 1, 2, 3 and the main head; ignored in P3, P4, P5.
func TestGoldenAssignment(t *testing.T) {
	counts := map[string]struct{ positive, ignored []int }{
		"coco_retinanet_basic_k4":      {[]int{138, 91, 0, 229}, []int{264, 177, 9}},
		"coco_retinanet_bottleneck_k4": {[]int{147, 30, 0, 177}, []int{225, 62, 0}},
	}
	for _, f := range golden.Load(t, "retinanet") {
		want, known := counts[f.Name]
		if !known {
			continue
		}
		t.Run(f.Name, func(t *testing.T) {
			c := DefaultAnchors()
			shapes := c.LevelShapes(f.Config.Height, f.Config.Width)
			a, _ := NewAssigner(DefaultAssign())
			for head, part := range [][2]int{{0, 1}, {1, 2}, {2, 5}, {0, 5}} {
				g, err := NewGrid(c.Levels(part[0], part[1]), shapes[part[0]:part[1]])
				if err != nil {
					t.Fatal(err)
				}
				positives, ignored := 0, make([]int, 5)
				labels, deltas := make([]int32, g.Len()), make([]float64, 4*g.Len())
				for _, target := range f.Targets {
					n, err := Assign(a, g, target.Boxes, target.Labels, labels, deltas)
					if err != nil {
						t.Fatal(err)
					}
					positives += n
					for i, l := range labels {
						if l == Ignored {
							ignored[g.levelOf(i)]++
						}
					}
				}
				if positives != want.positive[head] {
					t.Errorf("head %d: %d positives, want %d", head+1, positives, want.positive[head])
				}
				if head == 3 && !cmp.Equal(ignored[:3], want.ignored) {
					t.Errorf("ignored %v, want %v", ignored[:3], want.ignored)
				}
			}
		})
	}
}

func TestAssignErrors(t *testing.T) {
	c := DefaultAnchors()
	g, _ := NewGrid(c, c.LevelShapes(32, 32))
	config := DefaultAssign()
	config.Classes = 3
	a, _ := NewAssigner(config)
	labels, deltas := make([]int32, g.Len()), make([]float32, 4*g.Len())
	nan, inf := math.NaN(), math.Inf(1)
	for _, bad := range [][4]float64{{1, 2, 1, 4}, {1, 5, 3, 4}, {nan, 0, 1, 1}, {0, 0, inf, 1}, {-1e300, 0, 1e300, 1}} {
		if _, err := Assign(a, g, [][4]float64{{0, 0, 9, 9}, bad}, []int32{0, 0}, labels, deltas); err == nil {
			t.Errorf("box %v: no error", bad)
		}
	}
	for _, class := range []int32{-1, 3} {
		if _, err := Assign(a, g, [][4]float64{{0, 0, 9, 9}}, []int32{class}, labels, deltas); err == nil {
			t.Errorf("class %d of 3: no error", class)
		}
	}
	if _, err := Assign(a, g, [][4]float64{{0, 0, 9, 9}}, nil, labels, deltas); err == nil {
		t.Error("a box without a class: no error")
	}
	if _, err := Assign(a, g, nil, nil, labels[1:], deltas); err == nil {
		t.Error("short labels: no error")
	}
	for _, bad := range []AssignConfig{{}, {PosIoU: 0.3, NegIoU: 0.4}, {PosIoU: 1.5}, {PosIoU: nan}, {PosIoU: 0.5, NegIoU: -1}} {
		if _, err := NewAssigner(bad); err == nil {
			t.Errorf("%+v: no error", bad)
		}
	}
}

func randomBoxes(n, width, height int) ([][4]float64, []int32) {
	r := rand.New(rand.NewPCG(1, 2))
	boxes, classes := make([][4]float64, n), make([]int32, n)
	for i := range boxes {
		w, h := 4+r.ExpFloat64()*60, 4+r.ExpFloat64()*60
		x, y := r.Float64()*float64(width), r.Float64()*float64(height)
		boxes[i] = [4]float64{x, y, x + w, y + h}
	}
	return boxes, classes
}

// Scratch grows with the anchors, never with the boxes.
func TestAssignAllocatesNothing(t *testing.T) {
	c := DefaultAnchors()
	g, _ := NewGrid(c, c.LevelShapes(320, 320))
	a, _ := NewAssigner(DefaultAssign())
	labels, deltas := make([]int32, g.Len()), make([]float32, 4*g.Len())
	boxes, classes := randomBoxes(3000, 320, 320)
	run := func() {
		if _, err := Assign(a, g, boxes, classes, labels, deltas); err != nil {
			t.Fatal(err)
		}
	}
	run()
	if n := testing.AllocsPerRun(10, run); n > 0 {
		t.Errorf("%v allocations a call", n)
	}
}

func BenchmarkAssign(b *testing.B) {
	c := DefaultAnchors()
	g, _ := NewGrid(c, c.LevelShapes(608, 800))
	for _, bench := range []struct {
		name  string
		boxes int
	}{{"8boxes", 8}, {"5000boxes", 5000}} {
		b.Run(bench.name, func(b *testing.B) {
			boxes, classes := randomBoxes(bench.boxes, 800, 608)
			a, _ := NewAssigner(DefaultAssign())
			labels, deltas := make([]int32, g.Len()), make([]float32, 4*g.Len())
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Assign(a, g, boxes, classes, labels, deltas); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
