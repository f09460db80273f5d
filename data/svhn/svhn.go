// Package svhn reads the cropped digits of SVHN (Netzer and others: Reading Digits
// in Natural Images with Unsupervised Feature Learning, NIPS workshop 2011), format
// 2: train_32x32.mat, test_32x32.mat, extra_32x32.mat. All images are held in
// memory.
package svhn

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"manvision/data/classes"
)

// Side is the width and height of every image in pixels.
const Side = 32

// Mean and Std normalise as the MAN++ release does, for RGB in [0,1].
var (
	Mean = [3]float32{0.5, 0.5, 0.5}
	Std  = [3]float32{0.5, 0.5, 0.5}
)

var names = []string{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"}

// Open reads a split, "train" (73,257 images), "test" (26,032) or "extra" (531,131:
// 1.6 GB of memory), of the folder that holds the .mat files. The files hold
// X, uint8 of 32 x 32 x 3 x images, and y, a label from 1 to 10 for each; label 10
// is the digit and class 0. A part of the data set is as good as the whole. Errors
// are of type *classes.InputError.
func Open(root, split string) (*classes.Set, error) {
	if !slices.Contains([]string{"train", "test", "extra"}, split) {
		return nil, fmt.Errorf("SVHN has no split %q; it has train, test and extra", split)
	}
	path := filepath.Join(root, split+"_32x32.mat")
	f, err := os.Open(path)
	if err != nil {
		e := classes.ReadError(path, -1, err)
		if errors.Is(err, fs.ErrNotExist) {
			e.Kind, e.Fix = classes.Missing, "give the folder with SVHN's cropped digits (format 2)"
		}
		return nil, e
	}
	defer f.Close()
	st, err := f.Stat()
	if err == nil && !st.Mode().IsRegular() {
		err = errors.New("not a regular file")
	}
	if err != nil {
		return nil, classes.ReadError(path, -1, err)
	}
	return read(path, f, st.Size())
}

// read reads a file of size bytes.
func read(path string, r io.Reader, size int64) (*classes.Set, error) {
	m := &matFile{path: path, in: r, size: size}
	s := &classes.Set{Source: path, Names: names, Width: Side, Height: Side}
	var labels []uint8
	err := m.walk(func(v *variable) error {
		switch v.name {
		case "X":
			if s.Pixels != nil {
				return m.bad(classes.Ambiguous, "variable X is there twice")
			}
			return readImages(m, v, s)
		case "y":
			if labels != nil {
				return m.bad(classes.Ambiguous, "variable y is there twice")
			}
			var err error
			labels, err = readLabels(m, v)
			return err
		}
		return nil
	})
	switch {
	case err != nil:
		return nil, err
	case s.Pixels == nil:
		return nil, m.noVariable("X")
	case labels == nil:
		return nil, m.noVariable("y")
	case len(labels) != len(s.Pixels):
		return nil, m.whole(classes.BadCount, fmt.Sprintf("%d images in X but %d labels in y", len(s.Pixels), len(labels)))
	}
	for i, v := range labels {
		if v < 1 || v > 10 {
			return nil, m.whole(classes.BadLabel, fmt.Sprintf("label %d of image %d, need 1 to 10", v, i))
		}
		s.Classes = append(s.Classes, int32(v)%10)
	}
	return s, nil
}

func readImages(m *matFile, v *variable, s *classes.Set) error {
	if v.class != mxUint8 || v.kind != miUint8 || len(v.dims) < 3 || len(v.dims) > 4 || v.dims[0] != Side || v.dims[1] != Side || v.dims[2] != 3 {
		return m.bad(classes.BadSize, fmt.Sprintf("variable X is %v, need uint8 of 32x32x3ximages", v))
	}
	n := int64(1) // MATLAB drops a last dimension of 1
	if len(v.dims) == 4 {
		n = v.dims[3]
	}
	if n == 0 {
		return m.bad(classes.NoImages, "variable X holds no image")
	}
	const image = Side * Side * 3
	buf := make([]byte, image)
	for i := int64(0); i < n; i++ {
		if err := v.read(buf); err != nil {
			return err
		}
		px := make([]uint8, image)
		classes.FromPlanes(px, buf, Side, Side, true)
		s.Pixels = append(s.Pixels, px)
		s.Files = append(s.Files, fmt.Sprintf("%s: image %d", m.path, i))
	}
	return nil
}

// readLabels reads y, which is a column of numbers; whole ones from 0 to 255 fit.
func readLabels(m *matFile, v *variable) ([]uint8, error) {
	if len(v.dims) != 2 || v.dims[0] != 1 && v.dims[1] != 1 {
		return nil, m.bad(classes.BadSize, fmt.Sprintf("variable y is %v, need a column of numbers", v))
	}
	labels := []uint8{}
	for i := int64(0); i < v.elements(); i++ {
		x, err := v.number()
		if err != nil {
			return nil, err
		}
		if x != float64(uint8(max(0, min(255, x)))) {
			return nil, m.bad(classes.BadLabel, fmt.Sprintf("label %v of image %d, need a whole number from 1 to 10", x, i))
		}
		labels = append(labels, uint8(x))
	}
	return labels, nil
}
