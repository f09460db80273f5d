package train

import (
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"manvision/backbone"
	"manvision/config"
	"manvision/internal/testdata"
	"manvision/manpp"
	"manvision/report/progress"
	"manvision/weights"
)

const tinyClassification = `
name: tiny
task: classification
model: {backbone: cifar_resnet20, width: 4, classification: {label_smoothing: 0.1}}
manpp: {strategy: manpp, partition: stages, stem: true, classification: {feature_dim: 8}}
data: {format: cifar10, val: {split: test}, workers: 2}
optim: {lr: 0.02, nesterov: true, clip_norm: 0}
schedule: {name: cosine, warmup_steps: 2}
train: {batch: 8, steps: 7, epochs: 0, eval_every: 0, checkpoint_every: 0, log_every: 2}
eval: {batch: 4}
threads: 2
`

// cifarFiles writes parts of CIFAR-10's binary files: 20 training and 10 test images
// whose colour tells their class.
func cifarFiles(t *testing.T, root string) {
	t.Helper()
	write := func(name string, n int) {
		var b []byte
		for i := range n {
			class := byte(i % 10)
			b = append(b, class)
			for k := range 3072 {
				b = append(b, byte(k*(i+3)%13)+class*20)
			}
		}
		if err := os.WriteFile(filepath.Join(root, name), b, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	write("data_batch_1.part.bin", 20)
	write("test_batch.part.bin", 10)
}

// classRecipe returns the tiny recipe of classification on images in root.
func classRecipe(t *testing.T, root, out string, sets ...string) *config.Config {
	t.Helper()
	cfg, err := config.Parse(filepath.Join(root, "tiny.yaml"), []byte(tinyClassification), append([]string{"data.root=" + root, "output=" + out}, sets...))
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// classWays are the ways to train a classifier that differ in what a checkpoint must
// hold.
var classWays = [][]string{
	{"manpp.strategy=manpp"},
	{"manpp.strategy=manpp", "manpp.quirks=released", "manpp.partition=every-unit", "manpp.classification={head: 2c2f, task_weights: [0.5, 0], recon_weights: [5, 0], feature_dim: 8}"},
	{"manpp.strategy=e2e", "optim.clip_norm=1"},
	{"manpp.strategy=man", "manpp.stem=false", "optim.name=adamw", "optim.lr=0.001"},
	{"manpp.strategy=dgl"},
	{"manpp.strategy=infopro", "manpp.partition=every-unit", "manpp.classification.recon_weights=[1, 0.5]"},
	{"manpp.strategy=predsim"},
	{"manpp.strategy=greedy"},
	{"manpp.strategy=manpp", "train.mixup=0.4", "train.weight_ema=0.9"},
	{"manpp.strategy=infopro", "train.mixup=1", "manpp.classification.recon_weights=[1, 0.5]"},
	{"manpp.strategy=mlaan", "manpp.partition=every-unit"},
	{"manpp.strategy=auglocal", "manpp.classification.depth=1"},
	{"manpp.strategy=manpp", "train.accumulate=3", "train.mixup=0.4", "train.weight_ema=0.9", "optim.clip_norm=1"},
	{"manpp.strategy=mlaan", "train.accumulate=2", "train.batch=4"},
	{"manpp.strategy=infopro", "manpp.classification={contrast: true, feature_dim: 8}", "model.classification.label_smoothing=0"},
}

// A run with random windows and mirrors that was stopped in the middle of an epoch and
// resumed with another number of loader workers ends with the same bits as one that
// was not stopped, whatever the strategy.
func TestClassificationResumeIsExact(t *testing.T) {
	root := t.TempDir()
	cifarFiles(t, root)
	for _, sets := range classWays {
		t.Run(strings.Join(sets, " "), func(t *testing.T) {
			dir := t.TempDir()
			whole, err := Run(context.Background(), classRecipe(t, root, filepath.Join(dir, "a"), sets...), Options{Open: openCPU})
			if err != nil {
				t.Fatal(err)
			}
			out := filepath.Join(dir, "b")
			part, err := Run(context.Background(), classRecipe(t, root, out, sets...), Options{Open: openCPU, StopAfter: 4})
			if !errors.Is(err, ErrInterrupted) || part.Step != 4 {
				t.Fatalf("stopped run: %v", err)
			}
			rest, err := Run(context.Background(), classRecipe(t, root, out, append(slices.Clone(sets), "data.workers=1")...), Options{Open: openCPU, Resume: true})
			if err != nil {
				t.Fatal(err)
			}
			same(t, whole.Checkpoint, rest.Checkpoint)
			if d := cmp.Diff(whole.Summary.Values(), rest.Summary.Values()); d != "" {
				t.Error(d)
			}
			if m, err := weights.LoadMeta(whole.Checkpoint); err != nil || m.Score == nil || *m.Score != whole.Summary.Values()["top1"] || m.Identity.Task != "classification" {
				t.Errorf("%+v, %v", m, err)
			}
		})
	}
}

// A checkpoint brings recipe and classes, and scores as the training's own evaluation
// did, in batches of any size.
func TestClassifierScoresAsEvaluated(t *testing.T) {
	root := t.TempDir()
	cifarFiles(t, root)
	res, err := Run(context.Background(), classRecipe(t, root, filepath.Join(root, "run")), Options{Open: openCPU})
	if err != nil {
		t.Fatal(err)
	}
	cfg, names, err := RecipeOf(res.Checkpoint, "eval.batch=3")
	if err != nil {
		t.Fatal(err)
	}
	if names.Len() != 10 || names.Name(3) != "cat" || res.Summary.Images != 10 || res.Summary.Rank != "top1" {
		t.Errorf("classes %v, %+v", names, res.Summary)
	}
	dev := onCPU(t, 2)
	src, err := OpenVal(context.Background(), cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	m, err := LoadModel(cfg, dev, src.Classes(), res.Checkpoint)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	s, err := m.Predictor.Score(context.Background(), src, nil)
	if err != nil {
		t.Fatal(err)
	}
	a, b := res.Summary.Values(), s.Values()
	if a["top1"] != b["top1"] || a["top5"] != b["top5"] || s.Images != 10 {
		t.Errorf("%v, then %v", a, b)
	}
	if _, err := LoadModel(cfg, dev, &ClassNames{make([]string, 10)}, res.Checkpoint); err == nil || !strings.Contains(err.Error(), `label 0: "airplane" against ""`) {
		t.Errorf("other classes: %v", err)
	}
}

// What a run allocates on the device is what was planned within 5 %: the rest are
// labels and images to rebuild, which weigh more the narrower the network.
func TestClassificationKeepsToThePlan(t *testing.T) {
	root := t.TempDir()
	cifarFiles(t, root)
	for _, sets := range classWays[:4] {
		var l *Outline
		cfg := classRecipe(t, root, filepath.Join(t.TempDir(), "run"), append(slices.Clone(sets), "model.width=16")...)
		res, err := Run(context.Background(), cfg, Options{Open: openCPU, Begin: func(o *Outline) *progress.Progress { l = o; return nil }})
		if err != nil {
			t.Fatal(err)
		}
		if m := res.Memory; m.Allocated < m.Planned || float64(m.Allocated) > 1.05*float64(m.Planned) || l.Memory.Total() != m.Planned {
			t.Errorf("%v: planned %d, then %d, allocated %d", sets, l.Memory.Total(), m.Planned, m.Allocated)
		}
		if l.TrainImages != 20 || l.ValImages != 10 || l.Classes != 10 || l.Input != [3]int{8, 32, 32} || l.StepsPerEpoch != 3 {
			t.Errorf("outline %+v", l)
		}
	}
}

// Class folders of pictures of any size: random parts in training, the middle in
// evaluation; a class that validation lacks shifts no other.
func TestClassFolders(t *testing.T) {
	root := t.TempDir()
	for i, name := range []string{"train/a/1.png", "train/a/2.png", "train/b/1.png", "train/b/2.png", "train/c/1.png", "val/c/1.png", "val/a/1.png"} {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		img := image.NewNRGBA(image.Rect(0, 0, 40+7*i, 90-5*i))
		for k := range img.Pix {
			img.Pix[k] = uint8(k * (i + 2))
		}
		img.SetNRGBA(0, 0, color.NRGBA{A: 255})
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(png.Encode(f, img), f.Close()); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(root, "val/b"), 0o777); err != nil {
		t.Fatal(err)
	}
	for _, format := range [][]string{
		{"data.format=folders", "data.train={images: train}", "data.val={images: val, split: val}"},
		{"data.format=imagenet", "data.val.split=val"},
	} {
		cfg := classRecipe(t, root, filepath.Join(t.TempDir(), "run"), append(format, "data.classification={size: [64, 32], resize: 48}", "train.batch=5", "model.backbone=resnet18", "model.width=8", "manpp.stem=false")...)
		res, err := Run(context.Background(), cfg, Options{Open: openCPU})
		if err != nil {
			t.Fatal(err)
		}
		_, names, err := RecipeOf(res.Checkpoint)
		if err != nil || names.Len() != 3 || names.Name(2) != "c" || res.Summary.Images != 2 {
			t.Errorf("%v: %v, %v, %+v", format, names, err, res.Summary)
		}
		if n, err := (classificationTask{}).CountClasses(cfg); n != 3 || err != nil {
			t.Errorf("%d classes counted, %v", n, err)
		}
	}
}

// ImageNet's validation images in one folder have the classes that the recipe's files
// give them; keys that explain nothing, and files that are not there, are errors.
func TestFlatValidation(t *testing.T) {
	root := t.TempDir()
	for name, text := range map[string]string{
		"train/n01/a.JPEG": "", "train/n02/b.JPEG": "", "val/ILSVRC2012_val_1.JPEG": "", "val/ILSVRC2012_val_2.JPEG": "",
		"truth.txt": "2\n1\n", "map_clsloc.txt": "n02 1 b\nn01 2 a\n", "names.txt": "n01 one\nn02 two\n",
	} {
		path := filepath.Join(root, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o777), os.WriteFile(path, []byte(text), 0o666)); err != nil {
			t.Fatal(err)
		}
	}
	keys := func(text string) []string {
		return []string{"model.backbone=resnet18", "data.format=imagenet", "data.val.split=val", "manpp.stem=false", "manpp.classification={}", "data.classification=" + text}
	}
	cfg := classRecipe(t, root, "out", keys("{ground_truth: truth.txt, ids: map_clsloc.txt, names: names.txt}")...)
	if err := cfg.CheckPaths(); err != nil {
		t.Error(err)
	}
	split, err := classificationTask{}.Open(cfg, true)
	if err != nil {
		t.Fatal(err)
	}
	if set := split.(*ClassSplit).Set(); !slices.Equal(set.Classes, []int32{0, 1}) || !slices.Equal(set.Names, []string{"one", "two"}) {
		t.Errorf("classes %v of %v", set.Classes, set.Names)
	}
	if split, err = (classificationTask{}).Open(cfg, false); err != nil || split.Len() != 2 {
		t.Errorf("training: %v", err)
	}
	if err := classRecipe(t, root, "out", keys("{ground_truth: nowhere.txt}")...).CheckPaths(); err == nil || !strings.Contains(err.Error(), "data.classification.ground_truth: "+root+"/nowhere.txt: no such file") {
		t.Error(err)
	}
	for _, sets := range [][]string{keys("{ids: map_clsloc.txt}"), {"data.classification.ground_truth=truth.txt"}} {
		if _, err := config.Parse(filepath.Join(root, "tiny.yaml"), []byte(tinyClassification), sets); err == nil || !strings.Contains(err.Error(), "data.classification.") {
			t.Errorf("%v: %v", sets, err)
		}
	}
}

// Faults of the data end a run before its first step.
func TestClassificationRefuses(t *testing.T) {
	root := t.TempDir()
	cifarFiles(t, root)
	for _, c := range []struct {
		sets []string
		want string
	}{
		{[]string{"data.format=cifar100"}, "classes; data.format cifar100 has 100"},
		{[]string{"data.format=svhn"}, "train_32x32.mat"},
		{[]string{"data.root=" + root + "/nowhere"}, "nowhere: no such file or directory"},
		{[]string{"manpp.classification.task_weights=[1, 0]"}, "has no local loss"},
		{[]string{"manpp.partition=published", "manpp.blocks=16"}, "no published cuts"},
	} {
		if _, err := Run(context.Background(), classRecipe(t, root, filepath.Join(t.TempDir(), "run"), c.sets...), Options{Open: openCPU}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: %v", c.sets, err)
		}
	}
}

// The schema names all backbones and strategies that there are, and these have the
// published widths.
func TestSchemaKnowsAll(t *testing.T) {
	for _, name := range slices.Concat(backbone.Names(), backbone.CIFARNames(), backbone.ViTNames()) {
		cfg, err := config.Parse("x", []byte("task: classification\ndata: {format: imagenet}\nmanpp: {strategy: e2e}\nmodel: {backbone: "+name+"}"), nil)
		if err != nil {
			t.Error(err)
			continue
		}
		if body, err := newBackbone(cfg); err != nil || Width(cfg) != backbone.PublishedWidth(name) || body.Name != name {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, s := range manpp.Strategies() {
		if _, err := config.Parse("x", fmt.Appendf(nil, "task: classification\ndata: {format: imagenet}\nmanpp: {strategy: %s}", s.Name), nil); err != nil {
			t.Error(err)
		}
	}
}

// A published ResNet-20 loads as pretrained, head and all, and still has its 915 of
// the first 1,000 test images right (the data's README) after steps of no length.
func TestPretrainedClassifier(t *testing.T) {
	root := testdata.Shared(t, "cifar10")
	file := testdata.Shared(t, "cifar10-resnet20/resnet20-12fca82f.th")
	cfg := classRecipe(t, root, filepath.Join(t.TempDir(), "run"), "model.backbone=cifar_resnet20_a", "model.width=0", "model.pretrained="+file, "model.norm=frozen",
		"data.classification.normalize=imagenet", "optim.lr=1e-12", "optim.weight_decay=0", "train.steps=3", "eval.batch=100")
	var said []string
	res, err := Run(context.Background(), cfg, Options{Open: openCPU, Say: func(s string) { said = append(said, s) }})
	if err != nil {
		t.Fatal(err)
	}
	if v := res.Summary.Values(); v["top1"] != 0.915 || res.Summary.Images != 1000 {
		t.Errorf("%v\n%s", v, strings.Join(said, "\n"))
	}
}
