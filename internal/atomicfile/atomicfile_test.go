package atomicfile

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A new file has the text and can be read by others; one whose writing fails stays as it
// was, and nothing is left beside it.
func TestReplace(t *testing.T) {
	broken := errors.New("broken")
	for name, write := range map[string]func(string, func(io.Writer) error) error{"Write": Write, "Save": Save} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "a.txt")
			text := func(s string, err error) func(io.Writer) error {
				return func(w io.Writer) error {
					io.WriteString(w, s)
					return err
				}
			}
			for _, s := range []string{"one", "two"} {
				if err := write(path, text(s, nil)); err != nil {
					t.Fatal(err)
				}
			}
			if err := write(path, text("three", broken)); !errors.Is(err, broken) || !strings.Contains(err.Error(), path) {
				t.Errorf("error %v", err)
			}
			if err := write(filepath.Join(dir, "none", "a.txt"), text("", nil)); err == nil {
				t.Error("no error without the folder")
			}
			got, err := os.ReadFile(path)
			if err != nil || string(got) != "two" {
				t.Errorf("the file holds %q, %v", got, err)
			}
			if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o644 {
				t.Errorf("mode %v, %v", st.Mode(), err)
			}
			if list, _ := os.ReadDir(dir); len(list) != 1 {
				t.Errorf("%d files are left", len(list))
			}
		})
	}
}
