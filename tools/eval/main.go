// Command eval evaluates models and result files.
package main

import (
	"os"

	"manvision/internal/cli"
)

func main() {
	s := cli.System()
	os.Exit(cli.Execute(newRoot(s), s, os.Args[1:]))
}
