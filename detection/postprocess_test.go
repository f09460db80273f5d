package detection

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"manvision/internal/golden"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// torchvisionGolden is testdata/postprocess.json, made by gen_postprocess.py
// from torchvision 0.14.1's RetinaNet.postprocess_detections, nms and batched_nms.
type torchvisionGolden struct {
	Postprocess []struct {
		Seed           uint64      `json:"seed"`
		Height         int         `json:"height"`
		Width          int         `json:"width"`
		Classes        int         `json:"classes"`
		LogitScale     float64     `json:"logit_scale"`
		LogitShift     float64     `json:"logit_shift"`
		DeltaScale     float64     `json:"delta_scale"`
		ScoreThreshold float64     `json:"score_threshold"`
		TopK           int         `json:"topk"`
		NMSIoU         float64     `json:"nms_iou"`
		MaxDetections  int         `json:"max_detections"`
		Image          [2]int      `json:"image"` // width, height
		Boxes          [][]float64 `json:"boxes"`
		Labels         []int       `json:"labels"`
		Scores         []float64   `json:"scores"`
	} `json:"postprocess"`
	NMS []struct {
		Seed    uint64  `json:"seed"`
		N       int     `json:"n"`
		Classes int     `json:"classes"`
		IoU     float64 `json:"iou"`
		Keep    []int   `json:"keep"`
	} `json:"nms"`
}

func readTorchvision(t *testing.T) torchvisionGolden {
	t.Helper()
	data, err := os.ReadFile("testdata/postprocess.json")
	if err != nil {
		t.Fatal(err)
	}
	var g torchvisionGolden
	if err := json.Unmarshal(data, &g); err != nil {
		t.Fatal(err)
	}
	return g
}

func stream32(name string, seed uint64, n int, scale, shift float64) []float32 {
	out := make([]float32, n)
	for i, u := range golden.U(name, seed, n) {
		out[i] = float32(u*scale + shift)
	}
	return out
}

func TestPostProcessEqualsTorchvision(t *testing.T) {
	for _, c := range readTorchvision(t).Postprocess {
		a := DefaultAnchors()
		g, err := NewGrid(a, a.LevelShapes(c.Height, c.Width))
		if err != nil {
			t.Fatal(err)
		}
		p, err := NewPostProcessor(PostConfig{ScoreThreshold: c.ScoreThreshold, TopK: c.TopK, NMSIoU: c.NMSIoU, MaxDetections: c.MaxDetections})
		if err != nil {
			t.Fatal(err)
		}
		// Originally twice as wide and three times as high.
		got, err := p.Image(g, c.Classes, stream32("logits", c.Seed, g.Len()*c.Classes, c.LogitScale, c.LogitShift),
			stream32("deltas", c.Seed, 4*g.Len(), c.DeltaScale, 0),
			ImageSize{c.Image[0], c.Image[1], 2 * c.Image[0], 3 * c.Image[1]})
		if err != nil {
			t.Fatal(err)
		}
		k := 0
		for i, b := range c.Boxes {
			if b[2] <= b[0] || b[3] <= b[1] {
				continue // torchvision keeps boxes without area, we do not
			}
			if k >= len(got) {
				t.Fatalf("seed %d: only %d detections; torchvision has %d", c.Seed, len(got), len(c.Boxes))
			}
			d := got[k]
			for j, scale := range []float64{2, 3, 2, 3} {
				if !near(float64(d.Box[j])/scale, b[j], 2e-4) { // float32 decoding there
					t.Errorf("seed %d: box %d: %v, want %v times 2 and 3", c.Seed, i, d.Box, b)
				}
			}
			if d.Label != c.Labels[i] || !near(float64(d.Score), c.Scores[i], 1e-6) {
				t.Errorf("seed %d: detection %d: class %d score %v, want %d %v", c.Seed, i, d.Label, d.Score, c.Labels[i], c.Scores[i])
			}
			k++
		}
		if extra := len(got) - k; extra > 0 && len(c.Boxes) < c.MaxDetections {
			t.Errorf("seed %d: %d detections more than torchvision", c.Seed, extra)
		}
	}
}

func TestNMSEqualsTorchvision(t *testing.T) {
	for _, c := range readTorchvision(t).NMS {
		centre := stream32("centres", c.Seed, 2*c.N, 50, 60)
		size := stream32("sizes", c.Seed, 2*c.N, 18, 22)
		boxes := make([][4]float32, c.N)
		for i := range boxes {
			x, y, w, h := centre[2*i], centre[2*i+1], size[2*i], size[2*i+1]
			boxes[i] = [4]float32{x - w, y - h, x + w, y + h}
		}
		var classes []int32
		if c.Classes > 1 {
			for _, v := range golden.Ints("classes", c.Seed, c.N, c.Classes) {
				classes = append(classes, int32(v))
			}
		}
		scores := stream32("scores", c.Seed, c.N, 0.5, 0.5)
		if d := cmp.Diff(c.Keep, NMS(boxes, scores, classes, c.IoU, 0)); d != "" {
			t.Errorf("seed %d: %s", c.Seed, d)
		}
		if d := cmp.Diff(c.Keep[:7], NMS(boxes, scores, classes, c.IoU, 7)); d != "" {
			t.Errorf("seed %d, at most 7: %s", c.Seed, d)
		}
	}
}

func TestNMSProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 40).Draw(t, "n")
		boxes, scores, classes := make([][4]float32, n), make([]float32, n), make([]int32, n)
		for i := range boxes {
			x, y := float32(rapid.IntRange(0, 20).Draw(t, "x")), float32(rapid.IntRange(0, 20).Draw(t, "y"))
			boxes[i] = [4]float32{x, y, x + float32(rapid.IntRange(0, 15).Draw(t, "w")), y + float32(rapid.IntRange(0, 15).Draw(t, "h"))}
			scores[i] = rapid.SampledFrom([]float32{0.1, 0.5, 0.5001, 0.9}).Draw(t, "score")
			classes[i] = int32(rapid.IntRange(0, 2).Draw(t, "class"))
		}
		thr := rapid.SampledFrom([]float64{0, 0.3, 0.5, 1}).Draw(t, "iou")
		keep := NMS(boxes, scores, classes, thr, 0)
		kept := map[int]bool{}
		for i, a := range keep {
			kept[a] = true
			if i > 0 && (scores[keep[i-1]] < scores[a] || scores[keep[i-1]] == scores[a] && keep[i-1] > a) {
				t.Fatalf("%d before %d: order", keep[i-1], a)
			}
			for _, b := range keep[:i] {
				if classes[a] == classes[b] && IoU(widen(boxes[a]), widen(boxes[b])) > thr {
					t.Fatalf("%d and %d overlap too much", a, b)
				}
			}
		}
		for a := range boxes { // whatever went had a better kept neighbour
			killed := slices.ContainsFunc(keep, func(b int) bool {
				return classes[a] == classes[b] && scores[b] >= scores[a] && IoU(widen(boxes[a]), widen(boxes[b])) > thr
			})
			if !kept[a] && !killed {
				t.Fatalf("%d was dropped without a reason", a)
			}
		}
	})
}

// The heap of the top-k keeps what sorting everything would.
func TestCollectEqualsSort(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOf(rapid.OneOf(rapid.Float32Range(-8, 8), rapid.SampledFrom([]float32{-1, 0, 0.5, 3}))).Draw(t, "logits")
		k, thr := rapid.IntRange(0, 20).Draw(t, "k"), rapid.SampledFrom([]float64{0, 0.05, 0.5, 0.9}).Draw(t, "threshold")
		var want []candidate
		for i, v := range values {
			if float32(sigmoid(v)) > float32(thr) {
				want = append(want, candidate{v, i + 100})
			}
		}
		slices.SortFunc(want, better)
		if k > 0 && len(want) > k {
			want = want[:k]
		}
		s := postScratch{found: []candidate{{9, 1}}} // another level's
		if bad := s.collect(values, 100, thr, k); bad >= 0 {
			t.Fatalf("logit %d not finite", bad)
		}
		got := s.found[1:]
		slices.SortFunc(got, better)
		if !slices.Equal(got, want) {
			t.Fatalf("%v, want %v", got, want)
		}
	})
}

func TestPostProcessErrors(t *testing.T) {
	c := DefaultAnchors()
	g, _ := NewGrid(c, c.LevelShapes(64, 64))
	p, _ := NewPostProcessor(DefaultPost())
	size := ImageSize{64, 64, 64, 64}
	for _, v := range []float32{float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1))} {
		logits, deltas := make([]float32, 3*g.Len()), make([]float32, 4*g.Len())
		logits[3*600+2] = v
		_, err := p.Image(g, 3, logits, deltas, size)
		if err == nil || !strings.Contains(err.Error(), "logit of class 2 of anchor 600 (level 1)") {
			t.Errorf("logit %v: %v", v, err)
		}
		logits[3*600+2], deltas[4*9+1] = 0, v
		_, err = p.Batch(g, 3, append(make([]float32, 3*g.Len()), logits...), append(make([]float32, 4*g.Len()), deltas...), []ImageSize{size, size})
		if err == nil || !strings.Contains(err.Error(), "image 1 of the batch") || !strings.Contains(err.Error(), "delta 1 of anchor 9 (level 0)") {
			t.Errorf("delta %v: %v", v, err)
		}
	}
	logits, deltas := make([]float32, 3*g.Len()), make([]float32, 4*g.Len())
	if _, err := p.Image(g, 2, logits, deltas, size); err == nil {
		t.Error("wrong class count: no error")
	}
	if _, err := p.Image(g, 3, logits, deltas, ImageSize{0, 64, 64, 64}); err == nil {
		t.Error("empty image: no error")
	}
	if _, err := p.Batch(g, 3, logits, deltas, []ImageSize{size, size}); err == nil {
		t.Error("two images, predictions of one: no error")
	}
	for _, bad := range []PostConfig{{ScoreThreshold: 1}, {ScoreThreshold: math.NaN()}, {NMSIoU: 2}, {TopK: -1}, {Workers: -1}} {
		if _, err := NewPostProcessor(bad); err == nil {
			t.Errorf("%+v: no error", bad)
		}
	}
}

func randomPredictions(images, anchors, classes int) (logits, deltas []float32) {
	r := rand.New(rand.NewPCG(3, 4))
	logits, deltas = make([]float32, images*anchors*classes), make([]float32, images*anchors*4)
	for i := range logits {
		logits[i] = float32(r.NormFloat64()*1.5 - 5)
	}
	for i := range deltas {
		deltas[i] = float32(r.NormFloat64() * 0.3)
	}
	return logits, deltas
}

// The result must not depend on the number of workers or on reused scratch.
func TestBatchEqualsImages(t *testing.T) {
	c := DefaultAnchors()
	g, _ := NewGrid(c, c.LevelShapes(96, 96))
	logits, deltas := randomPredictions(5, g.Len(), 4)
	sizes := []ImageSize{{96, 96, 200, 100}, {90, 50, 90, 50}, {96, 96, 96, 96}, {10, 96, 20, 30}, {96, 96, 48, 48}}
	p, _ := NewPostProcessor(DefaultPost())
	got, err := p.Batch(g, 4, logits, deltas, sizes)
	if err != nil {
		t.Fatal(err)
	}
	n := g.Len()
	for i, size := range sizes {
		fresh, _ := NewPostProcessor(DefaultPost())
		want, err := fresh.Image(g, 4, logits[i*n*4:(i+1)*n*4], deltas[i*n*4:(i+1)*n*4], size)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, got[i]); d != "" || len(want) == 0 {
			t.Errorf("image %d (%d detections): %s", i, len(want), d)
		}
		for _, d := range want {
			if d.Box[0] < 0 || d.Box[1] < 0 || d.Box[2] > float32(size.OrigWidth) || d.Box[3] > float32(size.OrigHeight) {
				t.Errorf("image %d: box %v outside %dx%d", i, d.Box, size.OrigWidth, size.OrigHeight)
			}
		}
	}
}

func BenchmarkPostProcess(b *testing.B) {
	c := DefaultAnchors()
	g, _ := NewGrid(c, c.LevelShapes(608, 800))
	logits, deltas := randomPredictions(1, g.Len(), 80)
	p, _ := NewPostProcessor(DefaultPost())
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Image(g, 80, logits, deltas, ImageSize{800, 600, 640, 480}); err != nil {
			b.Fatal(err)
		}
	}
}
