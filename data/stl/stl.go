// Package stl reads the labelled parts of STL-10 (Coates, Lee, Ng: An Analysis of
// Single Layer Networks in Unsupervised Feature Learning, AISTATS 2011) in its
// binary layout. All images are held in memory.
package stl

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"manvision/data/classes"
)

// Side is the width and height of every image in pixels.
const Side = 96

// Mean and Std normalise as the MAN++ release does, for RGB in [0,1].
var (
	Mean = [3]float32{0.5, 0.5, 0.5}
	Std  = [3]float32{0.5, 0.5, 0.5}
)

// names are the classes, for folders without class_names.txt.
var names = []string{"airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck"}

// folder is the official archive's.
const folder = "stl10_binary"

// maxImages bounds what is read; the largest labelled part has 8,000.
const maxImages = 1 << 17

// Open reads a split, "train" (5,000 images) or "test" (8,000), of the unpacked
// archive stl10_binary.tar.gz; root is its folder or the one around it. It needs
// train_X.bin (for each image 96x96 bytes of R, then G, then B, down the columns)
// and train_y.bin (a byte from 1 to 10 for each image), or those of test, and
// reads class_names.txt if it is there. The numbers of images in the two files must
// agree; a part of the data set is as good as the whole. Errors are of type
// *classes.InputError.
func Open(root, split string) (*classes.Set, error) {
	if split != "train" && split != "test" {
		return nil, fmt.Errorf("STL-10 has no labelled split %q; it has train and test", split)
	}
	dir := root
	if _, err := os.Stat(filepath.Join(root, split+"_X.bin")); errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat(filepath.Join(root, folder)); err == nil {
			dir = filepath.Join(root, folder)
		}
	}
	s := &classes.Set{Source: dir, Names: names, Width: Side, Height: Side}
	if file := filepath.Join(dir, "class_names.txt"); exists(file) {
		var err error
		if s.Names, err = classes.ReadNames(file, len(names)); err != nil {
			return nil, err
		}
	}
	if err := readLabels(s, filepath.Join(dir, split+"_y.bin")); err != nil {
		return nil, err
	}
	if err := readImages(s, filepath.Join(dir, split+"_X.bin")); err != nil {
		return nil, err
	}
	return s, nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// open returns a regular file and its size.
func open(path string) (*os.File, int64, error) {
	f, err := os.Open(path)
	if err != nil {
		e := classes.ReadError(path, -1, err)
		if errors.Is(err, fs.ErrNotExist) {
			e.Kind, e.Fix = classes.Missing, "give the folder that stl10_binary.tar.gz was unpacked into"
		}
		return nil, 0, e
	}
	st, err := f.Stat()
	if err == nil && !st.Mode().IsRegular() {
		err = errors.New("not a regular file")
	}
	if err != nil {
		f.Close()
		return nil, 0, classes.ReadError(path, -1, err)
	}
	return f, st.Size(), nil
}

func readLabels(s *classes.Set, path string) error {
	f, _, err := open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	b, err := classes.ReadAll(path, f, maxImages)
	if err != nil {
		return err
	}
	if len(b) == 0 {
		return &classes.InputError{Path: path, Offset: -1, Kind: classes.NoImages, Problem: "the file is empty"}
	}
	for i, v := range b {
		if v < 1 || int(v) > len(s.Names) {
			return &classes.InputError{Path: path, Offset: int64(i), Kind: classes.BadLabel, Problem: fmt.Sprintf("label %d of image %d, need 1 to %d", v, i, len(s.Names))}
		}
		s.Classes = append(s.Classes, int32(v)-1)
	}
	return nil
}

func readImages(s *classes.Set, path string) error {
	f, size, err := open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	const image = Side * Side * 3
	if want := int64(s.Len()) * image; size != want {
		return &classes.InputError{Path: path, Offset: -1, Kind: classes.BadSize, Fix: "fetch the data set again",
			Problem: fmt.Sprintf("%d bytes, but there are labels for %d images of %d bytes, %d in all", size, s.Len(), image, want)}
	}
	in := bufio.NewReaderSize(f, 1<<18)
	buf := make([]byte, image)
	for i := range s.Classes {
		if n, err := io.ReadFull(in, buf); err != nil {
			return classes.ReadError(path, int64(i)*image+int64(n), err)
		}
		px := make([]uint8, image)
		classes.FromPlanes(px, buf, Side, Side, true)
		s.Pixels = append(s.Pixels, px)
		s.Files = append(s.Files, fmt.Sprintf("%s: image %d", path, i))
	}
	return nil
}
