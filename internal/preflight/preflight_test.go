package preflight

import (
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"manvision/config"
	"manvision/device"
	"manvision/device/cpu"
	"manvision/internal/doctor"
	"manvision/internal/finding"
)

func openCPU(threads int) (device.Device, error) { return cpu.New(cpu.Options{Threads: threads}) }

// picture writes a PNG of one grey value; labels are such, too.
func picture(t *testing.T, path string, w, h int, value uint8) {
	t.Helper()
	img := image.NewGray(image.Rect(0, 0, w, h))
	for i := range img.Pix {
		img.Pix[i] = value + uint8(i%2) // two classes
	}
	writePNG(t, path, img)
}

func writePNG(t *testing.T, path string, img image.Image) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := png.Encode(f, img); err != nil {
		t.Fatal(err)
	}
}

func file(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
}

// check looks at a run by a recipe on a machine with 4 cores and 8 GB.
func check(t *testing.T, recipe string, m *doctor.Machine, sets ...string) []finding.Finding {
	t.Helper()
	dir := t.TempDir()
	file(t, filepath.Join(dir, "recipe.yaml"), recipe)
	cfg, err := config.Load(filepath.Join(dir, "recipe.yaml"), append([]string{"output=" + filepath.Join(dir, "run")}, sets...))
	if err != nil {
		t.Fatal(err)
	}
	if m == nil {
		m = &doctor.Machine{Cores: 4, Available: 8e9, Flags: []string{"avx2", "fma", "avx512f", "avx512_bf16"}}
	}
	found, err := Check(context.Background(), cfg, Options{Machine: m, Open: openCPU})
	if err != nil {
		t.Fatal(err)
	}
	for i, f := range found {
		if f.Fix == "" && f.Severity != finding.Note {
			t.Errorf("no fix for %+v", f)
		}
		if i > 0 && f.Severity == finding.Error && found[i-1].Severity != finding.Error {
			t.Errorf("errors do not come first: %+v", f)
		}
	}
	return found
}

// want compares findings with lines "severity area: kind: count" by their beginnings;
// no other errors may be there.
func want(t *testing.T, found []finding.Finding, lines ...string) {
	t.Helper()
	var have []string
	for _, f := range found {
		have = append(have, fmt.Sprintf("%s %s: %s: %d", f.Severity, f.Area, f.Kind, f.Count))
	}
	for _, line := range lines {
		ok := false
		for i, h := range have {
			if strings.HasPrefix(h, line) {
				ok, have[i] = true, ""
			}
		}
		if !ok {
			t.Errorf("missing: %s", line)
		}
	}
	for i, h := range have {
		if strings.HasPrefix(h, "error") {
			t.Errorf("unexpected: %s %v", h, found[i].Examples)
		}
	}
	if t.Failed() {
		t.Log(strings.Join(have, "\n"))
	}
}

const folders = `
task: segmentation
model: {backbone: resnet18, width: 8, segmentation: {head: fcn, aux_weight: 0}}
manpp: {strategy: e2e}
data:
  format: folders
  root: %s
  train: {images: train, annotations: masks/train}
  val: {images: val, annotations: masks/val}
  segmentation: {classes: [soil, crop, weed]}
  crop: [64, 64]
optim: {lr: 0.01}
schedule: {name: poly}
train: {batch: 2, steps: 10}
threads: 2
`

// Label ids where training ids are meant, RGB labels, missing and wrongly sized files:
// all in one pass.
func TestBrokenLabelMaps(t *testing.T) {
	root := t.TempDir()
	at := func(parts ...string) string { return filepath.Join(append([]string{root}, parts...)...) }
	for _, part := range []string{"train", "val"} {
		for i := range 6 {
			picture(t, at(part, fmt.Sprintf("%d.png", i)), 64, 64, 90)
			picture(t, at("masks", part, fmt.Sprintf("%d.png", i)), 64, 64, uint8(i%2))
		}
	}
	recipe := fmt.Sprintf(folders, root)
	want(t, check(t, recipe, nil), "note memory: a training step of 2 images of 64x64")

	picture(t, at("masks/train/0.png"), 64, 64, 23) // label ids of CityScapes
	picture(t, at("masks/train/1.png"), 64, 32, 0)
	rgb := image.NewRGBA(image.Rect(0, 0, 64, 64))
	rgb.Set(1, 1, color.RGBA{1, 2, 3, 255})
	writePNG(t, at("masks/train/2.png"), rgb)
	file(t, at("masks/train/3.png"), "no PNG")
	os.Remove(at("masks/train/4.png"))
	picture(t, at("masks/train/extra.png"), 64, 64, 0)
	file(t, at("train/5.png"), "no image")
	os.Remove(at("val/0.png"))
	want(t, check(t, recipe, nil),
		"error training data: value that is not allowed: 1",
		"error training data: image and label of different sizes: 1",
		"error training data: label file of another format: 1",
		"error training data: broken file:",
		"error training data: image without label: 1",
		"error training data: label without image: 1",
		"error validation data: label without image: 1",
	)
}

const classed = `
task: classification
model: {backbone: cifar_resnet20, pretrained: %q}
manpp: {strategy: e2e}
data:
  format: folders
  root: %s
  train: {images: train}
  val: {images: val}
  classification: {size: [32, 32], resize: 32}
optim: {lr: 0.1}
schedule: {name: cosine}
train: {batch: 2, steps: 0, epochs: 1}
threads: 2
`

func TestBrokenClassFolders(t *testing.T) {
	root := t.TempDir()
	for i, path := range []string{"train/cat/1.png", "train/cat/2.png", "train/dog/3.png", "val/cat/4.png", "val/bird/5.png"} {
		picture(t, filepath.Join(root, path), 32, 32, uint8(10*i))
	}
	picture(t, filepath.Join(root, "train/dog/1.png"), 32, 32, 0) // as cat/1.png
	file(t, filepath.Join(root, "train/dog/broken.png"), "no image")
	file(t, filepath.Join(root, "train/dog/notes.txt"), "text")
	if err := os.MkdirAll(filepath.Join(root, "train/fish"), 0o777); err != nil {
		t.Fatal(err)
	}
	file(t, filepath.Join(root, "weights.pth"), "no weights")
	found := check(t, fmt.Sprintf(classed, filepath.Join(root, "weights.pth"), root), nil)
	want(t, found,
		"error training data: broken image: 1",
		"error training data: class without images: 1",
		"warning training data: same image in two classes: 1",
		"warning training data: file that is no image by its name, left out: 1",
		"error validation data: bad class names: 1",
		"error validation data: folder that is no class: 1",
		"error weights: ",
	)
}

const boxes = `
model: {backbone: resnet18, width: 8, fpn_channels: 8, head_convs: 1}
manpp: {strategy: e2e}
data:
  format: coco
  root: %s
  train: {images: train, annotations: train.json}
  val: {images: train, annotations: val.json}
  fixed_size: [64, 64]
optim: {lr: 0.01}
schedule: {name: cosine}
train: {batch: 4, steps: 10}
threads: 2
`

// What spoils a whole file is a finding, and the rest is looked at all the same.
func TestAnnotationFilesOfNoUse(t *testing.T) {
	root := t.TempDir()
	picture(t, filepath.Join(root, "train/1.png"), 64, 64, 0)
	const good = `{"images": [{"id": 1, "file_name": "1.png", "width": 64, "height": 64}],
"categories": [{"id": 1, "name": "a"}], "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 20, 30], "area": 600, "iscrowd": 0}]}`
	recipe := fmt.Sprintf(boxes, root)
	file(t, filepath.Join(root, "train.json"), good)
	file(t, filepath.Join(root, "val.json"), good)
	want(t, check(t, recipe, nil), "warning data: 1 of 1 validation images are trained on", "warning recipe: a step of 4 images is larger than the data set of 1", "note memory")
	file(t, filepath.Join(root, "val.json"), strings.Replace(good, `"name": "a"`, `"name": "b"`, 1))
	want(t, check(t, recipe, nil), "error data: training and validation data have different categories")

	file(t, filepath.Join(root, "train.json"), good[:100])
	os.Remove(filepath.Join(root, "val.json"))
	want(t, check(t, recipe, nil, "data.val.images=nowhere", "model.pretrained=none.pth"),
		"error training data: annotation file that cannot be used: 1",
		"error data: "+"--set data.val.images=nowhere: data.val.images: ",
		"error data: ", // val.json
		"error weights: ",
		"note memory: ",
	)
}

// Too little memory, too few cores and a rate for another batch.
func TestMachineAgainstRecipe(t *testing.T) {
	root := t.TempDir()
	small := &doctor.Machine{Cores: 1, Memory: 64e9, Available: 32e9, GroupLimit: 100e6, GroupInUse: 99e6, Flags: []string{"avx2", "fma", "avx512f", "avx512_bf16"}}
	found := check(t, fmt.Sprintf(boxes, filepath.Join(root, "none")), small, "train.batch=1", "optim.name=adamw")
	want(t, found,
		"error data: ",
		"error memory: a training step of 1 images of 64x64",
		"warning memory: 1.00 MB are free",
		"warning cores: threads is 2 ",
		"warning recipe: optim.lr 0.01 was written for 4 images a step",
		"warning recipe: optim.lr 0.01 was written for sgd",
		"warning recipe: batch norms take their statistics from 1 images",
	)
}

func TestRecipeFaultsAreFindings(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.yaml")
	file(t, path, "model: {backbon: resnet18}\ntrain: {batch: many}\noptim: {lr: fast}\n")
	_, err := config.Load(path, nil)
	if found := Recipe(err); len(found) != 3 || !strings.Contains(found[0].Kind, "did you mean") || found[2].Severity != finding.Error {
		t.Errorf("%+v", found)
	}
}

func TestCancelled(t *testing.T) {
	root := t.TempDir()
	picture(t, filepath.Join(root, "train/cat/1.png"), 32, 32, 0)
	picture(t, filepath.Join(root, "val/cat/1.png"), 32, 32, 0)
	cfg, err := config.Parse("r", []byte(fmt.Sprintf(classed, "", root)), nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Check(ctx, cfg, Options{Machine: &doctor.Machine{}, Open: openCPU}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
