// Command predict detects objects on images.
package main

import (
	"os"

	"manvision/internal/cli"
)

func main() {
	s := cli.System()
	os.Exit(cli.Execute(newCmd(s, run), s, os.Args[1:]))
}
