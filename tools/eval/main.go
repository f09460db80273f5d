// Command eval evaluates models and result files.
package main

import (
	"os"
	"slices"
	"strings"

	"manvision/device/cpu"
	"manvision/internal/cli"
)

func main() {
	// Only a model needs the device; result files are read sooner without.
	if slices.ContainsFunc(os.Args, func(a string) bool { return strings.HasPrefix(a, "--checkpoint") }) {
		cpu.BoundSpin()
	}
	s := cli.System()
	os.Exit(cli.Execute(newRoot(s), s, os.Args[1:]))
}
