package train

import (
	"context"
	"errors"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"manvision/config"
	"manvision/data/labelmap"
	"manvision/internal/testdata"
	"manvision/report/progress"
	"manvision/weights"
)

const tinySegmentation = `
name: tiny
task: segmentation
model:
  backbone: resnet18
  width: 16
  segmentation: {output_stride: 16, aspp_channels: 16, aspp_rates: [1, 2, 3], dropout: 0.3, head_dropout: 0.2}
manpp: {strategy: manpp, partition: stages, local_channels: 8, recon_weight: 0.5, decoder_channels: 8}
data:
  format: shapes
  shapes: {train: 12, val: 4, size: 64, seed: 3}
  crop: [64, 64]
  scale: [0.75, 1.5]
  photometric: true
  workers: 2
optim: {lr: 0.01}
schedule: {name: poly, warmup_steps: 3}
train: {batch: 4, steps: 7, eval_every: 0, checkpoint_every: 0, log_every: 2}
threads: 2
`

// labelRecipe returns the tiny recipe of segmentation, its data in a folder shared by
// one test.
func labelRecipe(t *testing.T, root, out string, sets ...string) *config.Config {
	t.Helper()
	cfg, err := config.Parse(filepath.Join(root, "tiny.yaml"), []byte(tinySegmentation), append([]string{"data.root=" + filepath.Join(root, "shapes"), "output=" + out}, sets...))
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// ways are the ways to train that differ in what a checkpoint must hold.
var ways = [][]string{
	{"manpp.recon_weight=0.5", "train.accumulate=2"},
	{"manpp.strategy=e2e", "optim.clip_norm=0"},
	{"manpp.partition=cuts", "manpp.cuts=[layer3.0]", "optim.name=adamw", "optim.lr=0.001"},
}

// A run with dropout, random scale, crops and colours that was stopped in the middle
// of an epoch and resumed with another number of loader workers ends with the same
// bits as one that was not stopped; a second run from the start does, too.
func TestSegmentationResumeIsExact(t *testing.T) {
	root := t.TempDir()
	for _, sets := range ways {
		t.Run(sets[0], func(t *testing.T) {
			dir := t.TempDir()
			whole, err := Run(context.Background(), labelRecipe(t, root, filepath.Join(dir, "a"), sets...), Options{Open: openCPU})
			if err != nil {
				t.Fatal(err)
			}
			again, err := Run(context.Background(), labelRecipe(t, root, filepath.Join(dir, "c"), sets...), Options{Open: openCPU})
			if err != nil {
				t.Fatal(err)
			}
			same(t, whole.Checkpoint, again.Checkpoint)
			out := filepath.Join(dir, "b")
			part, err := Run(context.Background(), labelRecipe(t, root, out, sets...), Options{Open: openCPU, StopAfter: 5})
			if !errors.Is(err, ErrInterrupted) || part.Step != 5 {
				t.Fatalf("stopped run: %v", err)
			}
			rest, err := Run(context.Background(), labelRecipe(t, root, out, append(slices.Clone(sets), "data.workers=1")...), Options{Open: openCPU, Resume: true})
			if err != nil {
				t.Fatal(err)
			}
			same(t, whole.Checkpoint, rest.Checkpoint)
			if d := cmp.Diff(whole.Summary.Values(), rest.Summary.Values()); d != "" {
				t.Error(d)
			}
			if m, err := weights.LoadMeta(whole.Checkpoint); err != nil || m.Score == nil || *m.Score != whole.Summary.Values()["mIoU"] || m.Identity.Task != "segmentation" {
				t.Errorf("%+v, %v", m, err)
			}
		})
	}
}

// What a run allocates on the device is what was planned, evaluation of whole
// pictures included, within 5 %: the rest are labels and images to rebuild, which
// weigh more the narrower the network.
func TestSegmentationKeepsToThePlan(t *testing.T) {
	root := t.TempDir()
	for _, sets := range append(ways, []string{"manpp.recon_weight=0", "manpp.decoder_channels=0", "data.shapes.size=256", "eval.segmentation.mode=whole"}) {
		var l *Outline
		cfg := labelRecipe(t, root, filepath.Join(t.TempDir(), "run"), sets...)
		if cfg.Data.Shapes.Size != 64 {
			cfg.Data.Root = t.TempDir()
		}
		res, err := Run(context.Background(), cfg, Options{Open: openCPU,
			Begin: func(o *Outline) *progress.Progress { l = o; return nil }})
		if err != nil {
			t.Fatal(err)
		}
		if m := res.Memory; m.Allocated < m.Planned || float64(m.Allocated) > 1.05*float64(m.Planned) || l.Memory.Total() != m.Planned {
			t.Errorf("%v: planned %d, then %d, allocated %d", sets, l.Memory.Total(), m.Planned, m.Allocated)
		}
		if l.TrainImages != 12 || l.ValImages != 4 || l.Classes != 7 || l.Input != [3]int{4, 64, 64} {
			t.Errorf("outline %+v", l)
		}
	}
}

// A plan of segmentation allocates nothing; its blocks are dilated as the network is.
func TestSegmentationPlan(t *testing.T) {
	dev := onCPU(t, 2)
	p, err := Plan(labelRecipe(t, t.TempDir(), "run"), dev, 7, 2, 128, 128)
	if err != nil {
		t.Fatal(err)
	}
	if _, peak := dev.Allocated(); peak != 0 {
		t.Errorf("planning allocated %d bytes", peak)
	}
	if len(p.Recipe.Memory.Blocks) != 4 || len(p.EndToEnd.Memory.Blocks) != 1 || p.Recipe.Total <= 0 {
		t.Errorf("%+v", p)
	}
}

// A checkpoint brings recipe and classes; its predictions written as files and read
// again give the numbers of the training's own evaluation, to the bit.
func TestWrittenLabelsScoreAsEvaluated(t *testing.T) {
	root := t.TempDir()
	res, err := Run(context.Background(), labelRecipe(t, root, filepath.Join(root, "run"), "eval.segmentation={scales: [1, 1.5], flip: true}"), Options{Open: openCPU})
	if err != nil {
		t.Fatal(err)
	}
	cfg, classes, err := RecipeOf(res.Checkpoint)
	if err != nil {
		t.Fatal(err)
	}
	if classes.Len() != 7 || classes.Name(0) != "background" {
		t.Errorf("classes %v", classes)
	}
	dev := onCPU(t, 2)
	m, err := LoadModel(cfg, dev, classes, res.Checkpoint)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	src, err := OpenVal(context.Background(), cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	s, err := m.Predictor.Score(context.Background(), src, nil)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(res.Summary.Values(), s.Values()); d != "" {
		t.Error(d)
	}

	// The same through files: the paths alone, PNGs of output values.
	set := src.(*LabelSplit).Set()
	var paths []string
	for _, p := range set.Pairs {
		paths = append(paths, p.Image)
	}
	files, bad := OpenFiles(context.Background(), paths, make([]int64, len(paths)))
	if len(bad) > 0 {
		t.Fatal(bad)
	}
	images, labels := t.TempDir(), t.TempDir()
	outputs := m.Model.(*Segmenter).Labels.Outputs
	if err := m.Predictor.(*SegmentationPredictor).Segment(context.Background(), files, func(i int, v []uint8) error {
		p := set.Pairs[i]
		out := make([]uint8, len(v))
		for k, c := range v {
			out[k] = outputs[c]
		}
		return errors.Join(labelmap.WritePNG(filepath.Join(labels, p.Name+".png"), out, p.Width, p.Height),
			os.Symlink(p.Image, filepath.Join(images, filepath.Base(p.Image))))
	}); err != nil {
		t.Fatal(err)
	}
	written, err := labelmap.Folders(images, labels, set.Classes, -1)
	if err != nil {
		t.Fatal(err)
	}
	var right, all int
	for i := range written.Pairs {
		a, err := written.Read(i, nil)
		if err != nil {
			t.Fatal(err)
		}
		b, err := set.Read(i, nil)
		if err != nil {
			t.Fatal(err)
		}
		for k := range a {
			all++
			if a[k] == b[k] {
				right++
			}
		}
	}
	if got := float64(right) / float64(all); got != s.Values()["pixel_accuracy"] {
		t.Errorf("pixel accuracy %v from files, %v from the evaluation", got, s.Values()["pixel_accuracy"])
	}
}

// Faults of the data end a run before its first step and name the file.
func TestSegmentationRefuses(t *testing.T) {
	root := t.TempDir()
	out := func() string { return filepath.Join(t.TempDir(), "run") }
	if _, err := Run(context.Background(), labelRecipe(t, root, out(), "train.steps=4"), Options{Open: openCPU}); err != nil {
		t.Fatal(err)
	}
	shapes := filepath.Join(root, "shapes")
	folders := []string{"data.format=folders", "data.segmentation.classes=[a, b, c, d, e, f, g]",
		"data.train={images: train, annotations: labels/train}", "data.val={images: val, annotations: labels/val}"}
	for _, c := range []struct {
		name  string
		spoil func()
		sets  []string
		want  string
	}{
		{"a class too few", func() {}, []string{"data.segmentation.classes=[a, b, c, d, e, f]"}, "the value 6 "},
		{"value", func() { writeGrey(t, filepath.Join(shapes, "labels/train/000002.png"), 64, 64, 9) }, nil, "000002.png: the value 9 "},
		{"size", func() { writeGrey(t, filepath.Join(shapes, "labels/train/000002.png"), 32, 64, 1) }, nil, "000002.png: 32x64 pixels, but "},
		{"pair", func() { os.Remove(filepath.Join(shapes, "labels/train/000002.png")) }, nil, "000002.jpg: the image has no label file"},
		{"folder", func() {}, []string{"data.val={images: nowhere, annotations: labels/val}"}, "nowhere: no such file or directory"},
	} {
		c.spoil()
		_, err := Run(context.Background(), labelRecipe(t, root, out(), append(slices.Clone(folders), c.sets...)...), Options{Open: openCPU})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	empty := filepath.Join(root, "empty")
	if err := errors.Join(os.MkdirAll(filepath.Join(empty, "leftImg8bit/train"), 0o777), os.MkdirAll(filepath.Join(empty, "gtFine/train"), 0o777)); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Parse("x", []byte("task: segmentation\ndata: {format: cityscapes, root: "+empty+"}\noutput: "+out()), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Run(context.Background(), cfg, Options{Open: openCPU}); err == nil || !strings.Contains(err.Error(), empty) {
		t.Errorf("empty split: %v", err)
	}
}

func writeGrey(t *testing.T, path string, w, h int, v uint8) {
	t.Helper()
	img := image.NewGray(image.Rect(0, 0, w, h))
	for i := range img.Pix {
		img.Pix[i] = v
	}
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(png.Encode(f, img), f.Close()); err != nil {
		t.Fatal(err)
	}
}

// LB and EMA start from the pretrained unit that follows their block.
func TestSegmentationPretrained(t *testing.T) {
	root := t.TempDir()
	first, err := Run(context.Background(), labelRecipe(t, root, filepath.Join(root, "a")), Options{Open: openCPU})
	if err != nil {
		t.Fatal(err)
	}
	var said []string
	next, err := Run(context.Background(), labelRecipe(t, root, filepath.Join(root, "b"), "model.pretrained="+first.Checkpoint, "model.norm=frozen", "optim.lr=1e-9", "optim.weight_decay=0", "train.steps=4"),
		Options{Open: openCPU, Say: func(s string) { said = append(said, s) }})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(strings.Join(said, "\n"), first.Checkpoint) {
		t.Errorf("said %q", said)
	}
	a, err := weights.LoadParams(first.Checkpoint)
	if err != nil {
		t.Fatal(err)
	}
	b, err := weights.LoadParams(next.Checkpoint)
	if err != nil {
		t.Fatal(err)
	}
	tensors := func(list []weights.Tensor) map[string][]float32 {
		out := map[string][]float32{}
		for _, v := range list {
			out[v.Name] = v.Data
		}
		return out
	}
	before, after := tensors(a.Params), tensors(b.Params)
	near := func(x, y []float32) bool { // the rate is as good as zero
		if len(x) != len(y) || len(x) == 0 {
			return false
		}
		for i := range x {
			if d := x[i] - y[i]; d > 1e-6 || d < -1e-6 {
				return false
			}
		}
		return true
	}
	for _, name := range []string{"manpp.0.lb.conv1.weight", "manpp.0.ema.conv1.weight", "manpp.1.ema.conv2.weight"} {
		unit := map[byte]string{'0': "backbone.layer2.0.", '1': "backbone.layer3.0."}[name[6]] + name[strings.LastIndex(name, "conv"):]
		if !near(before[unit], after[name]) {
			t.Errorf("%s does not start from %s (%d and %d numbers)", name, unit, len(after[name]), len(before[unit]))
		}
	}
	// Frozen statistics of the backbone are those that were loaded.
	stats, loaded := tensors(b.Buffers), tensors(a.Buffers)
	if !equal(stats["backbone.bn1.running_mean"], loaded["backbone.bn1.running_mean"]) {
		t.Error("frozen statistics moved")
	}
}

// Five real frames: the shapes of the real data go through training and evaluation.
func TestCityscapesFrames(t *testing.T) {
	root := testdata.Shared(t, "cityscapes")
	cfg, err := config.Load(filepath.Join(testdata.Root(), "configs/segmentation/cityscapes6.yaml"), []string{"data.root=" + root, "output=" + filepath.Join(t.TempDir(), "run"),
		"model.width=16", "model.segmentation.aspp_channels=16", "train.steps=2", "schedule.warmup_steps=1", "train.batch=2", "data.crop=[128, 96]", "eval.segmentation.size=[256, 128]", "expect=[]", "threads=2"})
	if err != nil {
		t.Fatal(err)
	}
	res, err := Run(context.Background(), cfg, Options{Open: openCPU})
	if err != nil {
		t.Fatal(err)
	}
	if v := res.Summary.Values(); res.Summary.Images != 5 || v["pixel_accuracy"] < 0 || v["mIoU"] > 0.5 {
		t.Errorf("%+v", res.Summary)
	}
	_, classes, err := RecipeOf(res.Checkpoint)
	if err != nil {
		t.Fatal(err)
	}
	// Label ids of road, sidewalk, ... bicycle: cityscapesScripts' helpers/labels.py.
	want := []uint8{7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33}
	if d := cmp.Diff(want, classes.(*LabelClasses).Outputs); d != "" {
		t.Error(d)
	}
}
