package train

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"manvision/config"
	"manvision/data/coco"
	"manvision/detection"
	"manvision/internal/golden"
	"manvision/internal/testdata"
	"manvision/internal/torchfile"
	"manvision/weights"
)

// released writes the checkpoint of one of the official MAN++ release's networks as its
// training scripts do, with formula weights, from the names and shapes of
// weights/testdata/release_*.txt.
func released(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(testdata.Root(), "weights", "testdata", "release_"+name+".txt"))
	if err != nil {
		t.Fatal(err)
	}
	var names []weights.Tensor
	for line := range strings.Lines(string(b)) {
		parts := strings.Fields(line)
		w := weights.Tensor{Name: parts[0]}
		for _, p := range parts[1:] {
			n, err := strconv.Atoi(p)
			if err != nil {
				t.Fatal(err)
			}
			w.Shape = append(w.Shape, n)
		}
		names = append(names, w)
	}
	path := filepath.Join(t.TempDir(), "checkpoint.pth.tar")
	if err := torchfile.Write(path, torchfile.Fill(names), "state_dict", false); err != nil {
		t.Fatal(err)
	}
	return path
}

// expected is what the release's networks compute (weights/testdata/gen_release.py,
// PyTorch 1.13, float32).
type expected struct {
	Logits, Deltas []float64
	At             []int // anchors
	Anchors        int
}

func releaseOutputs(t *testing.T) map[string]json.RawMessage {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(testdata.Root(), "weights", "testdata", "release.json"))
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(b, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

// formulaImages is the input of the goldens in NHWC.
func formulaImages(n, h, w int) []float32 { return nhwc("input", torchfile.Seed, n, h, w) }

// nhwc is the stream of a name, images in NCHW, in NHWC.
func nhwc(name string, seed uint64, n, h, w int) []float32 {
	u := golden.U32(name, seed, n*3*h*w)
	out := make([]float32, len(u))
	for i := range n {
		for k := range 3 {
			for p := range h * w {
				out[(i*h*w+p)*3+k] = float32(u[(i*3+k)*h*w+p])
			}
		}
	}
	return out
}

// alike compares relative to the largest expected value.
func alike(t *testing.T, what string, got []float32, want []float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d values, want %d", what, len(got), len(want))
	}
	worst, largest := 0.0, 0.0
	for i, v := range want {
		largest = math.Max(largest, math.Abs(v))
		worst = math.Max(worst, math.Abs(float64(got[i])-v))
	}
	if t.Logf("%s stray %.2g", what, worst/largest); !(worst/largest <= 1e-4) {
		t.Errorf("%s stray %.2g of the largest", what, worst/largest)
	}
}

// Checkpoints of the official MAN++ release give the release's own outputs in the
// recipe's network, and the report says what they held besides.
func TestReleaseClassifiers(t *testing.T) {
	all := releaseOutputs(t)
	for _, c := range []struct {
		name, format, split, backbone string
		classes, images, side         int
		said                          string
	}{
		{"cifar_dgl", "cifar10", "test", "cifar_resnet32", 10, 2, 32, "names of: official MAN++ CIFAR ResNet"},
		{"cifar_infopro", "cifar10", "test", "cifar_resnet32", 10, 2, 32, "128 of local heads' decoders"},
		{"imagenet", "imagenet", "val", "resnet101", 1000, 1, 64, "515 second names of units"},
		{"vit", "imagenet", "val", "vit_ti_16_manpp", 1000, 1, 224, "names of: official MAN++ ViT"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var want expected
			if err := json.Unmarshal(all[c.name], &want); err != nil {
				t.Fatal(err)
			}
			cfg, err := config.Parse(c.name, fmt.Appendf(nil, "task: classification\ndata: {format: %s, val: {split: %s}}\nmodel: {backbone: %s}\nmanpp: {strategy: e2e}\n", c.format, c.split, c.backbone), nil)
			if err != nil {
				t.Fatal(err)
			}
			dev := onCPU(t, 2)
			model, err := NewClassifier(cfg, dev, &ClassNames{make([]string, c.classes)})
			if err != nil {
				t.Fatal(err)
			}
			defer model.Store.Free()
			inf, err := model.Classification.NewInference(model.Model, c.images, c.side, c.side, nil, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer inf.Close()
			r, notes, err := model.LoadCheckpoint(released(t, c.name))
			if err != nil || len(notes) > 0 || !strings.Contains(r.String(), c.said) {
				t.Fatalf("%v, notes %q\n%s", err, notes, r)
			}
			if err := inf.Input.Upload(formulaImages(c.images, c.side, c.side)); err != nil {
				t.Fatal(err)
			}
			logits := make([]float32, c.images*c.classes)
			if err := inf.Run(logits); err != nil {
				t.Fatal(err)
			}
			alike(t, "logits", logits, want.Logits)
		})
	}
}

// A recipe that normalises images otherwise than the weights were trained with is told
// of.
func TestOtherNormalisation(t *testing.T) {
	cfg, err := config.Parse("vit", []byte("task: classification\ndata: {format: imagenet, classification: {normalize: half}}\nmodel: {backbone: vit_ti_16_manpp}\nmanpp: {strategy: e2e}\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	file, err := weights.Open(released(t, "vit"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for source, want := range map[string]string{
		"official MAN++ ViT": `the weights of x.pth are for images normalised as "imagenet", this recipe's are as "half"`, "torchvision ViT": `"imagenet"`,
		"timm ViT": "", "official MAN++ CIFAR ResNet": "",
	} {
		notes, err := otherNormalisation(cfg, "x.pth", file, source)
		if err != nil || (len(notes) == 1) != (want != "") || !strings.Contains(strings.Join(notes, ""), want) {
			t.Errorf("%s: %q, %v", source, notes, err)
		}
	}
}

// releasedDetector is the release's RetinaNet for COCO with so many classes.
func releasedDetector(t *testing.T, classes int, change ...string) (*Detector, *detection.Inference) {
	t.Helper()
	cfg, err := config.Parse("coco", []byte("model: {backbone: resnet50}\nmanpp: {strategy: e2e, quirks: released}\n"), change)
	if err != nil {
		t.Fatal(err)
	}
	var categories []coco.Category
	for i := range classes {
		categories = append(categories, coco.Category{ID: i + 1, Name: fmt.Sprint(i + 1)})
	}
	dev := onCPU(t, 2)
	model, err := NewDetector(cfg, dev, coco.NewIDMap(categories))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(model.Store.Free)
	inf, err := model.RetinaNet.NewInference(model.Model, 1, 128, 160, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { inf.Close() })
	return model, inf
}

func TestReleaseDetector(t *testing.T) {
	var want expected
	if err := json.Unmarshal(releaseOutputs(t)["coco"], &want); err != nil {
		t.Fatal(err)
	}
	const classes = 80
	file := released(t, "coco")
	model, inf := releasedDetector(t, classes)
	r, _, err := model.LoadCheckpoint(file)
	if err != nil || !strings.Contains(r.String(), "60 of averaged clones (EMA)") {
		t.Fatalf("%v\n%s", err, r)
	}
	if err := inf.Input.Upload(formulaImages(1, 128, 160)); err != nil {
		t.Fatal(err)
	}
	anchors := inf.Grid.Len()
	if anchors != want.Anchors {
		t.Fatalf("%d anchors, want %d", anchors, want.Anchors)
	}
	logits, deltas := make([]float32, anchors*classes), make([]float32, anchors*4)
	if err := inf.Run(logits, deltas); err != nil {
		t.Fatal(err)
	}
	var someLogits, someDeltas []float32
	for _, a := range want.At {
		someLogits = append(someLogits, logits[a*classes:][:5]...)
		someDeltas = append(someDeltas, deltas[a*4:][:4]...)
	}
	alike(t, "logits", someLogits, want.Logits)
	alike(t, "deltas", someDeltas, want.Deltas)

	// For other classes all but the classifier starts from the file; as a checkpoint to
	// be looked with it is refused.
	tuned, _ := releasedDetector(t, 3)
	if _, _, err := tuned.LoadCheckpoint(file); err == nil || !strings.Contains(err.Error(), "not the weights of this model") {
		t.Error(err)
	}
	if err := tuned.Store.Realize(); err != nil {
		t.Fatal(err)
	}
	r, notes, err := tuned.LoadPretrained(file)
	if err != nil || len(notes) > 0 {
		t.Fatal(err, notes)
	}
	text := r.String()
	for _, s := range []string{
		"names of: official MAN++ RetinaNet\n", "head.classification_head       8        0       0           2\n", "head.regression_head          10        0       0           0\n",
		"mismatched: head.classification_head.cls_logits.weight wants [27 256 3 3], file has [720 256 3 3], head.classification_head.cls_logits.bias wants [27], file has [720]\n",
		"not needed: 77 counters of batch norm, ",
	} {
		if !strings.Contains(text, s) {
			t.Errorf("no %q in\n%s", s, text)
		}
	}
}

// A file that holds too little of the backbone is an error unless the recipe asks for
// less; a backbone of other shapes always is one.
func TestPretrainedShare(t *testing.T) {
	var part []weights.Tensor
	model, _ := releasedDetector(t, 3)
	total, kept := 0, 0
	for _, w := range model.inference() {
		if !strings.HasPrefix(w.Name, detection.BodyPrefix) {
			continue
		}
		total += golden.Elements(w.Shape)
		if !strings.Contains(w.Name, "layer4") {
			kept += golden.Elements(w.Shape)
			part = append(part, w)
		}
	}
	file := filepath.Join(t.TempDir(), "part.pth")
	if err := torchfile.Write(file, torchfile.Fill(part), "", false); err != nil {
		t.Fatal(err)
	}
	share := fmt.Sprintf("the backbone's weights do not fit: %.1f %% of the model's elements loaded, 90.0 %% needed", 100*float64(kept)/float64(total))
	if _, _, err := model.LoadPretrained(file); err == nil || !strings.Contains(err.Error(), share) {
		t.Errorf("%v, want %s", err, share)
	}
	less, _ := releasedDetector(t, 3, "model.pretrained_share=0.3")
	if err := less.Store.Realize(); err != nil {
		t.Fatal(err)
	}
	if r, _, err := less.LoadPretrained(file); err != nil || len(r.Loaded) != len(part) {
		t.Error(err, r)
	}
}
