package fetch

import (
	"bytes"
	"context"
	"crypto/md5"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A file under another name than the URL's, checked by a sum that is given.
func TestSum(t *testing.T) {
	url, dir := serve(t, whole), t.TempDir()
	right, err := ParseSum(MD5, fmt.Sprintf(" %X\n", md5.Sum(contents)))
	if err != nil {
		t.Fatal(err)
	}
	wrong := Sum{SHA256, strings.Repeat("0", 64)}
	o := Options{Limit: 1 << 20, Name: "a.zip", Sum: wrong, Typed: true}
	file := filepath.Join(dir, "a.zip")
	if _, _, err := File(context.Background(), url, dir, o); err == nil || !strings.Contains(err.Error(), "if the sum that was given is right, remove") {
		t.Fatal(err)
	}
	if _, err := os.Stat(file); !os.IsNotExist(err) {
		t.Fatal("a file of another sum was accepted")
	}
	// What came is kept, and taken with the right sum.
	o.Sum = right
	if _, fetched, err := File(context.Background(), url, dir, o); err != nil || !fetched {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Errorf("left %v", left)
	}
	o.Sum = wrong
	if _, _, err := File(context.Background(), url, dir, o); err == nil || !strings.Contains(err.Error(), "its SHA-256 begins with") {
		t.Error(err)
	}
	for _, text := range []string{"", "12", strings.Repeat("g", 32), strings.Repeat("0", 64)} {
		if _, err := ParseSum(MD5, text); err == nil {
			t.Errorf("%q became an MD5", text)
		}
	}
}

// A file that nothing is known of is continued only where it is still the same.
func TestUnchecked(t *testing.T) {
	other := bytes.Repeat([]byte("another"), 40_000)
	body, etag, cut := contents, `"1"`, true
	var got []string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = append(got, r.Header.Get("Range")+" "+r.Header.Get("If-Range"))
		if etag != "" {
			w.Header().Set("ETag", etag)
		}
		if cut {
			w.Header().Set("Content-Length", fmt.Sprint(len(body)))
			w.Write(body[:100_000])
			panic(http.ErrAbortHandler)
		}
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
	}))
	defer s.Close()
	o := Options{Limit: 1 << 20, Unchecked: true}
	for _, c := range []struct {
		name, first, second string
		body                []byte
		ranges              bool
	}{
		{"same", `"1"`, `"1"`, contents, true},
		{"changed", `"1"`, `"2"`, other, true},
		{"nameless", "", "", other, false},
	} {
		dir := t.TempDir()
		got, body, etag, cut = nil, contents, c.first, true
		if _, _, err := File(context.Background(), s.URL+"/a.zip", dir, o); err == nil {
			t.Fatal("half a file was accepted")
		}
		body, etag, cut = c.body, c.second, false
		file, _, err := File(context.Background(), s.URL+"/a.zip", dir, o)
		if err != nil {
			t.Fatal(c.name, err)
		}
		if b, _ := os.ReadFile(file); !bytes.Equal(b, c.body) {
			t.Errorf("%s: another file came", c.name)
		}
		if asked := strings.HasPrefix(got[1], "bytes="); asked != c.ranges || asked && !strings.HasSuffix(got[1], c.first) {
			t.Errorf("%s: requests %q", c.name, got)
		}
		if left, _ := os.ReadDir(dir); len(left) != 1 {
			t.Errorf("%s: left %v", c.name, left)
		}
	}
}
