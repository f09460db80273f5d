package data

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"manvision/data/classes"
)

func TestCheckClassification(t *testing.T) {
	dir := t.TempDir()
	m := newMemory(t, 7)
	put := func(name string, from int) {
		t.Helper()
		b, err := os.ReadFile(m.items[from].Path)
		path := filepath.Join(dir, name)
		if err = errors.Join(err, os.MkdirAll(filepath.Dir(path), 0o777), os.WriteFile(path, b, 0o666)); err != nil {
			t.Fatal(err)
		}
	}
	put("a/0.jpg", 0)
	put("a/1.jpg", 1)
	put("a/again.jpg", 0)
	put("b/2.jpg", 2)
	put("b/as-a.jpg", 1)
	put("b/notes.txt", 3)
	put("b/cut.jpg", 4)
	if err := os.Truncate(filepath.Join(dir, "b/cut.jpg"), 300); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "c"), 0o777); err != nil {
		t.Fatal(err)
	}
	set := classes.ScanFolders(dir, classes.FolderOptions{})
	r, err := CheckClassification(context.Background(), set, CheckOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range r.Findings {
		got = append(got, string(f.Severity)+": "+f.Kind)
	}
	want := []string{
		"error: broken image", "error: class without images", "warning: class without images in this part",
		"warning: file that is no image by its name, left out", "warning: same image in two classes", "note: same image twice in a class",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") || r.Errors() != 2 {
		t.Errorf("findings\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if r.Images != 6 || r.Skipped != 1 || r.Least != 0 || r.Most != 3 || r.Classes[1].Images != 3 {
		t.Errorf("%+v", r)
	}
	// In memory.
	tiny := newTiny(t, 6).Set()
	tiny.Pixels[4] = tiny.Pixels[0]
	if r, err := CheckClassification(context.Background(), tiny, CheckOptions{}); err != nil || len(r.Findings) != 1 || r.Findings[0].Kind != "same image in two classes" {
		t.Errorf("%+v, %v", r, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := CheckClassification(ctx, set, CheckOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}
