package classes

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

func write(t *testing.T, dir string, names ...string) string {
	t.Helper()
	for _, name := range names {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// The expected order is that of torchvision 0.14.1's ImageFolder over the same
// files (testdata/gen_folders.py).
func TestScanFoldersOrder(t *testing.T) {
	names, err := os.ReadFile("testdata/folders.txt")
	if err != nil {
		t.Fatal(err)
	}
	var files, want []string
	for _, line := range strings.Split(strings.TrimSpace(string(names)), "\n") {
		name, expected, _ := strings.Cut(line, "\t")
		files = append(files, name)
		if expected != "-" {
			want = append(want, expected)
		}
	}
	dir := write(t, t.TempDir(), files...)
	s := ScanFolders(dir, FolderOptions{})
	if err := s.Err(); err != nil {
		t.Fatal(err)
	}
	got := make([]string, s.Len())
	// The script numbers images by their position.
	for i, f := range s.Files {
		rel, err := filepath.Rel(dir, f)
		if err != nil {
			t.Fatal(err)
		}
		got[i] = filepath.ToSlash(rel) + " " + s.Folders[s.Classes[i]]
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("order\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if len(s.Skipped)+s.Len() != len(files) {
		t.Errorf("%d images and %d skipped of %d files", s.Len(), len(s.Skipped), len(files))
	}
}

func TestScanFoldersProblems(t *testing.T) {
	kinds := func(s *Set) (out []Kind) {
		for _, p := range s.Problems {
			out = append(out, p.Kind)
		}
		return out
	}
	dir := write(t, t.TempDir(), "a/1.jpg", "b/readme.txt", "c/x/y/2.PNG", ".DS_Store")
	s := ScanFolders(dir, FolderOptions{})
	if got := kinds(s); !reflect.DeepEqual(got, []Kind{EmptyClass}) || len(s.Skipped) != 2 {
		t.Errorf("problems %v, skipped %v", s.Problems, s.Skipped)
	}
	if s := ScanFolders(dir, FolderOptions{AllowEmpty: true}); s.Err() != nil || !reflect.DeepEqual(s.Classes, []int32{0, 2}) {
		t.Errorf("%v, classes %v", s.Err(), s.Classes)
	}
	s = ScanFolders(dir, FolderOptions{Classes: []string{"c", "a", "z"}})
	if got := kinds(s); !reflect.DeepEqual(got, []Kind{NoClass, Missing}) || !reflect.DeepEqual(s.Classes, []int32{0, 1}) {
		t.Errorf("problems %v, classes %v", s.Problems, s.Classes)
	}
	if s := ScanFolders(filepath.Join(dir, "none"), FolderOptions{}); !reflect.DeepEqual(kinds(s), []Kind{Missing}) || !strings.Contains(s.Err().Error(), "no such folder") {
		t.Errorf("missing folder: %v", s.Err())
	}
	if s := ScanFolders(t.TempDir(), FolderOptions{}); !reflect.DeepEqual(kinds(s), []Kind{NoImages}) {
		t.Errorf("empty folder: %v", s.Err())
	}
	if err := os.Symlink(filepath.Join(dir, "a"), filepath.Join(dir, "a", "loop")); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	if s := ScanFolders(dir, FolderOptions{AllowEmpty: true}); s.Err() == nil || !strings.Contains(s.Err().Error(), "does a link lead back?") {
		t.Errorf("a link back: %v", s.Err())
	}
	if d := time.Since(start); d > 5*time.Second {
		t.Errorf("a link back took %v", d)
	}
}

func TestWalkArchive(t *testing.T) {
	pack := func(headers ...*tar.Header) string {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		w := tar.NewWriter(z)
		for _, h := range headers {
			if err := w.WriteHeader(h); err != nil {
				t.Fatal(err)
			}
			if _, err := io.CopyN(w, zeros{}, h.Size); err != nil {
				t.Fatal(err)
			}
		}
		if err := errors.Join(w.Close(), z.Close()); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "a.tar.gz")
		if err := os.WriteFile(path, b.Bytes(), 0o666); err != nil {
			t.Fatal(err)
		}
		return path
	}
	file := func(name string, size int64) *tar.Header {
		return &tar.Header{Name: name, Size: size, Mode: 0o644, Typeflag: tar.TypeReg}
	}
	var seen []string
	visit := func(name string, size int64, r io.Reader) error {
		seen = append(seen, name)
		return nil
	}
	if err := WalkArchive(pack(&tar.Header{Name: "d/", Typeflag: tar.TypeDir, Mode: 0o755}, file("./d//x", 5), file("y", 0)), visit); err != nil || !reflect.DeepEqual(seen, []string{"d/x", "y"}) {
		t.Errorf("%v, members %v", err, seen)
	}
	for want, path := range map[string]string{
		"leads out":       pack(file("d/../../x", 5)),
		`member "a\\..\\`: pack(file(`a\..\..\x`, 5)),
		"not a regular":   pack(&tar.Header{Name: "x", Typeflag: tar.TypeLink, Linkname: "y"}),
		"bytes unpacked":  pack(file("x", 300<<20)),
		"cannot be":       filepath.Join(t.TempDir(), "none.tar"),
	} {
		start := time.Now()
		err := WalkArchive(path, visit)
		var in *InputError
		if !errors.As(err, &in) || want != "cannot be" && !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
		if d := time.Since(start); d > 3*time.Second {
			t.Errorf("%v took %v", err, d)
		}
	}
	stop := errors.New("stop")
	if err := WalkArchive(pack(file("x", 1)), func(string, int64, io.Reader) error { return stop }); err != stop {
		t.Errorf("visit's error came back as %v", err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func TestParseNames(t *testing.T) {
	if got, err := ParseNames("x", []byte("a\r\n b c \n\n"), 2); err != nil || !reflect.DeepEqual(got, []string{"a", "b c"}) {
		t.Errorf("%q, %v", got, err)
	}
	for _, bad := range []string{"", "a\n\nb", "a\na", "a", "a\nb\nc", "a\n\xff"} {
		if got, err := ParseNames("x", []byte(bad), 2); err == nil {
			t.Errorf("%q gives %q", bad, got)
		}
	}
}

func TestFromPlanes(t *testing.T) {
	// 2x3 pixels (w x h) numbered 0-5 by row; plane k adds 10*k.
	rows := []uint8{0, 1, 2, 3, 4, 5, 10, 11, 12, 13, 14, 15, 20, 21, 22, 23, 24, 25}
	columns := []uint8{0, 2, 4, 1, 3, 5, 10, 12, 14, 11, 13, 15, 20, 22, 24, 21, 23, 25}
	want := []uint8{0, 10, 20, 1, 11, 21, 2, 12, 22, 3, 13, 23, 4, 14, 24, 5, 15, 25}
	for i, src := range [][]uint8{rows, columns} {
		got := make([]uint8, 18)
		if FromPlanes(got, src, 2, 3, i == 1); !bytes.Equal(got, want) {
			t.Errorf("columns %v: %v", i == 1, got)
		}
	}
}

func TestErrCountsKinds(t *testing.T) {
	s := &Set{Problems: []*InputError{
		{Path: "a", Offset: 7, Kind: BadLabel, Problem: "label 12", Fix: "do this"}, {Path: "b", Offset: -1, Kind: BadLabel, Problem: "label 13"}, {Path: "c", Offset: -1, Kind: Missing, Problem: "gone"},
	}}
	if got, want := s.Err().Error(), "a: byte 7: label 12; do this (and 1 more: label out of range)\nc: gone"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	var in *InputError
	if !errors.As(s.Err(), &in) {
		t.Error("no InputError inside")
	}
	if err := (&Set{}).Err(); !errors.As(err, &in) || in.Kind != NoImages {
		t.Errorf("an empty set: %v", err)
	}
}
