package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image"
	"image/png"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"manvision/arch"
	"manvision/device/cpu"
	"manvision/internal/cli"
	"manvision/internal/testdata"
	"manvision/internal/torchfile"
	"manvision/train"
)

// evaluated runs 'eval --arch' and returns its numbers.
func evaluated(t *testing.T, args ...string) map[string]any {
	t.Helper()
	var out, errs bytes.Buffer
	s := &cli.Streams{Out: &out, Err: &errs}
	if rc := cli.Execute(newRoot(s), s, append(args, "--json", "-", "--set", "threads=2")); rc != cli.OK {
		t.Fatalf("exit %d: %s", rc, errs.String())
	}
	if text := errs.String(); !strings.Contains(text, "names of: torchvision") || !strings.Contains(text, "(100.0 % of the elements)") {
		t.Error(text)
	}
	var numbers map[string]any
	if err := json.Unmarshal(out.Bytes(), &numbers); err != nil {
		t.Fatal(err)
	}
	return numbers
}

// A picture in the folder of its second most probable class, among ImageNet's thousand:
// the cross-entropy is that of torchvision on the same picture.
func TestArchClasses(t *testing.T) {
	root := t.TempDir()
	for i := range 1000 {
		if err := os.MkdirAll(filepath.Join(root, "val", fmt.Sprintf("n%08d", i)), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(t.TempDir(), "x.png")
	want := torchfile.ReadPicture(t, "resnet50", file)
	if err := os.Rename(file, filepath.Join(root, "val", fmt.Sprintf("n%08d", want.Classes[1]), "x.png")); err != nil {
		t.Fatal(err)
	}
	got := evaluated(t, "--arch", "resnet50", "--checkpoint", torchfile.Torchvision(t, "resnet50", want.Gains), "--set", "data.root="+root)
	if got["top1"] != 0.0 || got["top5"] != 1.0 || math.Abs(got["cross_entropy"].(float64)-want.CrossEntropy) > 1e-4*want.CrossEntropy {
		t.Errorf("%v, want cross-entropy %v", got, want.CrossEntropy)
	}
}

// picture is a file of the real pictures, in a folder of its own.
func picture(t *testing.T) (folder, name string, w, h int) {
	t.Helper()
	from := testdata.Shared(t, "coco/train2017")
	list, err := os.ReadDir(from)
	if err != nil {
		t.Fatal(err)
	}
	name, folder = list[0].Name(), t.TempDir()
	if err := os.Mkdir(filepath.Join(folder, "val"), 0o777); err != nil {
		t.Fatal(err)
	}
	b, err := fs.ReadFile(os.DirFS(from), name)
	if err == nil {
		err = os.WriteFile(filepath.Join(folder, "val", name), b, 0o666)
	}
	if err != nil {
		t.Fatal(err)
	}
	c, _, err := image.DecodeConfig(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	return folder, name, c.Width, c.Height
}

// The detector's own best box as the only object: it is found first, so that AP is 1.
func TestArchBoxes(t *testing.T) {
	root, name, w, h := picture(t)
	a, err := arch.Find("retinanet_resnet50_fpn")
	if err != nil {
		t.Fatal(err)
	}
	file := torchfile.Torchvision(t, a.Name, map[string]float32{"head.classification_head.cls_logits.weight": 1e-3, "head.regression_head.bbox_reg.weight": 1e-5})
	instances := filepath.Join(root, "instances.json")
	truth := func(annotations string) {
		var categories []string
		for id, class := range a.Classes() {
			if class != "N/A" && class != "__background__" {
				categories = append(categories, fmt.Sprintf(`{"id": %d, "name": %q}`, id, class))
			}
		}
		text := fmt.Sprintf(`{"images": [{"id": 7, "file_name": %q, "width": %d, "height": %d}], "categories": [%s], "annotations": [%s]}`,
			name, w, h, strings.Join(categories, ","), annotations)
		if err := os.WriteFile(instances, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	args := []string{"--arch", a.Name, "--checkpoint", file, "--set", "data.root=" + root, "--set", "data.val.images=val", "--set", "data.val.annotations=instances.json"}
	results := filepath.Join(root, "results.json")
	truth("")
	evaluated(t, append(args, "--results", results)...)
	b, err := os.ReadFile(results)
	var found []struct {
		Image    int        `json:"image_id"`
		Category int        `json:"category_id"`
		Box      [4]float64 `json:"bbox"`
		Score    float64
	}
	if err == nil {
		err = json.Unmarshal(b, &found)
	}
	if err != nil || len(found) == 0 || found[0].Image != 7 {
		t.Fatal(err, len(found))
	}
	best := found[0]
	for _, f := range found {
		if f.Score > best.Score {
			best = f
		}
	}
	box := best.Box
	truth(fmt.Sprintf(`{"id": 1, "image_id": 7, "category_id": %d, "bbox": [%v, %v, %v, %v], "area": %v, "iscrowd": 0}`,
		best.Category, box[0], box[1], box[2], box[3], box[2]*box[3]))
	got := evaluated(t, args...)
	if ap, ok := got["AP"].(float64); !ok || math.Abs(ap-1) > 1e-9 || got["AR1"] != 1.0 {
		t.Errorf("AP %v, AR1 %v of %+v", got["AP"], got["AR1"], best)
	}
}

// The network's own label map as the truth: every pixel is right.
func TestArchLabels(t *testing.T) {
	root, name, w, h := picture(t)
	a, err := arch.Find("deeplabv3_resnet50")
	if err != nil {
		t.Fatal(err)
	}
	file := torchfile.Torchvision(t, a.Name, nil)
	dev, err := cpu.New(cpu.Options{Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	net, _, err := a.LoadSegmenter(dev, file)
	if err != nil {
		t.Fatal(err)
	}
	defer net.Close()
	src, bad := train.OpenFiles(t.Context(), []string{filepath.Join(root, "val", name)}, []int64{0})
	if len(bad) > 0 {
		t.Fatal(bad)
	}
	img, wrong := image.NewGray(image.Rect(0, 0, w, h)), 0
	if err := net.Segment(t.Context(), src, func(_ int, labels []uint8) error {
		copy(img.Pix, labels)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(img.Pix); i += 10 { // one in ten is another class's
		img.Pix[i] = (img.Pix[i] + 1) % 21
		wrong++
	}
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(root, "labels"), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "labels", strings.TrimSuffix(name, filepath.Ext(name))+".png"), b.Bytes(), 0o666); err != nil {
		t.Fatal(err)
	}
	got := evaluated(t, "--arch", a.Name, "--checkpoint", file, "--set", "data.root="+root, "--set", "data.val.images=val", "--set", "data.val.annotations=labels")
	want := 1 - float64(wrong)/float64(w*h)
	if v, ok := got["pixel_accuracy"].(float64); !ok || math.Abs(v-want) > 1e-12 {
		t.Errorf("pixel accuracy %v, want %v", got["pixel_accuracy"], want)
	}
}
