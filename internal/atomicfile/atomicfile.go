// Package atomicfile writes files in one step: whoever looks sees the old file or the
// whole new one.
package atomicfile

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Write replaces the file at path by what write writes: to a temporary file beside it,
// which then gets the name. A failure leaves what was there. It is for files that are made
// in numbers and can be made again; see Save.
func Write(path string, write func(w io.Writer) error) error { return replace(path, write, false) }

// Save is Write of a file that is to survive a power cut from then on.
func Save(path string, write func(w io.Writer) error) error { return replace(path, write, true) }

func replace(path string, write func(w io.Writer) error, sync bool) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	b := bufio.NewWriterSize(f, 1<<16)
	if err = write(b); err == nil {
		err = errors.Join(b.Flush(), f.Chmod(0o644))
	}
	if err == nil && sync {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}
