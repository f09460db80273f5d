package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"manvision/internal/cli"
	"manvision/internal/clitest"
	"manvision/internal/testdata"
	"manvision/internal/tinymodel"
	"manvision/manpp"
	"manvision/weights"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"eval": main})
}

func TestScripts(t *testing.T) {
	dir := t.TempDir()
	tinymodel.Train(t, dir)
	c, err := weights.LoadParams(filepath.Join(dir, "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	if err := weights.WriteFile(filepath.Join(dir, "plain.safetensors"), c.Plain(manpp.AuxPrefix), nil); err != nil {
		t.Fatal(err)
	}
	labels := t.TempDir()
	tinymodel.TrainSegmentation(t, labels)
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			env.Setenv("RECIPE", filepath.Join(dir, "recipe.yaml"))
			env.Setenv("LABELRECIPE", filepath.Join(labels, "recipe.yaml"))
			env.Setenv("LABELMODEL", filepath.Join(labels, "model.safetensors"))
			env.Setenv("PLAIN", filepath.Join(dir, "plain.safetensors"))
			env.Setenv("SHAPES", filepath.Join(dir, "shapes"))
			env.Setenv("MODEL", filepath.Join(dir, "model.safetensors"))
			return nil
		},
		Cmds: clitest.Commands("eval"),
	})
}

func TestFlags(t *testing.T) {
	for _, c := range []struct {
		args string
		want cocoOptions
	}{
		{"coco --gt a --dt b", cocoOptions{gt: "a", dt: "b", iou: "bbox"}},
		{"coco --gt a --dt b --iou segm --json - --per-class --skip-unknown --compat pycocotools --threads 2",
			cocoOptions{gt: "a", dt: "b", iou: "segm", json: "-", perClass: true, skipUnknown: true, compat: "pycocotools", threads: 2}},
	} {
		var got cocoOptions
		root := newRoot(&cli.Streams{Out: new(bytes.Buffer), Err: new(bytes.Buffer)})
		for _, sub := range root.Commands() {
			root.RemoveCommand(sub)
		}
		root.AddCommand(newCoco(nil, func(o *cocoOptions) error { got = *o; return nil }))
		root.SetArgs(strings.Fields(c.args))
		if err := root.Execute(); err != nil {
			t.Fatal(err)
		}
		if got != c.want {
			t.Errorf("%s: %+v", c.args, got)
		}
	}
}

// A person sees a table; the JSON holds the same numbers. The AP is that of the
// oracle file (pycocotools, see internal/testdata).
func TestOracleOnTerminal(t *testing.T) {
	dir := testdata.Shared(t, "coco-eval-oracle")
	var out, errs bytes.Buffer
	file := filepath.Join(t.TempDir(), "out.json")
	s := &cli.Streams{Out: &out, Err: &errs, Terminal: true}
	code := cli.Execute(newRoot(s), s, []string{"coco",
		"--gt", filepath.Join(dir, "instances_val2014_100.json"),
		"--dt", filepath.Join(dir, "instances_val2014_fakebbox100_results.json"), "--per-class", "--json", file})
	if code != cli.OK {
		t.Fatalf("exit %d: %s", code, errs.String())
	}
	for _, want := range []string{"AP      0.505  IoU 0.50:0.95", "fire hydrant        -"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in:\n%s", want, out.String())
		}
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	if d := got["AP"].(float64) - 0.5045806987249628; d > 1e-9 || d < -1e-9 {
		t.Errorf("AP %v", got["AP"])
	}
	for _, key := range strings.Fields("AP AP50 AP75 APs APm APl AR1 AR10 AR100 ARs ARm ARl per_class") {
		if _, ok := got[key]; !ok {
			t.Errorf("JSON has no %q", key)
		}
	}
}
