// Command report writes training runs as one HTML page.
package main

import (
	"context"
	"os"
	"slices"
	"strings"

	"manvision/device/cpu"
	"manvision/internal/cli"
)

func main() {
	// Only pictures need the device.
	if slices.ContainsFunc(os.Args, func(a string) bool { return strings.HasPrefix(a, "--images") }) {
		cpu.BoundSpin()
	}
	s := cli.System()
	os.Exit(cli.Execute(newCmd(s, func(ctx context.Context, o *options) error { return run(ctx, o) }), s, os.Args[1:]))
}
