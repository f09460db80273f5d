package main

import (
	"errors"
	"io"
	"io/fs"

	"manvision/internal/cli"
)

// writeJSON writes v to a file in one step, or to stdout for "-".
func writeJSON(path string, stdout io.Writer, v any) error {
	err := cli.WriteJSON(path, stdout, v)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return usageError{err}
	}
	return err
}
