package golden

import (
	"os"
	"path/filepath"
	"testing"

	"manvision/internal/testdata"
)

// DirEnv names the environment variable that adds a folder of golden files.
const DirEnv = "MANVISION_GOLDEN_DIR"

// Load returns the golden files of the named models for a TestGolden test: those
// of ../shared/golden beside the checkout and those of the folder that
// MANVISION_GOLDEN_DIR names. A file that stands in both folders under one name
// is taken from the latter. Without any folder the test is skipped with a
// message (with CI=true it fails, see package testdata).
func Load(t testing.TB, models ...string) []*File {
	t.Helper()
	var files []*File
	extra := os.Getenv(DirEnv)
	seen := map[string]bool{}
	if extra != "" {
		got, err := ReadDir(extra, models...)
		if err != nil {
			t.Fatalf("%s: %v", DirEnv, err)
		}
		if len(got) == 0 {
			t.Logf("%s=%s: no golden file of models %q there", DirEnv, extra, models)
		}
		for _, f := range got {
			seen[f.Name] = true
		}
		files = got
	}
	shared := filepath.Join(filepath.Dir(testdata.Root()), "shared", "golden")
	if _, err := os.Stat(shared); err != nil {
		if extra != "" {
			return files
		}
		shared = testdata.Golden(t, "")
	}
	got, err := ReadDir(shared, models...)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range got {
		if !seen[f.Name] {
			files = append(files, f)
		}
	}
	return files
}
