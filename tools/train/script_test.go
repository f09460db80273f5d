package main

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"manvision/internal/cli"
	"manvision/internal/clitest"
)

func TestMain(m *testing.M) { testscript.Main(m, map[string]func(){"train": main}) }

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:  "testdata/script",
		Cmds: clitest.Commands("train"),
	})
}

func TestFlags(t *testing.T) {
	var got options
	s := &cli.Streams{Out: new(bytes.Buffer), Err: new(bytes.Buffer)}
	capture := func(_ context.Context, o *options) error { got = *o; got.streams, got.open = nil, nil; return nil }
	line := "--config c.yaml --set a.b=1,2 --set c=d --memory-limit 8GiB --output runs/x --plan --plan-size 2x608x800 --classes 3 --json -"
	if code := cli.Execute(newCmd(s, capture), s, strings.Fields(line)); code != cli.OK {
		t.Fatalf("exit %d: %s", code, s.Err)
	}
	if got.config != "c.yaml" || len(got.sets) != 2 || got.sets[0] != "a.b=1,2" || got.output != "runs/x" || got.limit != "8GiB" || !got.plan || got.planSize != "2x608x800" || got.classes != 3 || got.json != "-" || got.resume {
		t.Errorf("%+v", got)
	}
	for _, line := range []string{"", "--config c --classes 3", "--config c --plan --resume", "--config c --plan --classes 0", "--config c extra", "--config c --plan --profile d", "--config c --plan --pprof d", "--config c --resume=x", "--config c --resume-policy lr", "--config c --resume --resume-policy x", "--config c --resume=auto --resume-policy weights", "--config c auto", "--nope"} {
		if code := cli.Execute(newCmd(s, capture), s, strings.Fields(line)); code != cli.Wrong {
			t.Errorf("%q: exit %d", line, code)
		}
	}
}

func TestPlanSize(t *testing.T) {
	if n, h, w, err := parseSize("2x608x800"); err != nil || n != 2 || h != 608 || w != 800 {
		t.Errorf("%d %d %d %v", n, h, w, err)
	}
	for _, s := range []string{"608x800", "2x608x800x", "0x608x800", "2x-1x8", "axbxc"} {
		if _, _, _, err := parseSize(s); err == nil {
			t.Errorf("accepted %q", s)
		}
	}
}
