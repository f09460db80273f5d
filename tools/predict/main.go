// Command predict detects objects on images, labels their pixels, or names what is on
// them.
package main

import (
	"context"
	"os"

	"manvision/device/cpu"
	"manvision/internal/cli"
)

func main() {
	s := cli.System()
	os.Exit(cli.Execute(newCmd(s, func(ctx context.Context, o *options) error {
		cpu.BoundSpin() // not for --help: it loads the libraries once more
		return run(ctx, o)
	}), s, os.Args[1:]))
}
