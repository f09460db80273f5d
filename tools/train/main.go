// Command train trains a model by a recipe.
package main

import (
	"os"

	"manvision/internal/cli"
)

func main() {
	s := cli.System()
	os.Exit(cli.Execute(newCmd(s, run), s, os.Args[1:]))
}
