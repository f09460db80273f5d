package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
)

// writeJSON writes v to a file, or to stdout for "-".
func writeJSON(path string, stdout io.Writer, v any) error {
	w := stdout
	if path != "-" {
		f, err := os.Create(path)
		if err != nil {
			return usageError{err}
		}
		defer f.Close()
		w = f
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	err := enc.Encode(v)
	if f, ok := w.(*os.File); ok && path != "-" {
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}
