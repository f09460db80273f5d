package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"manvision/data/coco"
	"manvision/internal/cli"
)

// extensions of the files that a folder's images are told by. A file named by
// itself or by a pattern may have any.
var extensions = []string{".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"}

// findImages lists the image files that --input names, sorted by name.
func findImages(input string) ([]string, error) {
	st, err := os.Stat(input)
	if err != nil {
		paths, bad := filepath.Glob(input)
		if bad != nil {
			return nil, cli.Usage("--input %q is no pattern: %w", input, bad)
		}
		if len(paths) == 0 {
			return nil, cli.Usage("--input %s: no such file or folder, and no file matches it", input)
		}
		return slices.DeleteFunc(paths, isFolder), nil
	}
	if !st.IsDir() {
		return []string{input}, nil
	}
	entries, err := os.ReadDir(input)
	if err != nil {
		return nil, cli.Input(err)
	}
	var paths []string
	for _, e := range entries {
		if !e.IsDir() && slices.Contains(extensions, strings.ToLower(filepath.Ext(e.Name()))) {
			paths = append(paths, filepath.Join(input, e.Name()))
		}
	}
	if len(paths) == 0 {
		return nil, cli.Usage("--input %s: the folder holds no image (%s)", input, strings.Join(extensions, " "))
	}
	return paths, nil
}

func isFolder(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.IsDir()
}

// pictureNames chooses a file name for every input's picture: its own with .png,
// and with a number where two would be the same.
func pictureNames(paths []string) []string {
	used := map[string]bool{"sheet.png": true}
	out := make([]string, len(paths))
	for i, p := range paths {
		base := strings.TrimSuffix(filepath.Base(p), filepath.Ext(p))
		name := base + ".png"
		for n := 2; used[strings.ToLower(name)]; n++ {
			name = fmt.Sprintf("%s-%d.png", base, n)
		}
		used[strings.ToLower(name)] = true
		out[i] = name
	}
	return out
}

// imageIDs gives every file its id: the position, or that of the ground truth's
// image of the same file name.
func imageIDs(paths []string, gt *coco.Dataset) ([]int64, error) {
	ids := make([]int64, len(paths))
	if gt == nil {
		for i := range ids {
			ids[i] = int64(i)
		}
		return ids, nil
	}
	byName := map[string]int64{}
	for _, im := range gt.Images {
		byName[filepath.Base(im.FileName)] = im.ID
	}
	seen := map[int64]string{}
	for i, p := range paths {
		id, ok := byName[filepath.Base(p)]
		if !ok {
			return nil, cli.Usage("%s: %s lists no image of that name", p, gt.Path)
		}
		if other, twice := seen[id]; twice {
			return nil, cli.Usage("%s and %s are both image %d of %s", other, p, id, gt.Path)
		}
		seen[id], ids[i] = p, id
	}
	return ids, nil
}
