// Command predict detects objects on images, labels their pixels, or names what is on
// them.
package main

import (
	"os"

	"manvision/device/cpu"
	"manvision/internal/cli"
)

func main() {
	cpu.BoundSpin()
	s := cli.System()
	os.Exit(cli.Execute(newCmd(s, run), s, os.Args[1:]))
}
