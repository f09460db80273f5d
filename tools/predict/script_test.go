package main

import (
	"bytes"
	"context"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"manvision/internal/cli"
	"manvision/internal/clitest"
	"manvision/internal/tinymodel"
)

func TestMain(m *testing.M) { testscript.Main(m, map[string]func(){"predict": main}) }

func TestScripts(t *testing.T) {
	dir, segmentation, classes := t.TempDir(), t.TempDir(), t.TempDir()
	tinymodel.Train(t, dir)
	tinymodel.TrainSegmentation(t, segmentation)
	tinymodel.TrainClasses(t, classes)
	cmds := clitest.Commands("predict")
	maps.Copy(cmds, commands)
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			env.Setenv("MODEL", filepath.Join(dir, "model.safetensors"))
			env.Setenv("SEGMENTER", filepath.Join(segmentation, "model.safetensors"))
			env.Setenv("CLASSIFIER", filepath.Join(classes, "model.safetensors"))
			if err := os.CopyFS(filepath.Join(env.WorkDir, "pictures"), os.DirFS(filepath.Join(classes, "pictures"))); err != nil {
				return err
			}
			if err := os.CopyFS(filepath.Join(env.WorkDir, "labelled"), os.DirFS(filepath.Join(segmentation, "shapes"))); err != nil {
				return err
			}
			return os.CopyFS(filepath.Join(env.WorkDir, "shapes"), os.DirFS(filepath.Join(dir, "shapes")))
		},
		Cmds:      cmds,
		Condition: condition(dir),
	})
}

func TestFlags(t *testing.T) {
	var got options
	s := &cli.Streams{Out: new(bytes.Buffer), Err: new(bytes.Buffer)}
	capture := func(_ context.Context, o *options) error {
		got = *o
		got.streams, got.open, got.in = nil, nil, nil
		return nil
	}
	line := "--checkpoint a --input b --out c --json d --gt e --score 0.5 --skip-bad --threads 2 --scales 0.5,2 --flip=false --window 64,32 --stride 5 --jsonl k --csv l --draw pictures --every 3 --score-threshold 0.2 --nms-iou 0.4 --max-detections 7 --classes x,y --batch 9 more"
	if code := cli.Execute(newCmd(s, capture), s, strings.Fields(line)); code != cli.OK {
		t.Fatalf("exit %d: %s", code, s.Err)
	}
	if got.checkpoint != "a" || !slices.Equal(got.inputs, []string{"b", "more"}) || got.out != "c" || got.json != "d" || got.gt != "e" || got.score != 0.5 || !got.skipBad || got.threads != 2 {
		t.Errorf("%+v", got)
	}
	if got.jsonl != "k" || got.csv != "l" || got.draw != drawPictures || got.every != 3 || !got.everyGiven || got.threshold != 0.2 || got.nmsIoU != 0.4 || got.most != 7 || !slices.Equal(got.classes, []string{"x", "y"}) || got.batch != 9 {
		t.Errorf("%+v", got)
	}
	if !slices.Equal(got.scales, []float64{0.5, 2}) || got.flip || !got.flipGiven || !got.scoreGiven || !slices.Equal(got.window, []int{64, 32}) || !slices.Equal(got.stride, []int{5}) {
		t.Errorf("%+v", got)
	}
}

func TestPictureNamesAreDistinct(t *testing.T) {
	got := pictureNames([]string{"a/x.jpg", "b/x.JPG", "c/X.png", "sheet.jpg", "y"})
	want := []string{"x.png", "x-2.png", "X-3.png", "sheet-2.png", "y.png"}
	if !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
