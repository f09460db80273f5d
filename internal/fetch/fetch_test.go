package fetch

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var contents = bytes.Repeat([]byte("weights "), 50_000)

func named(b []byte) string {
	sum := sha256.Sum256(b)
	return "net-" + hex.EncodeToString(sum[:4]) + ".pth"
}

// serve answers as real servers do, ranges included, and counts the bytes asked for.
func serve(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	return s.URL + "/models/" + named(contents)
}

func whole(w http.ResponseWriter, r *http.Request) {
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(contents))
}

func TestFetch(t *testing.T) {
	url, dir := serve(t, whole), filepath.Join(t.TempDir(), "new")
	var done, total int64
	file, fetched, err := File(context.Background(), url, dir, Options{Limit: 1 << 20, Progress: func(d, n int64) { done, total = d, n }})
	if err != nil || !fetched || file != filepath.Join(dir, named(contents)) || done != int64(len(contents)) || total != done {
		t.Fatal(file, fetched, done, total, err)
	}
	if got, err := os.ReadFile(file); err != nil || !bytes.Equal(got, contents) {
		t.Fatal(len(got), err)
	}
	if _, err := os.Stat(file + partial); !os.IsNotExist(err) {
		t.Error(err)
	}
	// A second time nothing is asked for; a damaged file is not taken for the right one.
	if _, fetched, err := File(context.Background(), "http://127.0.0.1:1/"+named(contents), dir, Options{Limit: 1 << 20}); err != nil || fetched {
		t.Error(fetched, err)
	}
	if err := os.WriteFile(file, contents[1:], 0o666); err != nil {
		t.Fatal(err)
	}
	if _, _, err := File(context.Background(), url, dir, Options{Limit: 1 << 20}); err == nil || !strings.Contains(err.Error(), "remove it") {
		t.Error(err)
	}
}

// A transfer that breaks off leaves what came, and the next one asks for the rest.
func TestResume(t *testing.T) {
	var ranges []string
	first := true
	url, dir := serve(t, func(w http.ResponseWriter, r *http.Request) {
		ranges = append(ranges, r.Header.Get("Range"))
		if first {
			first = false
			w.Header().Set("Content-Length", fmt.Sprint(len(contents)))
			w.Write(contents[:100_000])
			panic(http.ErrAbortHandler)
		}
		whole(w, r)
	}), t.TempDir()
	o := Options{Limit: 1 << 20}
	file, _, err := File(context.Background(), url, dir, o)
	if err == nil || !strings.Contains(err.Error(), "run it again to go on") {
		t.Fatal(err)
	}
	st, err := os.Stat(file + partial)
	if err != nil || st.Size() == 0 || st.Size() > 100_000 {
		t.Fatal(st, err)
	}
	if _, fetched, err := File(context.Background(), url, dir, o); err != nil || !fetched {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("bytes=%d-", st.Size()); len(ranges) != 2 || ranges[1] != want {
		t.Errorf("ranges %q, want %q", ranges, want)
	}
	if got, err := os.ReadFile(file); err != nil || !bytes.Equal(got, contents) {
		t.Error(len(got), err)
	}
}

// A beginning that is whole, one of another file, and a server without ranges.
func TestBeginnings(t *testing.T) {
	for name, c := range map[string]struct {
		have    []byte
		handler http.HandlerFunc
		err     string
	}{
		"whole":     {contents, whole, ""},
		"other":     {bytes.Repeat([]byte("x"), 1000), whole, "SHA-256"},
		"longer":    {append(bytes.Clone(contents), 1), whole, "cannot continue"},
		"no ranges": {contents[:1000], func(w http.ResponseWriter, _ *http.Request) { w.Write(contents) }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			url, dir := serve(t, c.handler), t.TempDir()
			file := filepath.Join(dir, named(contents))
			if err := os.WriteFile(file+partial, c.have, 0o666); err != nil {
				t.Fatal(err)
			}
			_, _, err := File(context.Background(), url, dir, Options{Limit: 1 << 20})
			if c.err == "" {
				if got, bad := os.ReadFile(file); err != nil || bad != nil || !bytes.Equal(got, contents) {
					t.Error(len(got), err, bad)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Error(err)
			}
			if left, _ := os.ReadDir(dir); len(left) > 0 {
				t.Errorf("left %v", left)
			}
		})
	}
}

func TestRefused(t *testing.T) {
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		err     string
	}{
		"announced size": {whole, "more than the limit"},
		"size that comes": {func(w http.ResponseWriter, _ *http.Request) {
			w.(http.Flusher).Flush()
			for range 100 {
				if _, err := w.Write(contents); err != nil {
					return
				}
			}
		}, "more than the limit"},
		"missing": {func(w http.ResponseWriter, r *http.Request) { http.NotFound(w, r) }, "404"},
		"silence": {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, "nothing came for"},
	} {
		t.Run(name, func(t *testing.T) {
			url, dir := serve(t, c.handler), t.TempDir()
			_, _, err := File(context.Background(), url, dir, Options{Limit: 300_000, Stall: 300 * time.Millisecond})
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Error(err)
			}
			if _, err := os.Stat(filepath.Join(dir, named(contents))); !os.IsNotExist(err) {
				t.Error(err)
			}
		})
	}
	if _, _, err := File(context.Background(), "http://127.0.0.1:1/model.pth", t.TempDir(), Options{Limit: 1}); err == nil || !strings.Contains(err.Error(), "hash") {
		t.Error(err)
	}
}

func TestRedirects(t *testing.T) {
	plain := httptest.NewServer(http.HandlerFunc(whole))
	defer plain.Close()
	safe := httptest.NewTLSServer(http.RedirectHandler(plain.URL+"/"+named(contents), http.StatusFound))
	defer safe.Close()
	client := safe.Client()
	client.CheckRedirect = secure
	if _, _, err := File(context.Background(), safe.URL+"/"+named(contents), t.TempDir(), Options{Limit: 1 << 20, Client: client}); err == nil || !strings.Contains(err.Error(), "https to http") {
		t.Error(err)
	}
}
