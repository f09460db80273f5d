package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"manvision/internal/cli"
	"manvision/internal/torchfile"
)

// A classifier of torchvision's from PyTorch's file of its weights.
func TestArch(t *testing.T) {
	dir := t.TempDir()
	want := torchfile.ReadPicture(t, "resnet50", filepath.Join(dir, "picture.png"))
	file, out := torchfile.Torchvision(t, "resnet50", want.Gains), filepath.Join(dir, "resnet50.onnx")
	s := &cli.Streams{Out: new(bytes.Buffer), Err: new(bytes.Buffer)}
	if rc := cli.Execute(newCmd(s, run), s, []string{"--arch", "resnet50", "--checkpoint", file, "--out", out, "--json", "-"}); rc != cli.OK {
		t.Fatalf("exit %d: %s", rc, s.Err)
	}
	var d described
	if err := json.Unmarshal(s.Out.(*bytes.Buffer).Bytes(), &d); err != nil {
		t.Fatal(err)
	}
	st, err := os.Stat(out)
	if err != nil || st.Size() != d.Bytes || d.File != out {
		t.Errorf("%v: %+v", err, d)
	}
	// 25,557,032 parameters (torchvision's documentation) and the statistics of 53 norms,
	// 2·26,560 numbers.
	if d.Parameters != 25557032+2*26560 || d.Operations["Conv"] != 53 || d.Operations["BatchNormalization"] != 53 {
		t.Errorf("%d parameters, operations %v", d.Parameters, d.Operations)
	}
	if shape := d.Inputs[0].Shape; len(shape) != 4 || shape[2] != 224.0 || shape[3] != 224.0 {
		t.Errorf("input %v", shape)
	}
	if text := d.Metadata["manvision.classes"]; !strings.HasPrefix(text, `["tench","goldfish"`) {
		t.Errorf("classes %.40s", text)
	}
	if text := d.Metadata["manvision.preprocessing"]; !strings.Contains(text, "shorter side to 256 pixels") {
		t.Errorf("preprocessing %s", text)
	}
	if !strings.Contains(s.Err.(*bytes.Buffer).String(), "names of: torchvision ResNet\n") {
		t.Errorf("printed %s", s.Err)
	}
}
