package labelmap

import (
	"fmt"
	"image"
	_ "image/jpeg" // sizes of images
	"os"
	"path/filepath"
	"runtime"
	"sort"
	"strings"
	"sync"

	_ "golang.org/x/image/bmp"
	_ "golang.org/x/image/tiff"
	_ "golang.org/x/image/webp"
)

// Folders pairs the images of one folder with the label maps (PNG, values are
// positions in classes) of another by their names without extension. ignore is
// the value of pixels that count nothing, negative if there is none. Both folders
// are flat; hidden files and files that are no images are passed over. A file
// without its partner, sizes that differ and a folder without images are errors.
func Folders(images, labels string, classes []Class, ignore int) (*Set, error) {
	s, err := ScanFolders(images, labels, classes, ignore)
	if err == nil {
		err = s.Err()
	}
	if err != nil {
		return nil, err
	}
	return s, nil
}

// ScanFolders is [Folders] for who wants to list what is wrong: what would make
// Folders fail is in the set's Problems, and its Pairs are the good ones. The
// error is for folders that cannot be read at all and unusable classes.
func ScanFolders(images, labels string, classes []Class, ignore int) (*Set, error) {
	coding, err := Indices(len(classes), ignore)
	if err != nil {
		return nil, err
	}
	s := &Set{Source: images, Classes: classes, Coding: coding}
	pictures, err := s.list(images, ".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")
	if err != nil {
		return nil, err
	}
	maps, err := s.list(labels, ".png")
	if err != nil {
		return nil, err
	}
	s.Match(pictures, maps, func(name string) string { return filepath.Join(labels, name+".png") })
	return s, nil
}

// list returns a folder's files of some extensions by name.
func (s *Set) list(dir string, extensions ...string) (map[string]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		e := unreadable(dir, err)
		e.Problem = strings.Replace(e.Problem, "the file", "the folder", 1)
		return nil, e
	}
	files := map[string]string{}
	for _, e := range entries {
		ext := filepath.Ext(e.Name())
		if e.IsDir() || strings.HasPrefix(e.Name(), ".") || !contains(extensions, strings.ToLower(ext)) {
			continue
		}
		name, path := strings.TrimSuffix(e.Name(), ext), filepath.Join(dir, e.Name())
		if other, ok := files[name]; ok {
			s.Problems = append(s.Problems, &InputError{Path: path, Kind: Ambiguous, Problem: "the same name as " + other, Fix: "leave one of them"})
			continue
		}
		files[name] = path
	}
	return files, nil
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}

// Match makes pairs of images and labels of equal keys, sorted by key, and
// compares their sizes. What has no partner or another size is added to Problems.
// expected names the label file that a key should have.
func (s *Set) Match(images, labels map[string]string, expected func(key string) string) {
	var keys []string
	for k, path := range images {
		if _, ok := labels[k]; ok {
			keys = append(keys, k)
			continue
		}
		s.Problems = append(s.Problems, &InputError{Path: path, Kind: MissingLabel, Problem: "the image has no label file: there is no " + expected(k)})
	}
	for k, path := range labels {
		if _, ok := images[k]; !ok {
			s.Problems = append(s.Problems, &InputError{Path: path, Kind: MissingImage, Problem: "the label file has no image"})
		}
	}
	sort.Strings(keys)
	type result struct {
		w, h int
		err  *InputError
	}
	results := make([]result, len(keys))
	var wg sync.WaitGroup
	workers := min(2*runtime.GOMAXPROCS(0), len(keys))
	for k := range workers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := k; i < len(keys); i += workers {
				r := &results[i]
				r.w, r.h, r.err = s.sizes(images[keys[i]], labels[keys[i]])
			}
		}()
	}
	wg.Wait()
	for i, k := range keys {
		r := results[i]
		if r.err != nil {
			s.Problems = append(s.Problems, r.err)
			continue
		}
		image := images[k]
		name := strings.TrimSuffix(filepath.Base(image), filepath.Ext(image))
		s.Pairs = append(s.Pairs, Pair{Name: name, Image: image, Label: labels[k], Width: r.w, Height: r.h})
	}
	sort.SliceStable(s.Problems, func(i, j int) bool { return s.Problems[i].Path < s.Problems[j].Path })
}

// sizes returns a pair's size, read from the files' headers. Files that are drawn
// state no size that could differ.
func (s *Set) sizes(picture, label string) (w, h int, bad *InputError) {
	w, h, bad = imageSize(picture)
	if bad != nil || s.Coding.Draw != nil {
		return w, h, bad
	}
	head, err := ReadHeader(label)
	if err != nil {
		return 0, 0, err.(*InputError)
	}
	if head.Width != w || head.Height != h {
		return 0, 0, sizeError(label, head.Width, head.Height, picture, w, h)
	}
	return w, h, nil
}

func imageSize(path string) (w, h int, bad *InputError) {
	f, err := os.Open(path)
	if err != nil {
		return 0, 0, unreadable(path, err)
	}
	defer f.Close()
	c, _, err := image.DecodeConfig(f)
	if err != nil {
		return 0, 0, &InputError{Path: path, Kind: Broken, Problem: fmt.Sprintf("the image cannot be read: %v", err), Err: err}
	}
	return c.Width, c.Height, nil
}
