package arch

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"manvision/detection"
	"manvision/device"
	"manvision/device/cpu"
	"manvision/internal/golden"
	"manvision/internal/torchfile"
	"manvision/weights"
)

// reference is what testdata/gen_torchvision.py computed with torchvision 0.14 and
// PyTorch 1.13.
type reference struct {
	Arch        string
	Size        [2]int // height, width
	Gains       map[string]float32
	ClassBias   float32         `json:"class_bias"`
	Eps0        bool            `json:"eps0"`
	Logits      []float64       // of classifiers
	Labels      json.RawMessage // segmentation: rows of letters; detection: numbers
	FirstLogits []float64       `json:"first_logits"` // of anchors 700 and 701
	FirstDeltas []float64       `json:"first_deltas"` // of anchors 700 to 709
	Boxes       [][4]float64
	Scores      []float64
}

const seed = torchfile.Seed

// made writes the state_dict that the golden file is of, under torchvision's names, as
// torch.save does.
func made(t *testing.T, r *reference, names []weights.Tensor, legacy bool) string {
	t.Helper()
	all := torchfile.Fill(names)
	for _, w := range all {
		if gain, ok := r.Gains[w.Name]; ok {
			for i := range w.Data {
				w.Data[i] *= gain
			}
		}
		if strings.HasSuffix(w.Name, "cls_logits.bias") {
			for i := range w.Data {
				w.Data[i] = r.ClassBias
			}
		}
	}
	path := filepath.Join(t.TempDir(), "weights.pth")
	if err := torchfile.Write(path, all, "", legacy); err != nil {
		t.Fatal(err)
	}
	return path
}

// pixels is the input in NHWC.
func pixels(h, w int, by, plus float64, mean, std [3]float32) []float32 {
	u := golden.U32("input", seed, 3*h*w)
	out := make([]float32, len(u))
	for k := range 3 {
		for i := range h * w {
			out[i*3+k] = (float32(u[k*h*w+i]*by+plus) - mean[k]) / std[k]
		}
	}
	return out
}

var plain = [3]float32{1, 1, 1}

// TestTorchvision loads PyTorch's files of state_dicts with torchvision's names as
// 'predict --arch' and 'eval --arch' do, one of them of the form before PyTorch 1.6, and
// compares outputs with torchvision's: at most 1e-4 of the largest apart.
func TestTorchvision(t *testing.T) {
	for _, name := range []string{"resnet50", "resnext50_32x4d", "vit_b_16", "retinanet_resnet50_fpn", "retinanet_resnet50_fpn_eps0", "deeplabv3_resnet50"} {
		t.Run(name, func(t *testing.T) {
			b, err := os.ReadFile(filepath.Join("testdata", "golden_"+name+".json"))
			if err != nil {
				t.Fatal(err)
			}
			r := &reference{}
			if err := json.Unmarshal(b, r); err != nil {
				t.Fatal(err)
			}
			a, err := Find(strings.TrimSuffix(name, "_eps0"))
			if err != nil {
				t.Fatal(err)
			}
			dev, err := cpu.New(cpu.Options{Threads: 2})
			if err != nil {
				t.Fatal(err)
			}
			defer dev.Close()
			path := made(t, r, torchfile.Names(t, a.Name), name == "resnext50_32x4d")
			switch a.Task {
			case Classification:
				classify(t, dev, a, r, path)
			case Detection:
				detect(t, dev, a, r, path)
			case Segmentation:
				segment(t, dev, a, r, path)
			}
		})
	}
}

// near compares relative to the largest expected value.
func near(t *testing.T, what string, got []float32, want []float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d values, want %d", what, len(got), len(want))
	}
	worst, largest := 0.0, 0.0
	for i, v := range want {
		largest = max(largest, math.Abs(v))
		worst = max(worst, math.Abs(float64(got[i])-v))
	}
	if t.Logf("%s stray %.2g", what, worst/largest); !(worst/largest <= 1e-4) {
		t.Errorf("%s stray %.2g of the largest", what, worst/largest)
	}
}

func classify(t *testing.T, dev device.Device, a Arch, r *reference, path string) {
	c, _, err := a.classifier(dev, path, r.Size[0])
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	got, err := c.Logits(pixels(r.Size[0], r.Size[1], 1, 0, [3]float32{}, plain))
	if err != nil {
		t.Fatal(err)
	}
	near(t, "logits", got, r.Logits)
}

func segment(t *testing.T, dev device.Device, a Arch, r *reference, path string) {
	s, _, err := a.LoadSegmenter(dev, path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	h, w := r.Size[0], r.Size[1]
	got, err := s.Labels(pixels(h, w, 1, 0, [3]float32{}, plain), h, w, h, w)
	if err != nil {
		t.Fatal(err)
	}
	var rows []string
	if err := json.Unmarshal(r.Labels, &rows); err != nil {
		t.Fatal(err)
	}
	for y, row := range rows {
		for x := range row {
			if got[y*w+x] != row[x]-'A' {
				t.Errorf("pixel %d,%d: class %d, want %d", x, y, got[y*w+x], row[x]-'A')
			}
		}
	}
}

func detect(t *testing.T, dev device.Device, a Arch, r *reference, path string) {
	d, _, err := a.detector(dev, path, 0.05, r.Eps0)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	h, w := r.Size[0], r.Size[1]
	image := pixels(h, w, 0.5, 0.5, d.config.Mean, d.config.Std)
	ch, cw := padded(h), padded(w)
	canvas := make([]float32, ch*cw*3)
	for y := range h {
		copy(canvas[y*cw*3:], image[y*w*3:][:w*3])
	}
	found, err := d.Predict(canvas, ch, cw, detection.ImageSize{Width: w, Height: h, OrigWidth: w, OrigHeight: h})
	if err != nil {
		t.Fatal(err)
	}
	near(t, "logits", d.logits[700*91:702*91], r.FirstLogits)
	near(t, "deltas", d.deltas[700*4:710*4], r.FirstDeltas)
	var labels []int
	if err := json.Unmarshal(r.Labels, &labels); err != nil {
		t.Fatal(err)
	}
	if len(found) != len(labels) {
		t.Fatalf("%d detections, want %d", len(found), len(labels))
	}
	var boxes, scores []float32
	var wantBoxes, wantScores []float64
	for i, f := range found {
		if f.Label != labels[i] {
			t.Errorf("detection %d: label %d, want %d", i, f.Label, labels[i])
		}
		boxes, scores = append(boxes, f.Box[:]...), append(scores, f.Score)
		wantBoxes, wantScores = append(wantBoxes, r.Boxes[i][:]...), append(wantScores, r.Scores[i])
	}
	near(t, "boxes", boxes, wantBoxes)
	near(t, "scores", scores, wantScores)

	how := d.Post()
	how.MaxDetections = 1
	if err := d.SetPost(how); err != nil {
		t.Fatal(err)
	}
	one, err := d.Predict(canvas, ch, cw, detection.ImageSize{Width: w, Height: h, OrigWidth: w, OrigHeight: h})
	if err != nil || len(one) != 1 || one[0] != found[0] {
		t.Errorf("the best alone: %+v, %v, want %+v", one, err, found[0])
	}
	how.NMSIoU = 2
	if err := d.SetPost(how); err == nil || d.Post().NMSIoU == 2 {
		t.Error("an IoU of 2 was accepted")
	}
}
