package onnx

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"manvision/detection"
	"manvision/segmentation"
)

// runtime is what testdata/run_onnx.py is told and tells.
type runtimeCase struct {
	Name  string                   `json:"name"`
	Model string                   `json:"model"`
	Input string                   `json:"input"`
	Shape []int                    `json:"shape"`
	Want  map[string]runtimeOutput `json:"want"`
}

type runtimeOutput struct {
	File  string `json:"file"`
	Shape []int  `json:"shape"`
	Type  string `json:"type"`
}

// python finds a Python with onnxruntime: MANVISION_ONNX_PYTHON, or python3.
func python(t *testing.T) string {
	t.Helper()
	python := os.Getenv("MANVISION_ONNX_PYTHON")
	if python == "" {
		python = "python3"
	}
	if out, err := exec.Command(python, "-c", "import onnxruntime, numpy").CombinedOutput(); err != nil {
		t.Skipf("%s has no onnxruntime (pip install onnx onnxruntime, and MANVISION_ONNX_PYTHON names that Python): %v %s", python, err, bytes.TrimSpace(out))
	}
	return python
}

// suite collects files and what they should compute.
type suite struct {
	t     *testing.T
	dir   string
	cases []runtimeCase
	told  bool // of the versions
}

func (s *suite) raw(v any) string {
	s.t.Helper()
	path := filepath.Join(s.dir, fmt.Sprint(len(s.cases), "-", binary.Size(v), ".bin"))
	for i := 0; ; i++ {
		if _, err := os.Stat(path); err != nil {
			break
		}
		path += fmt.Sprint(i)
	}
	var b bytes.Buffer
	if err := binary.Write(&b, binary.LittleEndian, v); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(path, b.Bytes(), 0o666); err != nil {
		s.t.Fatal(err)
	}
	return path
}

// add writes a file; want are pairs of output name and values, of the file's shapes
// with found in the place of axes that are known only at run time.
func (s *suite) add(name string, f *File, err error, input []float32, n, found int, want map[string]any) {
	s.t.Helper()
	if err != nil {
		s.t.Fatalf("%s: %v", name, err)
	}
	c := runtimeCase{Name: name, Model: filepath.Join(s.dir, fmt.Sprint(len(s.cases), ".onnx")), Input: s.raw(input), Want: map[string]runtimeOutput{}}
	out, err := os.Create(c.Model)
	if err == nil {
		_, err = f.WriteTo(out)
	}
	if err == nil {
		err = out.Close()
	}
	if err != nil {
		s.t.Fatalf("%s: %v", name, err)
	}
	shape := func(v Value) []int {
		to := []int{}
		for _, d := range v.Dims {
			switch d.Name {
			case "":
				to = append(to, d.Size)
			case "N":
				to = append(to, n)
			default:
				to = append(to, found)
			}
		}
		return to
	}
	c.Shape = shape(f.Inputs[0])
	for _, o := range f.Outputs {
		v, ok := want[o.Name]
		if !ok {
			s.t.Fatalf("%s: no expected values of output %s", name, o.Name)
		}
		c.Want[o.Name] = runtimeOutput{s.raw(v), shape(o), map[string]string{"float32": "<f4", "int64": "<i8", "uint8": "u1"}[o.Type]}
	}
	s.cases = append(s.cases, c)
}

// run has onnxruntime compute all cases so far, compares, and removes their files.
func (s *suite) run(python string) {
	s.t.Helper()
	list, err := json.Marshal(s.cases)
	if err != nil {
		s.t.Fatal(err)
	}
	path := filepath.Join(s.dir, "cases.json")
	if err := os.WriteFile(path, list, 0o666); err != nil {
		s.t.Fatal(err)
	}
	cmd := exec.Command(python, "testdata/run_onnx.py", path)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		s.t.Fatalf("%v\n%s", err, errs.String())
	}
	var got struct {
		Runtime, Checker string
		Cases            map[string]map[string]any
	}
	if err := json.Unmarshal(out, &got); err != nil {
		s.t.Fatalf("%v: %s", err, out)
	}
	if !s.told {
		s.t.Logf("onnxruntime %s, checker of onnx %q", got.Runtime, got.Checker)
		s.told = true
	}
	for _, c := range s.cases {
		for name := range c.Want {
			d, ok := got.Cases[c.Name][name].(float64)
			if !ok || !(d <= 1e-4) {
				s.t.Errorf("%s: %s: %v", c.Name, name, got.Cases[c.Name][name])
			}
			s.t.Logf("%-40s %-14s %.1e", c.Name, name, d)
		}
	}
	s.cases = nil
	files, err := filepath.Glob(filepath.Join(s.dir, "*"))
	for _, f := range files {
		if e := os.Remove(f); err == nil {
			err = e
		}
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

// TestRuntime compares files, as onnxruntime runs them, with our own inference: at most
// 1e-4 of the largest value apart, label maps equal.
func TestRuntime(t *testing.T) {
	python := python(t)
	s := &suite{t: t, dir: t.TempDir()}
	dev := openCPU(t)
	for _, c := range []struct {
		name                    string
		width, classes, n, h, w int
	}{
		{"resnet18", 0, 1000, 2, 64, 96}, {"resnet50", 0, 1000, 1, 64, 64}, {"cifar_resnet20_a", 0, 10, 3, 32, 32}, {"cifar_resnet32", 0, 10, 2, 32, 32},
		{"resnext50_32x4d", 0, 20, 1, 64, 64}, {"wide_resnet50_2", 32, 20, 1, 65, 71}, {"vit_b_16", 384, 30, 2, 64, 48}, {"vit_ti_16_manpp", 0, 10, 1, 64, 64},
	} {
		m, net, logits := classifier(t, dev, c.name, c.width, c.classes, c.n, c.h, c.w)
		_, x := picture(c.n, c.h, c.w)
		want := map[string]any{"logits": logits}
		o := Options{Batch: c.n, H: c.h, W: c.w}
		f, err := Classifier(m, net, infoOf(c.classes), o)
		s.add(c.name, f, err, x, c.n, 0, want)
		o.Fold, o.Batch = true, 0
		f, err = Classifier(m, net, infoOf(c.classes), o)
		s.add(c.name+", folded, any batch", f, err, x, c.n, 0, want)
		if c.name == "resnet18" {
			info := infoOf(c.classes)
			pixels := make([]float32, len(x))
			for i, v := range x {
				k := i / (c.h * c.w) % 3
				pixels[i] = (v*info.Std[k] + info.Mean[k]) * 255
			}
			o.Normalize, o.Decode = true, true
			f, err = Classifier(m, net, info, o)
			s.add(c.name+", normalised inside, decoded", f, err, pixels, c.n, 0, map[string]any{"probabilities": softmax(logits, c.classes)})
		}
		m.Store.Free()
		s.run(python)
	}
	for _, head := range []string{segmentation.DeepLabV3, segmentation.DeepLabV3Plus, segmentation.FCN} {
		n, h, w := 2, 65, 96
		net := &segmentation.Net{Classes: 21, Head: head, OutputStride: 8}
		width := 64
		if head != segmentation.DeepLabV3 {
			width = 16
		}
		m, logits := segmenter(t, dev, "resnet50", width, net, n, h, w)
		_, x := picture(n, h, w)
		for _, batch := range []int{n, 0} {
			name := fmt.Sprintf("%s_resnet50, width %d, batch %d", head, width, batch)
			f, err := Segmenter(m, net, infoOf(21), Options{Batch: batch, H: h, W: w, Fold: batch == 0})
			s.add(name, f, err, x, n, 0, map[string]any{"logits": logits})
			f, err = Segmenter(m, net, infoOf(21), Options{Batch: batch, H: h, W: w, Decode: true})
			s.add(name+", decoded", f, err, x, n, 0, map[string]any{"labels": argmax(logits, n, 21, h*w)})
		}
		m.Store.Free()
		s.run(python)
	}
	for _, c := range []struct {
		name        string
		width, h, w int
		net         *detection.RetinaNet
		post        detection.PostConfig
	}{
		{"retinanet_resnet50_fpn", 0, 96, 160, &detection.RetinaNet{Classes: 91, Channels: 256, Convs: 4, Anchors: detection.TorchvisionAnchors(), Prior: 0.01, P6FromP5: true},
			detection.PostConfig{ScoreThreshold: 0.05, TopK: 1000, NMSIoU: 0.5, MaxDetections: 300}},
		{"retinanet of ours", 16, 70, 101, &detection.RetinaNet{Classes: 5, Channels: 32, Convs: 2, Anchors: detection.DefaultAnchors(), Prior: 0.01},
			detection.PostConfig{ScoreThreshold: 0.02, TopK: 100, NMSIoU: 0.4, MaxDetections: 0, Coder: detection.BoxCoder{Weights: [4]float64{10, 10, 5, 5}}}},
		{"retinanet that finds nothing", 16, 64, 64, &detection.RetinaNet{Classes: 2, Channels: 16, Convs: 1, Anchors: detection.DefaultAnchors(), Prior: 0.01},
			detection.PostConfig{ScoreThreshold: 0.999, TopK: 100, NMSIoU: 0.4, MaxDetections: 50}},
	} {
		m, grid, logits, deltas := retinaNet(t, dev, c.width, c.net, 1, c.h, c.w)
		_, x := picture(1, c.h, c.w)
		o := Options{Batch: 1, H: c.h, W: c.w}
		for _, batch := range []int{1, 0} {
			o.Batch = batch
			f, err := Detector(m, c.net, c.post, infoOf(c.net.Classes), o)
			s.add(fmt.Sprintf("%s, batch %d", c.name, batch), f, err, x, 1, 0, map[string]any{"logits": logits, "deltas": deltas, "anchors": grid.Boxes})
		}
		o.Batch, o.Decode, o.Fold = 1, true, true
		post, err := detection.NewPostProcessor(c.post)
		if err != nil {
			t.Fatal(err)
		}
		found, err := post.Image(grid, c.net.Classes, logits, deltas, detection.ImageSize{Width: c.w, Height: c.h, OrigWidth: c.w, OrigHeight: c.h})
		if err != nil {
			t.Fatal(err)
		}
		boxes, scores, labels := [][4]float32{}, []float32{}, []int64{}
		for _, d := range found {
			boxes, scores, labels = append(boxes, d.Box), append(scores, d.Score), append(labels, int64(d.Label))
		}
		f, err := Detector(m, c.net, c.post, infoOf(c.net.Classes), o)
		s.add(fmt.Sprintf("%s, decoded: %d boxes", c.name, len(found)), f, err, x, 1, len(found), map[string]any{"boxes": boxes, "scores": scores, "labels": labels})
		m.Store.Free()
		s.run(python)
	}
}

func softmax(logits []float32, classes int) []float32 {
	out := make([]float32, len(logits))
	for from := 0; from < len(logits); from += classes {
		row, sum, top := logits[from:from+classes], 0.0, math.Inf(-1)
		for _, v := range row {
			top = max(top, float64(v))
		}
		for _, v := range row {
			sum += math.Exp(float64(v) - top)
		}
		for i, v := range row {
			out[from+i] = float32(math.Exp(float64(v)-top) / sum)
		}
	}
	return out
}

// argmax is the label map of logits [n,c,cells].
func argmax(logits []float32, n, c, cells int) []uint8 {
	out := make([]uint8, n*cells)
	for i := range out {
		at := i/cells*c*cells + i%cells
		for k := 1; k < c; k++ {
			if logits[at+k*cells] > logits[at+int(out[i])*cells] {
				out[i] = uint8(k)
			}
		}
	}
	return out
}
