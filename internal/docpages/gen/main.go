// Command gen writes docs/commands anew; make docs runs it in the repository's root.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"manvision/internal/cli"
	"manvision/internal/docpages"
)

func main() {
	if err := write(filepath.Join("docs", "commands")); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

// write replaces the pages in a folder and removes those of commands that are gone.
func write(dir string) error {
	bin, err := os.MkdirTemp("", "manvision-docs")
	if err != nil {
		return err
	}
	defer os.RemoveAll(bin)
	names, err := docpages.Build(".", bin)
	if err != nil {
		return err
	}
	pages, err := docpages.Commands(bin, names)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	old, err := filepath.Glob(filepath.Join(dir, "*.md"))
	if err != nil {
		return err
	}
	for _, path := range old {
		if pages[filepath.Base(path)] == nil {
			if err := os.Remove(path); err != nil {
				return err
			}
		}
	}
	for name, page := range pages {
		if err := cli.ReplaceFile(filepath.Join(dir, name), page); err != nil {
			return err
		}
	}
	return nil
}
