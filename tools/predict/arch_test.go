package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"manvision/internal/cli"
	"manvision/internal/golden"
	"manvision/internal/testdata"
	"manvision/weights"
)

// A classifier of torchvision's from a file of weights, made by formula under
// torchvision's names: five classes for every picture, the most probable first.
func TestClassifier(t *testing.T) {
	b, err := os.ReadFile(filepath.Join(testdata.Root(), "arch", "testdata", "names_resnet50.json"))
	if err != nil {
		t.Fatal(err)
	}
	var all []weights.Tensor
	if err := json.Unmarshal(b, &all); err != nil {
		t.Fatal(err)
	}
	for i := range all {
		for _, v := range golden.Param(all[i].Name, all[i].Shape, 1) {
			if strings.HasSuffix(all[i].Name, "running_var") {
				v++
			}
			all[i].Data = append(all[i].Data, float32(v))
		}
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "resnet50.safetensors")
	if err := weights.WriteFile(file, all, nil); err != nil {
		t.Fatal(err)
	}
	images := testdata.Shared(t, "coco/train2017")
	list, err := os.ReadDir(images)
	if err != nil {
		t.Fatal(err)
	}
	out := new(bytes.Buffer)
	s := &cli.Streams{Out: out, Err: new(bytes.Buffer)}
	name := list[0].Name()
	args := []string{"--arch", "resnet50", "--checkpoint", file, "--input", filepath.Join(images, name), "--out", filepath.Join(dir, "out"), "--json", filepath.Join(dir, "top.json")}
	if rc := cli.Execute(newCmd(s, run), s, args); rc != cli.OK {
		t.Fatalf("exit %d: %s", rc, s.Err)
	}
	var found classified
	b, err = os.ReadFile(filepath.Join(dir, "top.json"))
	if err == nil {
		err = json.Unmarshal(b, &found)
	}
	if err != nil || len(found.Images) != 1 || len(found.Images[0].Classes) != topClasses {
		t.Fatalf("%+v, %v", found, err)
	}
	p := found.Images[0].Classes
	sum := 0.0
	for i, c := range p {
		if sum += c.Probability; c.Probability < 0 || i > 0 && c.Probability > p[i-1].Probability {
			t.Errorf("%+v", p)
		}
	}
	if !(sum > 0 && sum <= 1+1e-9) || !strings.Contains(out.String(), name+"\t"+p[0].Name+"\t") {
		t.Errorf("sum %v, printed %q, found %+v", sum, out, p)
	}
	for _, picture := range []string{found.Images[0].Picture, filepath.Join(dir, "out", sheetName)} {
		if _, err := os.Stat(picture); err != nil {
			t.Error(err)
		}
	}
}

func TestMostProbable(t *testing.T) {
	got := mostProbable([]float32{0, 1000, 999}, []string{"a", "b", "c"}) // e/(1+e), 1/(1+e), hand computed
	if len(got) != 3 || got[0].Name != "b" || got[1].Name != "c" || got[2].Class != 0 {
		t.Fatalf("%+v", got)
	}
	if d := got[0].Probability - 0.7310585786300049; d > 1e-12 || d < -1e-12 {
		t.Errorf("%+v", got)
	}
}
