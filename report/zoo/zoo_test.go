package zoo

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"manvision/internal/testdata"
	"manvision/weights"
)

// The page in the repository is what the records give, and each recorded recipe is there.
func TestPageIsOfRecords(t *testing.T) {
	root := testdata.Root()
	list, err := Load(filepath.Join(root, "docs", "zoo"))
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(root, "MODEL_ZOO.md"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(page, Markdown(list, "docs/zoo")) {
		t.Error("MODEL_ZOO.md is not what docs/zoo gives: bin/report zoo")
	}
	for _, r := range list {
		if !strings.HasPrefix(r.Recipe, "configs/") {
			t.Errorf("%s: recipe %s is not one of the repository", r.Name, r.Recipe)
		} else if _, err := os.Stat(filepath.Join(root, r.Recipe)); err != nil {
			t.Error(err)
		}
	}
}

const result = `{"name": "toy", "status": "done", "step": 40, "seconds": 61.5,
"memory": {"planned": 1500000, "allocated": 1600000, "resident": 0},
"origin": {"command": "bin/train --config ./configs/classification/toy.yaml", "recipe": "./configs/classification/toy.yaml", "started": "2026-01-02T03:04:05Z",
 "program": "0123456789ab", "machine": {"cpu": "Some | CPU", "cores": 4, "memory": 16000000000}},
"outline": {"device": "cpu/onednn", "threads": 2, "backbone": "resnet18", "width": 64, "head": "linear", "strategy": "manpp", "blocks": 4,
 "train_images": 4000, "val_images": 1000, "steps": 40, "batch": 128}}`

// folder makes what a run leaves, as far as records are made of it.
func folder(t *testing.T, result string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"config.yaml": "task: classification\nname: toy\nseed: 7\nprecision: f32\ndata:\n  format: cifar10\n", "result.json": result} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	f, err := weights.OpenFolder(filepath.Join(dir, "checkpoints"), 1)
	if err != nil {
		t.Fatal(err)
	}
	for step, top1 := range map[int64]float64{20: 0.5, 40: 0.4321} {
		c := &weights.Checkpoint{Meta: weights.Meta{Step: step, Score: &top1, Metrics: weights.Metrics{"top1": top1, "other": 3}},
			Params: []weights.Tensor{{Name: "w", Shape: []int{1}, Data: []float32{float32(step)}}}}
		if _, err := f.Save(c); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// A record holds the metrics and the hash of the best weights, survives its file, and is
// a row of the table.
func TestRecord(t *testing.T) {
	dir := folder(t, result)
	r, err := Of(dir)
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(dir, "checkpoints", "best.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(b)
	if want := hex.EncodeToString(sum[:]); r.Weights.SHA256 != want || r.Weights.Step != 20 || r.Weights.Bytes != int64(len(b)) {
		t.Errorf("%+v, want %s", r.Weights, want)
	}
	if len(r.Metrics) != 1 || r.Metrics["top1"] != 0.5 || r.Recipe != "configs/classification/toy.yaml" || r.Name != "classification-toy" || r.Date != "2026-01-02" {
		t.Errorf("%+v", r)
	}
	records := t.TempDir()
	text, err := json.Marshal(r)
	if err == nil {
		err = os.WriteFile(r.Path(records), text, 0o666)
	}
	if err != nil {
		t.Fatal(err)
	}
	list, err := Load(records)
	if err != nil || len(list) != 1 {
		t.Fatalf("%d records, %v", len(list), err)
	}
	page := string(Markdown(list, "records"))
	for _, want := range []string{
		"## Classification",
		"| [toy](configs/classification/toy.yaml) | MAN++, K=4 | resnet18, width 64, linear | cifar10: 4,000, 1,000 | 40 × 128 | 1m02s | 50.0 | 1.50 MB | 1.60 MB | – |",
		"    bin/train --config ./configs/classification/toy.yaml\n",
		"2026-01-02, seed 7, f32, commit 0123456789ab",
		"Some | CPU, 2 threads (cpu/onednn) on 4 cores, 16.00 GB",
		"`best.safetensors` of step 20",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("missing %q in\n%s", want, page)
		}
	}
}

// Runs that did not end well, and files that are no records, are told apart and named.
func TestRefused(t *testing.T) {
	for old, c := range map[string][2]string{
		`"status": "done"`:         {`"status": "stopped"`, `status is "stopped"`},
		`"command": "bin/train`:    {`"command": "", "x": "bin/train`, "does not tell the command"},
		`"2026-01-02T03:04:05Z"`:   {`""`, "does not tell the date"},
		`"strategy": "manpp"`:      {`"strategy": ""`, "strategy is missing"},
		`"name": "toy", "status":`: {`"name": 3, "status":`, "has no result.json"},
	} {
		if _, err := Of(folder(t, strings.Replace(result, old, c[0], 1))); err == nil || !strings.Contains(err.Error(), c[1]) {
			t.Errorf("%s: %v, want %q", c[0], err, c[1])
		}
	}
	r, err := Of(folder(t, result))
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Rename("../x"); err == nil {
		t.Error("a name that is a path")
	}
	dir := t.TempDir()
	for name, text := range map[string]string{"a.json": "{}", "b.json": `{"nme": 1}`, "c.json": "["} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(dir); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", text, err)
		}
		os.Remove(path)
	}
}
