package cifar

import (
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"manvision/data/classes"
)

// Splits says which of the splits train and test a folder or archive seems to have,
// by the names of its files. Folders of image files are not looked for: they are
// class folders like others.
func Splits(root string) ([]string, error) {
	found := map[string]bool{}
	if classes.IsArchive(root) {
		err := classes.WalkArchive(root, func(name string, _ int64, _ io.Reader) error {
			elements := strings.Split(name, "/")
			if _, split, ok := role(path.Base(name)); ok {
				found[split] = true
			} else if n := len(elements); n >= 3 && classes.IsImage(name) {
				found[elements[n-3]] = true
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	} else {
		dirs := []string{root}
		for i := range variants {
			dirs = append(dirs, filepath.Join(root, variants[i].folder))
		}
		for _, dir := range dirs {
			entries, err := os.ReadDir(dir)
			if err != nil && dir == root {
				return nil, classes.ReadError(root, -1, err)
			}
			for _, e := range entries {
				if _, split, ok := role(e.Name()); ok && !e.IsDir() {
					found[split] = true
				}
			}
		}
	}
	return slices.DeleteFunc([]string{Train, Test}, func(s string) bool { return !found[s] }), nil
}
