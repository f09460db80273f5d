package cityscapes

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"manvision/data/labelmap"
)

// The kinds of label files.
const (
	Auto          = "auto"          // the first of the others of which the split has a file
	LabelIDs      = "labelIds"      // *_gtFine_labelIds.png
	LabelTrainIDs = "labelTrainIds" // *_gtFine_labelTrainIds.png
	Polygons      = "polygons"      // *_gtFine_polygons.json
)

// Kinds lists the valid values of [Options].Labels.
func Kinds() []string { return []string{Auto, LabelIDs, LabelTrainIDs, Polygons} }

// Options set up [Open].
type Options struct {
	Labels string // which files to read; "" is Auto
}

const imageSuffix = "_leftImg8bit.png"

// Open pairs the images in root/leftImg8bit/split/CITY with the labels in
// root/gtFine/split/CITY and reads their sizes from the files' headers. The set
// has the 19 training classes; its Output gives label ids. A missing folder, an
// empty split, an image or a label without its partner and sizes that differ are
// errors.
func Open(root, split string, o Options) (*labelmap.Set, error) {
	s, err := Scan(root, split, o)
	if err == nil {
		err = s.Err()
	}
	if err != nil {
		return nil, err
	}
	return s, nil
}

// Scan is [Open] for who wants to list what is wrong: what would make Open fail
// is in the set's Problems, and its Pairs are the good ones. The error is for
// folders that cannot be read and wrong options.
func Scan(root, split string, o Options) (*labelmap.Set, error) {
	imageDir, labelDir := filepath.Join(root, "leftImg8bit", split), filepath.Join(root, "gtFine", split)
	if split == "" {
		return nil, &labelmap.InputError{Path: root, Kind: labelmap.NoFiles, Problem: "no split was named", Fix: splits(root)}
	}
	for _, dir := range []string{imageDir, labelDir} {
		if err := checkFolder(root, dir); err != nil {
			return nil, err
		}
	}
	s := &labelmap.Set{Source: imageDir, Classes: ClassList(), Coding: labelIDs}
	images, err := walk(s, imageDir, imageSuffix)
	if err != nil {
		return nil, err
	}
	kind := o.Labels
	var labels map[string]string
	switch kind {
	case "", Auto:
		for _, kind = range Kinds()[1:] {
			if labels, err = walk(s, labelDir, suffix(kind)); err != nil || len(labels) > 0 {
				break
			}
		}
		if len(labels) == 0 {
			kind = LabelIDs
		}
	case LabelIDs, LabelTrainIDs, Polygons:
		labels, err = walk(s, labelDir, suffix(kind))
	default:
		return nil, fmt.Errorf("label files %q are unknown: valid are %s", kind, strings.Join(Kinds(), ", "))
	}
	if err != nil {
		return nil, err
	}
	switch kind {
	case LabelTrainIDs:
		s.Coding = trainIDs
	case Polygons:
		s.Coding.Name, s.Coding.Draw = "polygons", Draw
	}
	switch {
	case len(images) == 0:
		s.Problems = append(s.Problems, &labelmap.InputError{Path: imageDir, Kind: labelmap.NoFiles,
			Problem: "there is no image in a city's folder (CITY/*" + imageSuffix + ")"})
	case len(labels) == 0:
		s.Problems = append(s.Problems, &labelmap.InputError{Path: labelDir, Kind: labelmap.NoFiles,
			Problem: "there is no label file in a city's folder (CITY/*" + suffix(kind) + ")"})
	default:
		s.Match(images, labels, func(key string) string { return filepath.Join(labelDir, key+suffix(kind)) })
	}
	return s, nil
}

func suffix(kind string) string {
	if kind == Polygons {
		return "_gtFine_polygons.json"
	}
	return "_gtFine_" + kind + ".png"
}

// walk returns the files CITY/*suffix of a folder by CITY/name.
func walk(s *labelmap.Set, dir, suffix string) (map[string]string, error) {
	cities, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	files, seen := map[string]string{}, map[string]string{}
	for _, c := range cities {
		if strings.HasPrefix(c.Name(), ".") {
			continue
		}
		// A link to a city's folder is as good as the folder.
		if st, err := os.Stat(filepath.Join(dir, c.Name())); err != nil || !st.IsDir() {
			continue
		}
		entries, err := os.ReadDir(filepath.Join(dir, c.Name()))
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			name, ok := strings.CutSuffix(e.Name(), suffix)
			if !ok || name == "" || strings.HasPrefix(name, ".") {
				continue
			}
			path := filepath.Join(dir, c.Name(), e.Name())
			if other, ok := seen[name]; ok {
				s.Problems = append(s.Problems, &labelmap.InputError{Path: path, Kind: labelmap.Ambiguous, Problem: "the same name as " + other, Fix: "leave one of them"})
				continue
			}
			seen[name] = path
			files[c.Name()+string(filepath.Separator)+name] = path
		}
	}
	return files, nil
}

func checkFolder(root, dir string) error {
	st, err := os.Stat(dir)
	if err == nil && st.IsDir() {
		return nil
	}
	e := &labelmap.InputError{Path: dir, Kind: labelmap.NoFiles, Problem: "there is no such folder", Err: err, Fix: splits(root)}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		e.Problem = "the folder cannot be read: " + err.Error()
	}
	return e
}

// splits says which splits a data set has.
func splits(root string) string {
	entries, err := os.ReadDir(filepath.Join(root, "leftImg8bit"))
	var names []string
	for _, e := range entries {
		if e.IsDir() {
			names = append(names, e.Name())
		}
	}
	if err != nil || len(names) == 0 {
		return "the data set's folder holds leftImg8bit/SPLIT/CITY and gtFine/SPLIT/CITY"
	}
	sort.Strings(names)
	return "leftImg8bit has " + strings.Join(names, ", ")
}
