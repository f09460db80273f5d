// Package cifar reads CIFAR-10 and CIFAR-100 (Krizhevsky, Learning Multiple Layers
// of Features from Tiny Images, 2009): the binary layout, as a folder or an
// archive, and folders or archives with an image file for each picture. All images
// are held in memory.
package cifar

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"manvision/data/classes"
)

// Side is the width and height of every image in pixels.
const Side = 32

// Mean and Std normalise as the MAN++ release and its forerunners do, for RGB in
// [0,1]. (The published ResNet-20 to ResNet-1202 weights want ImageNet's.)
var (
	Mean = [3]float32{125.3 / 255, 123.0 / 255, 113.9 / 255}
	Std  = [3]float32{63.0 / 255, 62.1 / 255, 66.7 / 255}
)

// Train and Test are the splits.
const (
	Train = "train"
	Test  = "test"
)

// Options say what is read.
type Options struct {
	// Coarse takes the 20 superclasses of CIFAR-100 instead of its 100 classes.
	Coarse bool
}

// variant is one of the two data sets in the binary layout.
type variant struct {
	name        string
	folder      string // in the official archive
	labels      []labelByte
	train, test []string // official files
	perFile     map[string]int
}

// labelByte is one of the label bytes before each image.
type labelByte struct {
	what    string
	classes int
	names   string // file
}

var variants = []variant{
	{
		name: "CIFAR-10", folder: "cifar-10-batches-bin",
		labels:  []labelByte{{"label", 10, "batches.meta.txt"}},
		train:   []string{"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"},
		test:    []string{"test_batch.bin"},
		perFile: map[string]int{Train: 10000, Test: 10000},
	},
	{
		name: "CIFAR-100", folder: "cifar-100-binary",
		labels:  []labelByte{{"coarse label", 20, "coarse_label_names.txt"}, {"fine label", 100, "fine_label_names.txt"}},
		train:   []string{"train.bin"},
		test:    []string{"test.bin"},
		perFile: map[string]int{Train: 50000, Test: 10000},
	},
}

// Labels of CIFAR-10, for folders without batches.meta.txt.
var names10 = []string{"airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"}

// Open reads a split, "train" or "test". path is
//
//   - a folder with the official binary files, or with parts of them: files called
//     data_batch…bin and test_batch…bin (CIFAR-10), train…bin and test…bin
//     (CIFAR-100), or the folder that such a folder was unpacked into;
//   - a .tar.gz, .tgz or .tar file with these;
//   - a folder or such a file with train/CLASS/IMAGE or test/CLASS/IMAGE, 32x32
//     pixels each; classes are in the order of their names, as in CIFAR's own
//     lists.
//
// A file with an official name must have its official number of images; a part of
// it must go by another name, such as data_batch_1.first4000.bin. Errors are of
// type *classes.InputError and name file and byte.
func Open(path, split string, o Options) (*classes.Set, error) {
	if split != Train && split != Test {
		return nil, fmt.Errorf("CIFAR has no split %q; it has train and test", split)
	}
	st, err := os.Stat(path)
	if err != nil {
		kind, text := classes.Unreadable, "cannot be read"
		if errors.Is(err, fs.ErrNotExist) {
			kind, text = classes.Missing, "no such file or folder"
		}
		return nil, &classes.InputError{Path: path, Offset: -1, Kind: kind, Problem: text, Err: err}
	}
	var c collector
	c.split, c.coarse = split, o.Coarse
	switch {
	case !st.IsDir() && !classes.IsArchive(path):
		return nil, &classes.InputError{Path: path, Offset: -1, Kind: classes.NoImages, Problem: "neither a folder nor a .tar.gz, .tgz or .tar file"}
	case !st.IsDir():
		c.source = path
		err = classes.WalkArchive(path, c.member)
	default:
		c.source = path
		err = c.folder(path)
	}
	if err != nil {
		return nil, err
	}
	s, err := c.set()
	if err != nil {
		return nil, err
	}
	if err := s.Validate(); err != nil {
		return nil, err
	}
	return s, nil
}

// role says which part of which variant a binary file's name stands for.
func role(base string) (v *variant, split string, ok bool) {
	if !strings.HasSuffix(base, ".bin") {
		return nil, "", false
	}
	switch {
	case strings.HasPrefix(base, "data_batch"):
		return &variants[0], Train, true
	case strings.HasPrefix(base, "test_batch"):
		return &variants[0], Test, true
	case strings.HasPrefix(base, "train"):
		return &variants[1], Train, true
	case strings.HasPrefix(base, "test"):
		return &variants[1], Test, true
	}
	return nil, "", false
}

// official reports whether a split has a file of that name.
func (v *variant) official(split, base string) bool {
	for _, name := range v.files(split) {
		if name == base {
			return true
		}
	}
	return false
}

func (v *variant) files(split string) []string {
	if split == Train {
		return v.train
	}
	return v.test
}

// record is the number of bytes of an image with its labels.
func (v *variant) record() int { return len(v.labels) + Side*Side*3 }

// folder collects what is in a folder.
func (c *collector) folder(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return &classes.InputError{Path: dir, Offset: -1, Kind: classes.Unreadable, Problem: "cannot be listed", Err: err}
	}
	binary := false
	for _, e := range entries {
		if _, _, ok := role(e.Name()); ok && !e.IsDir() {
			binary = true
		}
	}
	if !binary {
		var found []string
		for i := range variants {
			if st, err := os.Stat(filepath.Join(dir, variants[i].folder)); err == nil && st.IsDir() {
				found = append(found, filepath.Join(dir, variants[i].folder))
			}
		}
		switch len(found) {
		case 0:
			return c.imageFolder(filepath.Join(dir, c.split))
		case 1:
			return c.folder(found[0])
		}
		return &classes.InputError{Path: dir, Offset: -1, Kind: classes.Ambiguous, Problem: "CIFAR-10 and CIFAR-100 are both in it", Fix: "give the folder of one of them"}
	}
	for _, e := range entries {
		if e.IsDir() || !c.wanted(e.Name()) {
			continue
		}
		if err := c.file(filepath.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

func (c *collector) file(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return classes.ReadError(path, -1, err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return classes.ReadError(path, -1, err)
	}
	if !st.Mode().IsRegular() {
		return &classes.InputError{Path: path, Offset: -1, Kind: classes.Unreadable, Problem: "not a regular file"}
	}
	return c.member(path, st.Size(), f)
}

// imageFolder collects the image files of a folder with class folders.
func (c *collector) imageFolder(dir string) error {
	s := classes.ScanFolders(dir, classes.FolderOptions{})
	for _, p := range s.Problems {
		if p.Path == dir && p.Kind == classes.Missing {
			p.Fix = "the folder must hold CIFAR's .bin files, or train/CLASS/IMAGE and test/CLASS/IMAGE"
		}
	}
	if err := s.Err(); err != nil {
		return err
	}
	sort.Strings(s.Skipped)
	c.skipped = s.Skipped
	for i, file := range s.Files {
		b, err := readImage(file)
		if err != nil {
			return err
		}
		c.images = append(c.images, encoded{class: s.Folders[s.Classes[i]], name: file, contents: b})
	}
	return nil
}

func readImage(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, classes.ReadError(file, -1, err)
	}
	defer f.Close()
	return classes.ReadAll(file, f, maxImage)
}
