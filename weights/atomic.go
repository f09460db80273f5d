package weights

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// output is a file to be written.
type output struct {
	path  string
	write func(w io.Writer) error
}

// tempFile is a file being written. createTemp is replaced by the tests of full
// disks.
type tempFile interface {
	io.Writer
	Sync() error
	Close() error
}

var createTemp = func(path string) (tempFile, error) {
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
}

// tempSuffix ends the names of files being written; they begin with a dot.
const tempSuffix = ".partial"

// replace writes all outputs beside their targets and flushes them to the disk
// before it renames the first, so that a failure leaves every target as it was.
// Between the renames the first target is already new: it must make sense alone.
func replace(outs []output) (err error) {
	var temps []string
	defer func() {
		for _, t := range temps {
			if t != "" {
				os.Remove(t)
			}
		}
	}()
	for _, o := range outs {
		fail := func(err error) error {
			return fmt.Errorf("cannot write %s: %w (what was saved before is untouched)", o.path, cause(err))
		}
		dir, base := filepath.Split(o.path)
		temp := filepath.Join(dir, fmt.Sprintf(".%s.%d%s", base, os.Getpid(), tempSuffix))
		os.Remove(temp) // of an earlier process with the same number
		f, err := createTemp(temp)
		if err != nil {
			return fail(err)
		}
		temps = append(temps, temp)
		err = o.write(f)
		if err == nil {
			err = f.Sync()
		}
		if e := f.Close(); err == nil {
			err = e
		}
		if err != nil {
			return fail(err)
		}
	}
	for i, o := range outs {
		if err := os.Rename(temps[i], o.path); err != nil {
			return fmt.Errorf("cannot write %s: %w", o.path, cause(err))
		}
		temps[i] = ""
	}
	for _, o := range outs {
		if err := syncDir(filepath.Dir(o.path)); err != nil {
			return fmt.Errorf("cannot flush the folder of %s: %w", o.path, cause(err))
		}
	}
	return nil
}

// ReplaceFile writes a file and flushes it to the disk in one step: a failure or a crash
// leaves the old one.
func ReplaceFile(path string, write func(w io.Writer) error) error {
	return replace([]output{{path, write}})
}

// makeDir makes a folder and those above it, each of which survives a power cut.
func makeDir(dir string) error {
	if st, err := os.Stat(dir); err == nil && st.IsDir() {
		return nil
	}
	parent := filepath.Dir(dir)
	if parent != dir {
		if err := makeDir(parent); err != nil {
			return err
		}
	}
	if err := os.Mkdir(dir, 0o777); err != nil && !os.IsExist(err) {
		return err
	}
	return syncDir(parent)
}

// syncDir makes renames in a folder survive a power cut.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// removePartials deletes the files that an interrupted process left half written.
func removePartials(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if n := e.Name(); strings.HasPrefix(n, ".") && strings.HasSuffix(n, tempSuffix) {
			if err := os.Remove(filepath.Join(dir, n)); err != nil && !os.IsNotExist(err) {
				return err
			}
		}
	}
	return nil
}
