package main

import (
	"io"
	"os"

	"golang.org/x/term"
)

// streams is where a command writes, so that tests can read it.
type streams struct {
	out, err io.Writer
	terminal bool // out is a terminal: people read it
}

func system() *streams {
	return &streams{out: os.Stdout, err: os.Stderr, terminal: term.IsTerminal(int(os.Stdout.Fd()))}
}
