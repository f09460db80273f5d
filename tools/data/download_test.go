package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The command prints the path of what it fetched from a server of the test's own, and
// says when a file was there already.
func TestDownload(t *testing.T) {
	contents := []byte("not really weights")
	sum := sha256.Sum256(contents)
	name := "net-" + hex.EncodeToString(sum[:4]) + ".pth"
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write(contents) }))
	defer s.Close()
	var out, errs bytes.Buffer
	o := &downloadOptions{dir: t.TempDir(), limit: 1, stdout: &out, stderr: &errs}
	for range 2 {
		if err := o.fetch(context.Background(), s.URL+"/"+name); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(o.dir, name)
	if got, err := os.ReadFile(file); err != nil || !bytes.Equal(got, contents) {
		t.Error(string(got), err)
	}
	if out.String() != file+"\n"+file+"\n" || strings.Count(errs.String(), "is there already") != 1 {
		t.Errorf("%q, %q", out.String(), errs.String())
	}
}

func TestDownloadUsage(t *testing.T) {
	for line, want := range map[string]string{
		"download":                            "name what to download: weights",
		"download weights":                    "--list",
		"download weights resnet51":           `no published weights are called "resnet51"`,
		"download weights resnet50 --limit 0": "--limit 0",
		"download weights --nonsense":         "--help",
	} {
		var out, errs bytes.Buffer
		if rc := run(strings.Fields(line), &out, &errs); rc != 2 || !strings.Contains(errs.String(), want) {
			t.Errorf("%s: exit %d, %s", line, rc, errs.String())
		}
	}
	var out, errs bytes.Buffer
	if rc := run([]string{"download", "weights", "--list"}, &out, &errs); rc != 0 || !strings.Contains(out.String(), "resnet50_v2") || !strings.Contains(out.String(), "/models/resnet50-0676ba61.pth\n") {
		t.Errorf("exit %d: %s%s", rc, out.String(), errs.String())
	}
}
