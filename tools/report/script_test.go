package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"manvision/internal/cli"
	"manvision/internal/clitest"
	"manvision/internal/tinymodel"
)

func TestMain(m *testing.M) { testscript.Main(m, map[string]func(){"report": main}) }

// Runs of all tasks, trained for a few steps.
func TestScripts(t *testing.T) {
	dirs := map[string]string{}
	for name, train := range map[string]func(testing.TB, string){"BOXES": tinymodel.Train, "LABELS": tinymodel.TrainSegmentation, "CLASSES": tinymodel.TrainClasses} {
		dir := t.TempDir()
		train(t, dir)
		best := filepath.Join(dir, "run", "checkpoints", "best.safetensors")
		if err := os.Remove(best); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(dir, "model.safetensors"), best); err != nil {
			t.Fatal(err)
		}
		dirs[name] = dir
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			for name, dir := range dirs {
				env.Setenv(name, dir)
			}
			return nil
		},
		Cmds: clitest.Commands("report"),
	})
}

func TestFlags(t *testing.T) {
	var got options
	s := &cli.Streams{Out: new(bytes.Buffer), Err: new(bytes.Buffer)}
	capture := func(_ context.Context, o *options) error { got = *o; return nil }
	if code := cli.Execute(newCmd(s, capture), s, strings.Fields("a b --out x.html --title T --images 3 --samples 9 --data d --threads 2")); code != cli.OK {
		t.Fatalf("exit %d: %s", code, s.Err)
	}
	if len(got.runs) != 2 || got.out != "x.html" || got.title != "T" || got.images != 3 || got.samples != 9 || got.data != "d" || got.threads != 2 {
		t.Errorf("%+v", got)
	}
	for _, line := range []string{"", "a", "--out x.html", "a --out x --images 101", "a --out x --images -1", "a --out x --samples 5", "a --out x --images 1 --samples -5", "a --out x --images 1 --threads -1", "a --out x --nope"} {
		if code := cli.Execute(newCmd(s, capture), s, strings.Fields(line)); code != cli.Wrong {
			t.Errorf("%q: exit %d", line, code)
		}
	}
}
