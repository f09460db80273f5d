package main

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"manvision/internal/cli"
	"manvision/internal/torchfile"
)

// A classifier of torchvision's from PyTorch's file of formula weights: what torchvision
// finds on the same picture, the most probable class first.
func TestClassifier(t *testing.T) {
	dir := t.TempDir()
	const name = "picture.png"
	want := torchfile.ReadPicture(t, "resnet50", filepath.Join(dir, name))
	file := torchfile.Torchvision(t, "resnet50", want.Gains)
	out := new(bytes.Buffer)
	s := &cli.Streams{Out: out, Err: new(bytes.Buffer)}
	args := []string{"--arch", "resnet50", "--checkpoint", file, "--input", filepath.Join(dir, name), "--out", filepath.Join(dir, "out"), "--json", filepath.Join(dir, "top.json")}
	if rc := cli.Execute(newCmd(s, run), s, args); rc != cli.OK {
		t.Fatalf("exit %d: %s", rc, s.Err)
	}
	if text := s.Err.(*bytes.Buffer).String(); !strings.Contains(text, "names of: torchvision ResNet\n") || !strings.Contains(text, "(100.0 % of the elements)") {
		t.Error(text)
	}
	var found struct{ Images []classifiedImage }
	b, err := os.ReadFile(filepath.Join(dir, "top.json"))
	if err == nil {
		err = json.Unmarshal(b, &found)
	}
	if err != nil || len(found.Images) != 1 || len(found.Images[0].Classes) != topClasses {
		t.Fatalf("%+v, %v", found, err)
	}
	p := found.Images[0].Classes
	for i, c := range p {
		if c.Class != want.Classes[i] || math.Abs(c.Probability-want.Probabilities[i]) > 1e-4*want.Probabilities[0] {
			t.Errorf("%d: %+v, want class %d with %v", i, c, want.Classes[i], want.Probabilities[i])
		}
	}
	if !strings.Contains(out.String(), name+"\t"+p[0].Name+"\t") {
		t.Errorf("printed %q, found %+v", out, p)
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
