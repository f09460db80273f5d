// Package testdata finds the real images, labels and oracles that the tests run
// on. They are not part of the project: they lie in ../shared beside the
// checkout on the developers' and the CI machines.
package testdata

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// Root returns the absolute path of the repository's root folder.
func Root() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Dir(filepath.Dir(filepath.Dir(file)))
}

// Shared returns the absolute path of ../shared/data/rel. Where ../shared is
// missing the test is skipped with a message; with CI=true it fails instead,
// because there the tests on real data must run.
func Shared(t testing.TB, rel string) string {
	t.Helper()
	return locate(t, filepath.Join("data", rel))
}

// Golden returns the absolute path of ../shared/golden/rel under the same rules
// as Shared.
func Golden(t testing.TB, rel string) string {
	t.Helper()
	return locate(t, filepath.Join("golden", rel))
}

func locate(t testing.TB, rel string) string {
	t.Helper()
	shared := filepath.Join(filepath.Dir(Root()), "shared")
	path := filepath.Join(shared, rel)
	if _, err := os.Stat(path); err != nil {
		_, missing := os.Stat(shared)
		if os.Getenv("CI") == "true" && missing == nil {
			t.Fatalf("real test data missing: %v", err)
		}
		t.Skipf("skipped: real test data not found (%v)", err)
	}
	return path
}
