package main

import (
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"manvision/internal/clitest"
)

func TestMain(m *testing.M) { testscript.Main(m, map[string]func(){"doctor": main}) }

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata/script", Cmds: clitest.Commands("doctor")})
}
