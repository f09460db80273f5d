// Command doctor looks at the machine that trainings are to run on.
package main

import (
	"os"

	"manvision/internal/cli"
)

func main() {
	s := cli.System()
	os.Exit(cli.Execute(newCmd(s), s, os.Args[1:]))
}
