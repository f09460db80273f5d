package docpages

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"manvision/internal/testdata"
)

// The pages are what the commands say, and train's help fits two screens of 48 lines and
// 100 columns.
func TestCommands(t *testing.T) {
	bin := t.TempDir()
	names, err := Build(testdata.Root(), bin)
	if err != nil {
		t.Fatal(err)
	}
	pages, err := Commands(bin, names)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(testdata.Root(), "docs", "commands")
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if pages[e.Name()] == nil {
			t.Errorf("docs/commands/%s belongs to no command: make docs", e.Name())
		}
	}
	for name, page := range pages {
		if have, err := os.ReadFile(filepath.Join(dir, name)); err != nil || !bytes.Equal(have, page) {
			t.Errorf("docs/commands/%s is not what --help says: make docs (%v)", name, err)
		}
	}
	h, err := ask(bin, []string{"train"})
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(h.text, "\n")
	rows := 0
	for _, l := range lines {
		rows += max(1, (len([]rune(l))+99)/100)
	}
	t.Logf("train --help: %d lines, %d rows of a screen of 100 columns", len(lines), rows)
	if rows > 2*48 {
		t.Errorf("train --help takes %d rows of 100 columns, more than two screens of 48", rows)
	}
}
