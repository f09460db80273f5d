// Command eval evaluates models and result files.
package main

import (
	"os"
	"slices"

	"manvision/device/cpu"
	"manvision/internal/cli"
)

func main() {
	if slices.Contains(os.Args, "--checkpoint") {
		cpu.BoundSpin()
	}
	s := cli.System()
	os.Exit(cli.Execute(newRoot(s), s, os.Args[1:]))
}
