// Command eval evaluates models and result files.
package main

import "os"

func main() { os.Exit(execute(system(), os.Args[1:])) }
