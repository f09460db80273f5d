package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"manvision/internal/testdata"
)

// write makes files below a new folder and changes into it.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
	return dir
}

func TestEveryRecipeLoads(t *testing.T) {
	n := 0
	err := filepath.WalkDir(filepath.Join(testdata.Root(), "configs"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".yaml" {
			return err
		}
		n++
		t.Run(d.Name(), func(t *testing.T) {
			c, err := Load(path, nil)
			if err != nil {
				t.Fatal(err)
			}
			text, _ := os.ReadFile(path)
			for _, word := range []string{"bin/train --config configs/" + filepath.Base(filepath.Dir(path)) + "/" + d.Name(), "Time", "emory", "Expected"} {
				if !strings.Contains(string(text), word) {
					t.Errorf("header without %q", word)
				}
			}
			if want := strings.TrimSuffix(d.Name(), ".yaml"); c.Name != want || filepath.Base(c.Output) != want {
				t.Errorf("name %q, output %q, file %q", c.Name, c.Output, want)
			}
			if c.Data.Root == "" {
				t.Error("no data.root")
			}
			if _, err := c.Hyper(); err != nil {
				t.Error(err)
			}
			if _, err := c.Rules(); err != nil {
				t.Error(err)
			}
			if _, err := c.LRSchedule(c.Train.TotalSteps(100)); err != nil {
				t.Error(err)
			}
			again, err := Parse("resolved", c.Resolved(), nil)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c, again, equal); d != "" {
				t.Error(d)
			}
		})
		return nil
	})
	if err != nil || n < 10 {
		t.Fatalf("%d recipes, %v", n, err)
	}
}

func TestPublishedSchedule(t *testing.T) {
	// METHOD §2: SGD 0.9, wd 1e-4, lr 0.01, batch 16, 90k, x0.1 at 60k and 80k,
	// no warm-up, clip 1.0, short 600, long 1000; baseline end to end.
	for _, name := range []string{"r50_manpp_k4", "r101_manpp_k4", "r152_manpp_k4", "r50_bp", "r101_bp", "r152_bp"} {
		c, err := Load(filepath.Join(testdata.Root(), "configs/detection/retinanet_"+name+".yaml"), nil)
		if err != nil {
			t.Fatal(err)
		}
		depth, _, _ := strings.Cut(strings.TrimPrefix(name, "r"), "_")
		strategy := "manpp"
		if strings.HasSuffix(name, "_bp") {
			strategy = "e2e"
		}
		got := []any{c.Model.Backbone, c.MANPP.Strategy, c.Optim.Name, c.Optim.Momentum, c.Optim.Nesterov, c.Optim.WeightDecay, c.Optim.LR, c.Optim.ClipNorm,
			c.Train.Batch, c.Train.Steps, c.Schedule.Name, c.Schedule.Milestones, c.Schedule.Gamma, c.Schedule.WarmupSteps, c.Data.ShortSide, c.Data.LongSide, c.MANPP.EMAMomentum}
		want := []any{"resnet" + depth, strategy, "sgd", 0.9, false, 1e-4, 0.01, 1.0, 16, 90000, "multistep", []int{60000, 80000}, 0.1, 0, 600, 1000, 0.995}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}

func TestLayers(t *testing.T) {
	dir := write(t, map[string]string{
		"base/common.yaml": "optim: {lr: 0.5, groups: [{match: a*, frozen: true}, {match: b*, lr_scale: 2}]}\nschedule:\n  milestones: [1, 2, 3]\ndata: {root: images}\noutput: out\n",
		"demo.yaml":        "base: base/common.yaml\nname: demo\nschedule:\n  milestones: [7]\noptim:\n  momentum: 0.5\n  groups:\n    - match: c*\n      weight_decay: 0\n",
	})
	c, err := Load("demo.yaml", []string{"train.batch=4", "model.pretrained=w.safetensors", "eval={batch: 2, nms_iou: 0.6}", "model.anchors.ratios=[1]"})
	if err != nil {
		t.Fatal(err)
	}
	if c.Optim.LR != 0.5 || c.Optim.Momentum != 0.5 || c.Train.Batch != 4 || c.Eval.Batch != 2 || c.Eval.NMSIoU != 0.6 || c.Eval.PreNMS != 1000 {
		t.Errorf("%+v", c)
	}
	zero := 0.0
	if d := cmp.Diff([]Group{{Match: "c*", WeightDecay: &zero}}, c.Optim.Groups); d != "" {
		t.Error("lists replace: " + d)
	}
	if d := cmp.Diff([]int{7}, c.Schedule.Milestones); d != "" {
		t.Error(d)
	}
	// Paths: relative to the file that states them; from a flag, to the current folder.
	dir, _ = filepath.EvalSymlinks(dir)
	for _, p := range [][2]string{{c.Data.Root, "base/images"}, {c.Output, "base/out"}, {c.Model.Pretrained, "w.safetensors"}, {c.Data.Path("x/y"), "base/images/x/y"}} {
		if got, _ := filepath.Rel(dir, p[0]); got != p[1] {
			t.Errorf("path %s, want %s", p[0], p[1])
		}
	}
	if c.Data.Path("/abs") != "/abs" {
		t.Error("absolute path is not kept")
	}
	for key, want := range map[string]string{
		"optim.lr": "base/common.yaml:1", "optim.momentum": "demo.yaml:6", "optim.groups": "demo.yaml:8", "optim.groups[0].match": "demo.yaml:8",
		"optim.groups[0].weight_decay": "demo.yaml:9", "optim.groups[1].match": "default", "train.batch": "--set train.batch=4",
		"eval.batch": "--set eval={batch: 2, nms_iou: 0.6}", "eval.pre_nms": "default", "name": "demo.yaml:2",
	} {
		if got := c.Source(key).String(); got != want {
			t.Errorf("source of %s: %s, want %s", key, got, want)
		}
	}
	if v, ok := c.Value("schedule.milestones"); v != "[7]" || !ok {
		t.Error(v, ok)
	}
	old, err := Load("demo.yaml", nil)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, ch := range Diff(old, c) {
		lines = append(lines, ch.String())
	}
	if len(lines) != 5 || lines[4] != "train.batch: 16 -> 4 (--set train.batch=4)" {
		t.Errorf("%q", lines)
	}
}

// minimal is the shortest recipe that is right.
const minimal = "name: x\n"

func TestFaults(t *testing.T) {
	cases := []struct{ name, text, set, want string }{
		{"unknown", "model:\n  backbon: resnet18\n", "", `demo.yaml:2: unknown key "model.backbon" (did you mean "model.backbone"?)`},
		{"section", "modle:\n  backbone: resnet18\n", "", `demo.yaml:1: unknown key "modle" (did you mean "model"?)`},
		{"misplaced", "train:\n  lr: 1\n", "", `demo.yaml:2: unknown key "train.lr" (did you mean "optim.lr"?)`},
		{"case", "Model:\n  backbone: resnet18\n", "", `demo.yaml:1: unknown key "Model" (did you mean "model"?)`},
		{"dots", "optim.lr: 1\n", "", `demo.yaml:1: unknown key "optim.lr" (did you mean "optim.lr"?)`},
		{"far", "zzzzzzzzzzzz: 1\n", "", `demo.yaml:1: unknown key "zzzzzzzzzzzz"`},
		{"in a list", "optim:\n  groups:\n    - match: a\n      lr_scael: 1\n", "", `demo.yaml:4: unknown key "optim.groups[0].lr_scael" (did you mean "optim.groups[].lr_scale"?)`},
		{"twice", "name: a\nname: b\n", "", `demo.yaml:2: key "name" stands twice (first on line 1)`},
		{"text for number", "train:\n  batch: many\n", "", `demo.yaml:2: "train.batch" must be a whole number, got "many" (text)`},
		{"number for text", "name: 12\n", "", `demo.yaml:1: "name" must be text, got "12" (a whole number); put it in quotes ("" for none)`},
		{"cut read as a number", "manpp:\n  cuts: [1.10]\n", "", `demo.yaml:2: "manpp.cuts[0]" must be text, got "1.10" (a number); put it in quotes ("" for none)`},
		{"fraction", "train:\n  batch: 1.5\n", "", `demo.yaml:2: "train.batch" must be a whole number, got "1.5" (a number)`},
		{"bool", "optim:\n  nesterov: yes\n", "", `demo.yaml:2: "optim.nesterov" must be true or false, got "yes" (text)`},
		{"nothing", "optim:\n  lr:\n", "", `demo.yaml:2: "optim.lr" must be a finite number, got nothing`},
		{"nan", "optim:\n  lr: .nan\n", "", `demo.yaml:2: "optim.lr" must be a finite number, got ".nan" (a number)`},
		{"list", "schedule:\n  milestones: 5\n", "", `demo.yaml:2: "schedule.milestones" must be a list, got "5" (a whole number)`},
		{"no section", "optim: 5\n", "", `demo.yaml:1: "optim" must be a section of keys, got "5" (a whole number)`},
		{"no mapping", "- a\n", "", `demo.yaml:1: the file must be a section of keys, got a list`},
		{"negative seed", "seed: -1\n", "", `demo.yaml:1: "seed" must be a whole number from 0, got "-1" (a whole number)`},
		{"huge", "train:\n  batch: 99999999999999999999\n", "", `"train.batch" must be a whole number`},
		{"alias", "optim: &a {lr: 1}\neval: *a\n", "", `demo.yaml:1: "optim": anchors and aliases are not supported; repeat the value or use base:`},
		{"merge", "optim:\n  <<: {lr: 1}\n", "", "demo.yaml:2: a key must be a plain word"},
		{"documents", "name: a\n---\nname: b\n", "", "demo.yaml:1: more than one YAML document; keep the first"},
		{"syntax", "name: a\noptim: [1\ntrain: 5\n", "", "demo.yaml:2: not YAML: did not find expected ',' or ']'"},
		{"tab", "optim:\n\tlr: 1\n", "", "demo.yaml:2: not YAML: found character that cannot start any token"},
		{"range", "optim:\n  lr: 0\n", "", "demo.yaml:2: optim.lr is 0; it must be above 0 and at most 1000"},
		{"choice", "model:\n  backbone: vgg16\n", "", `demo.yaml:2: model.backbone is "vgg16"; it must be one of resnet18, resnet34, resnet50, resnet101, resnet152`},
		{"length", "optim:\n  betas: [0.9]\n", "", "demo.yaml:2: optim.betas has 1 entries; it must have 2"},
		{"element", "model:\n  anchors:\n    ratios: [1, -2]\n", "", "demo.yaml:3: model.anchors.ratios[1] is -2; it must be above 0 and at most 1000"},
		{"canvas", "data:\n  canvases: [[64, 100]]\n", "", "demo.yaml:2: data.canvases[0] is [64 100]; both sides must be multiples of 32"},
		{"canvas length", "data:\n  canvases: [[64]]\n", "", "demo.yaml:2: data.canvases[0] has 1 entries; it must have 2"},
		{"sides", "data:\n  long_side: 300\n", "", "demo.yaml:2: data.long_side 300 is less than data.short_side 600"},
		{"both lengths", "train:\n  epochs: 3\n", "", "train.steps is 90000 and train.epochs is 3; set one of them and the other to 0"},
		{"cuts missing", "manpp:\n  partition: cuts\n", "", `manpp.partition is "cuts" with 0 cuts`},
		{"cut name", "manpp:\n  partition: cuts\n  cuts: [layer1]\n", "", `demo.yaml:3: manpp.cuts[0] is "layer1"; a cut is the name of a unit such as layer2.3`},
		{"balanced", "manpp:\n  partition: balanced\n", "", `manpp.blocks is 0; partition "balanced" needs the number of blocks`},
		{"stages", "manpp:\n  blocks: 3\n", "", `demo.yaml:2: manpp.blocks is 3; partition "stages" gives 4 blocks`},
		{"iou", "model:\n  loss:\n    negative_iou: 0.6\n", "", "demo.yaml:3: model.loss.negative_iou 0.6 is above positive_iou 0.5"},
		{"pattern", "optim:\n  groups: [{match: 'a[', frozen: true}]\n", "", `demo.yaml:2: optim.groups[0].match is "a["`},
		{"idle group", "optim:\n  groups: [{match: a}]\n", "", "demo.yaml:2: optim.groups[0] changes nothing"},
		{"milestones", "schedule:\n  milestones: [5, 5]\n", "", "demo.yaml:2: schedule.milestones [5 5] do not increase"},
		{"expect", "expect: [{metric: mAP, min: 0}]\n", "", `demo.yaml:1: expect[0].metric is "mAP"; it must be one of AP, AP50`},
		{"expect both", "expect: [{metric: AP}]\n", "", "demo.yaml:1: expect[0] (AP) must have one of value and min"},
		{"set unknown", minimal, "optim.rl=1", `--set optim.rl=1: unknown key "optim.rl" (did you mean "optim.lr"?)`},
		{"set type", minimal, "train.batch=x", `--set train.batch=x: "train.batch" must be a whole number, got "x" (text)`},
		{"set form", minimal, "train.batch", "--set train.batch: write --set key=value"},
		{"set range", minimal, "optim.lr=-1", "--set optim.lr=-1: optim.lr is -1; it must be above 0"},
		{"set syntax", minimal, "schedule.milestones=[1", "--set schedule.milestones=[1: not YAML"},
		{"set entry", minimal, "optim.groups[0].match=a", "entries of a list cannot be set one by one"},
		{"set base", minimal, "base=a.yaml", `--set base=a.yaml: unknown key "base"`},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			write(t, map[string]string{"demo.yaml": c.text})
			var sets []string
			if c.set != "" {
				sets = []string{c.set}
			}
			_, err := Load("demo.yaml", sets)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
			var e *Error
			if !errors.As(err, &e) {
				t.Errorf("%T is no *Error", err)
			}
		})
	}
}

func TestAllFaultsAtOnce(t *testing.T) {
	write(t, map[string]string{"demo.yaml": "nmae: a\noptim:\n  lr: fast\n"})
	_, err := Load("demo.yaml", nil)
	want := "demo.yaml:1: unknown key \"nmae\" (did you mean \"name\"?)\ndemo.yaml:3: \"optim.lr\" must be a finite number, got \"fast\" (text)"
	if err == nil || err.Error() != want {
		t.Errorf("got %v", err)
	}
}

func TestFaultsAreBounded(t *testing.T) {
	var b strings.Builder
	for i := range 60000 {
		fmt.Fprintf(&b, "key_%d: 1\n", i)
	}
	write(t, map[string]string{"keys.yaml": b.String(), "list.yaml": "model: {anchors: {sizes: [" + strings.Repeat("x,", 100000) + "]}}\n"})
	for _, f := range []string{"keys.yaml", "list.yaml"} {
		_, err := Load(f, nil)
		if n := strings.Count(fmt.Sprint(err), f); n != maxFaults {
			t.Errorf("%s: %d faults", f, n)
		}
	}
}

func TestBaseFaults(t *testing.T) {
	chain := map[string]string{}
	for i := range 12 {
		chain["c"+string(rune('a'+i))+".yaml"] = "base: c" + string(rune('a'+i+1)) + ".yaml\n"
	}
	dir := write(t, map[string]string{
		"a.yaml": "name: a\nbase: sub/b.yaml\n", "sub/b.yaml": "base: ../a.yaml\n", "self.yaml": "base: self.yaml\n",
		"gone.yaml": "\nbase: nowhere.yaml\n", "list.yaml": "base: [a.yaml]\n", "folder.yaml": "base: sub\n",
		"typo.yaml": "base: bad.yaml\n", "bad.yaml": "x_y_z_0: 1\n",
	})
	write2 := func(m map[string]string) {
		for k, v := range m {
			if err := os.WriteFile(filepath.Join(dir, k), []byte(v), 0o666); err != nil {
				t.Fatal(err)
			}
		}
	}
	write2(chain)
	for file, want := range map[string]string{
		"a.yaml":       "sub/b.yaml:1: base: ../a.yaml leads back to itself",
		"self.yaml":    "self.yaml:1: base: self.yaml leads back to itself",
		"gone.yaml":    "gone.yaml:2: base: nowhere.yaml:1: cannot read recipe " + dir + "/nowhere.yaml: no such file or directory",
		"list.yaml":    `list.yaml:1: "base" must be the path of one recipe, got a list`,
		"folder.yaml":  "is a directory",
		"typo.yaml":    `bad.yaml:1: unknown key "x_y_z_0"`,
		"ca.yaml":      "more than 8 files in a chain of base:",
		"missing.yaml": "cannot read recipe " + dir + "/missing.yaml: no such file or directory",
	} {
		if _, err := Load(file, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", file, err, want)
		}
	}
	if _, err := Parse("text", []byte("base: a.yaml\n"), nil); err == nil {
		t.Error("Parse follows base:")
	}
	write2(map[string]string{"big.yaml": strings.Repeat("# padding\n", maxFile/10+1)})
	if _, err := Load("big.yaml", nil); err == nil || !strings.Contains(err.Error(), "not a recipe") {
		t.Error(err)
	}
}

func TestCheckPaths(t *testing.T) {
	dir := write(t, map[string]string{
		"demo.yaml": "data:\n  root: set\nmodel:\n  pretrained: w.pth\n", "set/annotations/instances_train2017.json": "", "set/train2017": "", "set/val2017/a": "",
	})
	c, err := Load("demo.yaml", nil)
	if err != nil {
		t.Fatal(err)
	}
	err = c.CheckPaths()
	if err == nil || !strings.Contains(err.Error(), "demo.yaml:4: model.pretrained: "+dir+"/w.pth: no such file or directory") {
		t.Error(err)
	}
	c.Model.Pretrained = ""
	want := "default: data.train.images: " + dir + "/set/train2017: not a folder\ndefault: data.val.annotations: " + dir + "/set/annotations/instances_val2017.json: no such file or directory"
	if err := c.CheckPaths(); err == nil || err.Error() != want {
		t.Errorf("got %v\nwant %s", err, want)
	}
	c.Data.Root = ""
	if err := c.CheckPaths(); err == nil || !strings.Contains(err.Error(), "data.root is empty") {
		t.Error(err)
	}
}

var equal = cmpopts.IgnoreUnexported(Config{})

func TestSetEmptyAndParse(t *testing.T) {
	write(t, map[string]string{"demo.yaml": "model: {pretrained: w.pth}\nexpect: [{metric: AP, min: 0.1}]\n"})
	c, err := Load("demo.yaml", []string{"model.pretrained=", "expect=[]", "name='7'"})
	if err != nil {
		t.Fatal(err)
	}
	if c.Model.Pretrained != "" || len(c.Expect) != 0 || c.Name != "7" {
		t.Errorf("%+v", c)
	}
	again, err := Parse("checkpoint", c.Resolved(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(c, again, equal); d != "" {
		t.Error(d)
	}
	if got := again.Source("name"); got.File != "checkpoint" || got.Line < 2 {
		t.Error(got)
	}
}
