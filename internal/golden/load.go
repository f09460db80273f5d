package golden

import (
	"os"
	"path/filepath"
	"testing"

	"manvision/internal/testdata"
)

// DirEnv names the environment variable that adds a folder of golden files.
const DirEnv = "MANVISION_GOLDEN_DIR"

// Load returns the golden files of the named models (none: all) for a TestGolden
// test: those of this package's testdata folder, whose README describes them,
// and every one in the folder that MANVISION_GOLDEN_DIR names. Where both hold
// a file of one name, only the latter's is returned. A file that does not read
// fails the test.
func Load(t testing.TB, models ...string) []*File {
	t.Helper()
	files, err := ReadDir(filepath.Join(testdata.Root(), "internal", "golden", "testdata"), models...)
	if err != nil {
		t.Fatal(err)
	}
	dir := os.Getenv(DirEnv)
	if dir == "" {
		return files
	}
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		t.Fatalf("%s=%s is no folder: %v", DirEnv, dir, err)
	}
	more, err := ReadDir(dir, models...)
	if err != nil {
		t.Fatalf("%s: %v", DirEnv, err)
	}
	if len(more) == 0 {
		t.Logf("%s=%s: no golden file of models %q there", DirEnv, dir, models)
	}
	at := map[string]int{}
	for i, f := range files {
		at[f.Name] = i
	}
	for _, f := range more {
		if i, ok := at[f.Name]; ok {
			files[i] = f
		} else {
			files = append(files, f)
		}
	}
	return files
}
