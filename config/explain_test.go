package config

import (
	"strings"
	"testing"
)

func TestEveryKeyHasADoc(t *testing.T) {
	for _, k := range leafKeys() {
		if Doc(k) == "" {
			t.Errorf("defaults.yaml says nothing of %s", k)
		}
	}
	for key, want := range map[string]string{
		"optim.lr":                 "Learning rate after warm-up for a step of train.batch x train.accumulate images, above 0.",
		"optim.bias_decay":         "Whether decay acts on the scales of norms, and on all biases (those of norms too). The release decays everything.",
		"data.jitter.hue":          "Random colour change in training: greatest relative change of brightness, contrast and saturation (0 to 1) and of hue (0 to 0.5 of the circle). 0: none.",
		"model.loss.focal_alpha":   "Focal loss (Lin et al. 2017): weight of positives, 0 to 1, and focusing power.",
		"optim":                    "",
		"model.segmentation.nope":  "",
		"data.shapes.seed":         "Images in each part, side in pixels (32 to 4096), and the seed of the drawing.",
		"eval.segmentation.stride": "[width, height] of a window in pixels, and how far apart windows begin, [x, y]; overlapping logits are averaged. Empty: the largest half, quarter ... that fits the memory, and two thirds of the window.",
	} {
		if got := Doc(key); got != want {
			t.Errorf("%s: %q", key, got)
		}
	}
}

func TestExplain(t *testing.T) {
	write(t, map[string]string{
		"base/base.yaml": "output: runs\noptim:\n  lr: 0.04\ntrain: {batch: 32}\n",
		"mine.yaml":      "base: base/base.yaml\ntrain:\n  batch: 4\n  steps: 100\n",
	})
	c, err := Load("mine.yaml", []string{"train.steps=50", "train.steps=60", "optim.groups=[{match: a, frozen: true}]"})
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range []struct{ key, value, def, from, typ, allowed string }{
		{"optim.lr", "0.04", "0.01", "base recipe base/base.yaml:3", "a finite number", "above 0 and at most 1000"},
		{"train.batch", "4", "16", "recipe mine.yaml:3", "a whole number", "at least 1 and at most 65536"},
		{"train.steps", "60", "90000", "flag --set train.steps=60", "a whole number", "at least 0 and at most 1000000000"},
		{"task", "detection", "detection", "default", "text", "one of detection, segmentation, classification"},
		{"optim.nesterov", "false", "false", "default", "true or false", ""},
		{"data.scale", "[0.5, 2]", "[0.5, 2]", "default", "a list, each entry a finite number", "2 entries, each above 0 and at most 8"},
		{"optim.groups[0].match", "[{match: a, frozen: true}]", "[]", "flag --set optim.groups=[{match: a, frozen: true}]", "a list of {match, lr_scale, weight_decay, frozen}", ""},
	} {
		e, err := c.Explain(w.key)
		if err != nil {
			t.Fatal(err)
		}
		if e.Value != w.value || e.Default != w.def || e.From != w.from || e.Type != w.typ || e.Range != w.allowed || e.Doc == "" {
			t.Errorf("%s: %+v", w.key, e)
		}
	}
	e, _ := c.Explain("train.batch")
	var from []string
	for _, g := range e.Given {
		from = append(from, g.Value+" "+g.From)
	}
	if got := strings.Join(from, "; "); got != "16 default; 32 base recipe base/base.yaml:4; 4 recipe mine.yaml:3" {
		t.Error(got)
	}
	if e, err = c.Explain("model.anchors"); err != nil || e.Type != "a section" || len(e.Keys) != 3 || e.Keys[0].Key != "model.anchors.sizes" || e.Keys[0].Value == "" {
		t.Errorf("%+v %v", e, err)
	}
	for key, near := range map[string]string{"optim.lrr": "optim.lr", "train.lr": "optim.lr", "model.back_bone": "model.backbone"} {
		if _, err := c.Explain(key); err == nil || !strings.Contains(err.Error(), `unknown key "`+key+`"; the nearest: `+near) {
			t.Errorf("%s: %v", key, err)
		}
	}
	if _, err := c.Explain("zzzzzzzzzzzzzzzz"); err == nil || strings.Contains(err.Error(), "nearest") {
		t.Error(err)
	}
}

// The batch that a learning rate was written for is the one of the file that states
// the rate.
func TestAsOf(t *testing.T) {
	write(t, map[string]string{
		"base.yaml": "output: runs\noptim: {lr: 0.04}\ntrain: {batch: 32}\n",
		"mine.yaml": "base: base.yaml\ntrain: {batch: 4}\n",
		"both.yaml": "base: base.yaml\ntrain: {batch: 4}\noptim: {lr: 0.005}\n",
	})
	for _, w := range []struct {
		file string
		sets []string
		want string
	}{
		{"base.yaml", nil, "32"},
		{"mine.yaml", nil, "32"},
		{"both.yaml", nil, "4"},
		{"mine.yaml", []string{"optim.lr=0.1", "train.batch=2"}, "2"},
		{"mine.yaml", []string{"train.batch=2"}, "32"},
		{"both.yaml", []string{"train.batch=2"}, "4"},
	} {
		c, err := Load(w.file, w.sets)
		if err != nil {
			t.Fatal(err)
		}
		if got := c.AsOf("train.batch", "optim.lr"); got.Value != w.want {
			t.Errorf("%s %v: batch %+v", w.file, w.sets, got)
		}
	}
}

func TestAnnotatedNamesSources(t *testing.T) {
	write(t, map[string]string{
		"base.yaml": "output: runs\noptim:\n  lr: 0.04\n  groups:\n    - {match: x, frozen: true}\n",
		"mine.yaml": "base: base.yaml\ndata:\n  canvases: [[64, 64]]\n",
	})
	c, err := Load("mine.yaml", []string{"train.batch=3"})
	if err != nil {
		t.Fatal(err)
	}
	text := string(c.Annotated())
	for _, want := range []string{"  lr: 0.04 # base.yaml:3\n", "  batch: 3 # --set train.batch=3\n", "  groups: # base.yaml:5\n", "  canvases: [[64, 64]] # mine.yaml:3\n", "precision: f32 # default\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	again, err := Parse("config.yaml", []byte(text), nil)
	if err != nil {
		t.Fatal(err)
	}
	if d := Diff(c, again); d != nil {
		t.Error(d)
	}
}
