// Command export writes trained networks as ONNX files.
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
