package main

import (
	"bufio"
	"fmt"
	"io/fs"
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

// findInputs lists the files that the inputs name, in their order and each once.
func findInputs(o *options) ([]string, error) {
	var all []string
	for _, in := range o.inputs {
		paths, err := findInput(in)
		if err != nil {
			return nil, err
		}
		all = append(all, paths...)
	}
	if o.list != "" {
		paths, err := o.listed()
		if err != nil {
			return nil, err
		}
		all = append(all, paths...)
	}
	seen := map[string]bool{}
	return slices.DeleteFunc(all, func(path string) bool {
		twice := seen[path]
		seen[path] = true
		return twice
	}), nil
}

// listed reads the paths that --list names, one a line.
func (o *options) listed() ([]string, error) {
	in, name := o.in, "stdin"
	if o.list != "-" {
		f, err := os.Open(o.list)
		if err != nil {
			return nil, cli.Usage("--list: %w", err)
		}
		defer f.Close()
		in, name = f, o.list
	}
	var paths []string
	lines := bufio.NewScanner(in)
	for n := 1; lines.Scan(); n++ {
		path := strings.TrimSuffix(lines.Text(), "\r")
		if path == "" {
			continue
		}
		st, err := os.Stat(path)
		if err == nil && st.IsDir() {
			err = fmt.Errorf("%s is a folder; --list names files", path)
		}
		if err != nil {
			return nil, cli.Usage("--list %s, line %d: %w", name, n, err)
		}
		paths = append(paths, path)
	}
	if err := lines.Err(); err != nil {
		return nil, cli.Usage("--list %s: %w", name, err)
	}
	if len(paths) == 0 {
		return nil, cli.Usage("--list %s names no file", name)
	}
	return paths, nil
}

// findInput lists the files that an input names, sorted by name.
func findInput(input string) ([]string, error) {
	st, err := os.Stat(input)
	if err != nil {
		paths, bad := filepath.Glob(input)
		if bad != nil {
			return nil, cli.Usage("--input %q is no pattern: %w", input, bad)
		}
		paths = slices.DeleteFunc(paths, isFolder)
		if len(paths) == 0 {
			return nil, cli.Usage("--input %s: no such file or folder, and no file matches it", input)
		}
		return paths, nil
	}
	if !st.IsDir() {
		return []string{input}, nil
	}
	paths, err := imagesIn(input, false)
	if err == nil && len(paths) == 0 { // a folder of folders, such as CityScapes' of cities
		paths, err = imagesIn(input, true)
	}
	if err != nil {
		return nil, cli.Input(err)
	}
	if len(paths) == 0 {
		return nil, cli.Usage("--input %s: the folder holds no image (%s)", input, strings.Join(extensions, " "))
	}
	return paths, nil
}

// imagesIn lists the images of a folder, or those of all its subfolders, by name.
func imagesIn(folder string, deep bool) (paths []string, err error) {
	err = filepath.WalkDir(folder, func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case path == folder:
		case e.IsDir() && (!deep || strings.HasPrefix(e.Name(), ".")):
			return fs.SkipDir
		case !e.IsDir() && slices.Contains(extensions, strings.ToLower(filepath.Ext(path))):
			paths = append(paths, path)
		}
		return nil
	})
	return paths, err
}

func isFolder(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.IsDir()
}

// sheetName is the file name of the contact sheet.
const sheetName = "sheet.png"

// pictureNames chooses a file name for every input's picture: its own with .png,
// and with a number where two would be the same.
func pictureNames(paths []string) []string {
	used := map[string]bool{sheetName: true}
	out := make([]string, len(paths))
	for i, p := range paths {
		base := stem(p)
		name := base + ".png"
		for n := 2; used[strings.ToLower(name)]; n++ {
			name = fmt.Sprintf("%s-%d.png", base, n)
		}
		used[strings.ToLower(name)] = true
		out[i] = name
	}
	return out
}

// stem is a file's name without folder and extension.
func stem(path string) string { return strings.TrimSuffix(filepath.Base(path), filepath.Ext(path)) }

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
