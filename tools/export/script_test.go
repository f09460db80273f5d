package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"manvision/internal/cli"
	"manvision/internal/clitest"
	"manvision/internal/tinymodel"
	"manvision/onnx"
)

func TestMain(m *testing.M) { testscript.Main(m, map[string]func(){"export": main}) }

func TestScripts(t *testing.T) {
	detector, segmenter, classifier := t.TempDir(), t.TempDir(), t.TempDir()
	tinymodel.Train(t, detector)
	tinymodel.TrainSegmentation(t, segmenter)
	tinymodel.TrainClasses(t, classifier)
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			env.Setenv("DETECTOR", filepath.Join(detector, "model.safetensors"))
			env.Setenv("SEGMENTER", filepath.Join(segmenter, "model.safetensors"))
			env.Setenv("CLASSIFIER", filepath.Join(classifier, "model.safetensors"))
			if err := os.CopyFS(env.WorkDir, os.DirFS(classifier)); err != nil {
				return err
			}
			return nil
		},
		Cmds: clitest.Commands("export"),
	})
}

func TestFlags(t *testing.T) {
	var got options
	capture := func(_ context.Context, o *options) error { got = *o; return nil }
	try := func(line string) (int, string) {
		s := &cli.Streams{Out: new(bytes.Buffer), Err: new(bytes.Buffer)}
		code := cli.Execute(newCmd(s, capture), s, strings.Fields(line))
		return code, s.Err.(*bytes.Buffer).String()
	}
	if code, errs := try("--checkpoint a --out b --arch c --size 32x48 --batch dynamic --decode --fold --normalize --score 0.5 --json d"); code != cli.OK {
		t.Fatalf("exit %d: %s", code, errs)
	}
	want := onnx.Options{H: 32, W: 48, Decode: true, Fold: true, Normalize: true}
	if got.checkpoint != "a" || got.out != "b" || got.arch != "c" || got.json != "d" || got.score != 0.5 || !got.scoreGiven || !got.sized || got.file != want {
		t.Errorf("%+v", got)
	}
	if code, errs := try("--checkpoint a --out b --config c --set x=1 --set y=2"); code != cli.OK || got.config != "c" || len(got.sets) != 2 || got.sized || got.file.Batch != 1 {
		t.Errorf("exit %d: %s: %+v", code, errs, got)
	}
	for line, told := range map[string]string{
		"--out b":        "--checkpoint is missing",
		"--checkpoint a": "--out is missing",
		"--checkpoint a --out b --arch c --config d":  "--arch and --config",
		"--checkpoint a --out b --set c=d":            "--set",
		"--checkpoint a --out b --score 0.5":          "--decode",
		"--checkpoint a --out b --decode --score 1":   "--score",
		"--checkpoint a --out b --decode --score NaN": "--score",
		"--checkpoint a --out b --size 32":            "--size",
		"--checkpoint a --out b --size 0x32":          "--size",
		"--checkpoint a --out b --size 32x99999999":   "--size",
		"--checkpoint a --out b --size 32x32x3":       "--size",
		"--checkpoint a --out b --batch 0":            "--batch",
		"--checkpoint a --out b --batch many":         "--batch",
		"--checkpoint a --out b surplus":              "surplus",
	} {
		if code, errs := try(line); code != cli.Wrong || !strings.Contains(errs, told) {
			t.Errorf("%s: exit %d: %s", line, code, errs)
		}
	}
}
