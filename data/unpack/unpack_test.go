package unpack

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"manvision/data/classes"
)

// entry is a member of an archive that a test makes.
type entry struct {
	name, text string
	mode       fs.FileMode
}

var good = []entry{{name: "set/a.txt", text: "first"}, {name: "set/b/c.txt", text: strings.Repeat("second ", 1000)}, {name: "LICENSE", text: "terms"}}

func zipOf(t *testing.T, list []entry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, e := range list {
		h := &zip.FileHeader{Name: e.name, Method: zip.Deflate}
		h.SetMode(e.mode | 0o644)
		f, err := w.CreateHeader(h)
		if err == nil {
			_, err = f.Write([]byte(e.text))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func tarOf(t *testing.T, list []entry) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for _, e := range list {
		h := &tar.Header{Name: e.name, Mode: 0o644, Size: int64(len(e.text)), Typeflag: tar.TypeReg}
		if e.mode&fs.ModeSymlink != 0 {
			h.Typeflag, h.Linkname, h.Size, e.text = tar.TypeSymlink, e.text, 0, ""
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(e.text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), z.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// forms are the archives that every test takes.
var forms = map[string]func(*testing.T, []entry) []byte{"a.zip": zipOf, "a.tar.gz": tarOf}

func write(t *testing.T, path string, b []byte) string {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o777), os.WriteFile(path, b, 0o666)); err != nil {
		t.Fatal(err)
	}
	return path
}

func inSet(name string) bool { return strings.HasPrefix(name, "set/") }

// files lists all files below a folder.
func files(t *testing.T, dir string) string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			rel, _ := filepath.Rel(dir, path)
			out = append(out, rel)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(out, " ")
}

func TestArchive(t *testing.T) {
	for name, make := range forms {
		t.Run(name, func(t *testing.T) {
			archive, dir := write(t, filepath.Join(t.TempDir(), name), make(t, good)), filepath.Join(t.TempDir(), "new")
			steps, room := 0, int64(0)
			o := Options{Select: inSet, Progress: func() { steps++ }, Room: func(n int64) error { room = n; return nil }}
			r, err := Archive(context.Background(), archive, dir, o)
			if err != nil || r.Written != 2 || r.LeftOut != 1 || r.Kept != 0 || r.Bytes != 7005 || steps != 2 {
				t.Fatalf("%+v, %v", r, err)
			}
			if name == "a.zip" && room != 7005 {
				t.Errorf("asked for room for %d bytes", room)
			}
			if got := files(t, dir); got != "set/a.txt set/b/c.txt" {
				t.Errorf("files %s", got)
			}
			if b, _ := os.ReadFile(filepath.Join(dir, "set/b/c.txt")); string(b) != good[1].text {
				t.Errorf("read %q", b)
			}
			// One is missing, one half written: only these are written.
			if err := os.Remove(filepath.Join(dir, "set/a.txt")); err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(dir, "set/a.txt.part"), []byte("fi"))
			if r, err := Archive(context.Background(), archive, dir, o); err != nil || r.Written != 1 || r.Kept != 1 {
				t.Errorf("%+v, %v", r, err)
			}
			// Another file of that name stays unless it may be replaced.
			write(t, filepath.Join(dir, "set/a.txt"), []byte("other"))
			if _, err := Archive(context.Background(), archive, dir, o); err == nil || !strings.Contains(err.Error(), "set/a.txt is there and is not the file in") {
				t.Error(err)
			}
			if b, _ := os.ReadFile(filepath.Join(dir, "set/a.txt")); string(b) != "other" {
				t.Errorf("overwritten by %q", b)
			}
			o.Replace = true
			if r, err := Archive(context.Background(), archive, dir, o); err != nil || r.Written != 1 {
				t.Errorf("%+v, %v", r, err)
			}
			if b, _ := os.ReadFile(filepath.Join(dir, "set/a.txt")); string(b) != "first" {
				t.Errorf("read %q", b)
			}
			if got := files(t, dir); got != "set/a.txt set/b/c.txt" {
				t.Errorf("files %s", got)
			}
		})
	}
}

func TestRefused(t *testing.T) {
	for what, c := range map[string]struct {
		list []entry
		err  string
	}{
		"up":       {[]entry{{name: "../x", text: "x"}}, "leads out of"},
		"up later": {[]entry{good[0], {name: "set/../../x", text: "x"}}, "leads out of"},
		"absolute": {[]entry{{name: "/abs/x", text: "x"}}, "leads out of"},
		"windows":  {[]entry{{name: `..\x`, text: "x"}}, "leads out of"},
		"link":     {[]entry{{name: "set/x", text: "/etc/passwd", mode: fs.ModeSymlink}}, "not a regular file"},
		"twice":    {[]entry{good[0], good[0]}, "is there twice"},
		"bomb":     {[]entry{{name: "set/x", text: strings.Repeat("\x00", freeUnpacked+32<<20)}}, "unpack"},
		"others":   {[]entry{{name: "LICENSE", text: "x"}}, "none of its 1 files was expected; the first are LICENSE"},
	} {
		for name, make := range forms {
			t.Run(what+" "+name, func(t *testing.T) {
				top := t.TempDir()
				archive := write(t, filepath.Join(top, name), make(t, c.list))
				_, err := Archive(context.Background(), archive, filepath.Join(top, "in", "dir"), Options{Select: inSet})
				var in *classes.InputError
				if !errors.As(err, &in) || !strings.Contains(err.Error(), c.err) {
					t.Error(err)
				}
				if got := files(t, filepath.Join(top, "in")); strings.HasSuffix(got, "/x") || strings.Contains(got, partial) {
					t.Errorf("left %s", got)
				}
			})
		}
	}
}

// Whatever is cut off or turned over is named, and nothing of it gets its name.
func TestDamaged(t *testing.T) {
	for name, make := range forms {
		whole := make(t, good)
		for _, cut := range []int{0, 10, len(whole) / 2, len(whole) - 5} {
			archive := write(t, filepath.Join(t.TempDir(), name), whole[:cut])
			if _, err := Archive(context.Background(), archive, t.TempDir(), Options{}); err == nil {
				t.Errorf("%s of %d bytes was accepted", name, cut)
			}
		}
		for at := range whole {
			b := bytes.Clone(whole)
			b[at] ^= 0x40
			dir := t.TempDir()
			_, err := Archive(context.Background(), write(t, filepath.Join(t.TempDir(), name), b), dir, Options{})
			if got := files(t, dir); strings.Contains(got, partial) {
				t.Fatalf("%s, byte %d: left %s", name, at, got)
			}
			// Dates and the like may be anything.
			if c, _ := os.ReadFile(filepath.Join(dir, good[1].name)); err == nil && c != nil && string(c) != good[1].text {
				t.Errorf("%s, byte %d: other contents were accepted", name, at)
			}
		}
	}
	for _, path := range []string{"nothing.zip", t.TempDir(), write(t, filepath.Join(t.TempDir(), "a.rar"), []byte("x"))} {
		if _, err := Archive(context.Background(), path, t.TempDir(), Options{}); err == nil {
			t.Errorf("%s was accepted", path)
		}
	}
}

// A link in the folder that leads out of it is not followed, and a stop leaves nothing
// behind.
func TestFolder(t *testing.T) {
	for name, make := range forms {
		archive, dir, out := write(t, filepath.Join(t.TempDir(), name), make(t, good)), t.TempDir(), t.TempDir()
		if err := os.Symlink(out, filepath.Join(dir, "set")); err != nil {
			t.Fatal(err)
		}
		if _, err := Archive(context.Background(), archive, dir, Options{}); err == nil || files(t, out) != "" {
			t.Errorf("%s: %v, wrote %q", name, err, files(t, out))
		}
		ctx, stop := context.WithCancel(context.Background())
		stop()
		dir = t.TempDir()
		if _, err := Archive(ctx, archive, dir, Options{}); !errors.Is(err, context.Canceled) || files(t, dir) != "" {
			t.Errorf("%s: %v, left %q", name, err, files(t, dir))
		}
		full := errors.New("full")
		if _, err := Archive(context.Background(), archive, dir, Options{Room: func(int64) error { return full }}); name == "a.zip" && !errors.Is(err, full) {
			t.Error(err)
		}
	}
}
