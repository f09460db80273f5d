package main

import (
	"bytes"
	"context"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"

	"manvision/internal/cli"
	"manvision/internal/testdata"
	"manvision/internal/tinymodel"
	"manvision/segmentation/cityeval"
)

// The label maps of CityScapes' frames, scored as the benchmark does, have the mIoU
// that the training's own evaluation found, wherever in the output they are looked
// for.
func TestCityScores(t *testing.T) {
	root := testdata.Shared(t, "cityscapes")
	dir := t.TempDir()
	want, ok := tinymodel.TrainCity(t, dir, root).Value("mIoU")
	if !ok || want == 0 {
		t.Fatalf("training found mIoU %v", want)
	}

	out := filepath.Join(dir, "out")
	s := &cli.Streams{Out: new(bytes.Buffer), Err: new(bytes.Buffer)}
	args := []string{"--checkpoint", filepath.Join(dir, "model.safetensors"), "--input", filepath.Join(root, "leftImg8bit", "train"),
		"--gt", root, "--out", out, "--json", filepath.Join(dir, "out.json")}
	if rc := cli.Execute(newCmd(s, run), s, args); rc != cli.OK {
		t.Fatalf("exit %d: %s", rc, s.Err)
	}
	for _, folder := range []string{out, filepath.Join(out, labelFolder)} {
		score, err := cityeval.EvaluateFolders(context.Background(), filepath.Join(root, "gtFine", "train"), folder, cityeval.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if score.MIoU == nil || math.Abs(*score.MIoU-want) > 1e-12 {
			t.Errorf("%s: mIoU %v, training found %v", folder, score.MIoU, want)
		}
	}
	var found struct{ Images []picture }
	b, err := os.ReadFile(filepath.Join(dir, "out.json"))
	if err == nil {
		err = json.Unmarshal(b, &found)
	}
	if err != nil || len(found.Images) != 5 || found.Images[0].Accuracy == nil || found.Images[0].Width != 2048 || len(found.Images[0].Classes) == 0 {
		t.Errorf("%+v, %v", found, err)
	}
}
