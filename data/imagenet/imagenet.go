// Package imagenet reads image classification data in ImageNet's layout: a folder
// for each split with a folder for each class, or, for validation, one flat folder
// of images with a text file of their classes. Images stay in their files.
package imagenet

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"

	"manvision/data/classes"
)

// Options say where the parts are that the layout leaves open.
type Options struct {
	// Names is a text file with the classes' names; empty: the file
	// LOC_synset_mapping.txt beside the splits if there is one, else the folder
	// names. Each line is "n01440764 tench, Tinca tinca": a folder name and what to
	// call the class. Every class folder must have its line.
	Names string
	// GroundTruth is a text file with the classes of a split whose images lie in
	// one flat folder, see Flat.
	GroundTruth string
	// IDs is a text file with a folder name at the beginning of each line, such as
	// map_clsloc.txt of the development kit: its line k is the class that a
	// GroundTruth file of bare numbers calls k.
	IDs string
	// Classes are the class folder names in class order, as of a trained model; nil:
	// the folders of the split train, or without it those of the split itself,
	// sorted.
	Classes []string
	// AllowEmpty accepts classes without images.
	AllowEmpty bool
}

// Open is Scan; problems are an error.
func Open(root, split string, o Options) (*classes.Set, error) {
	s, err := Scan(root, split, o)
	if err == nil {
		err = s.Err()
	}
	if err != nil {
		return nil, err
	}
	return s, nil
}

// Scan lists the images of root/split, such as "train" or "val". Classes are
// numbered as torchvision.datasets.ImageFolder numbers them: by folder name, byte
// by byte. A split other than train takes the classes of root/train where that
// folder exists, so that a class missing in it does not shift the others. No image
// is opened. Missing folders, empty classes and the like are among the set's
// Problems, files that are no images among its Skipped.
func Scan(root, split string, o Options) (*classes.Set, error) {
	if split == "" || split != filepath.Base(split) || split == "." || split == ".." {
		return nil, fmt.Errorf("split %q is not the name of a folder in %s", split, root)
	}
	dir := filepath.Join(root, split)
	list := o.Classes
	if train := filepath.Join(root, "train"); list == nil && (split != "train" || o.GroundTruth != "") {
		switch st, err := os.Stat(train); {
		case err == nil && st.IsDir():
			if list, err = folders(train); err != nil {
				return nil, err
			}
		case err != nil && !errors.Is(err, fs.ErrNotExist):
			return nil, classes.ReadError(train, -1, err)
		}
	}
	var s *classes.Set
	if o.GroundTruth != "" {
		if list == nil {
			return nil, &classes.InputError{Path: o.GroundTruth, Offset: -1, Kind: classes.Missing, Problem: "the classes that its numbers stand for are not known",
				Fix: "put the training images beside the split, as " + filepath.Join(root, "train") + "/CLASS/IMAGE, or give the class list"}
		}
		var err error
		if s, err = flat(dir, list, o); err != nil {
			return nil, err
		}
	} else {
		s = classes.ScanFolders(dir, classes.FolderOptions{Classes: list, AllowEmpty: o.AllowEmpty})
		flatHint(s, dir)
	}
	if err := name(s, root, o.Names); err != nil {
		return nil, err
	}
	return s, nil
}

// flatHint says what to do about a folder of images without class folders.
func flatHint(s *classes.Set, dir string) {
	if s.Len() > 0 {
		return
	}
	images := 0
	for _, path := range s.Skipped {
		if classes.IsImage(path) && filepath.Dir(path) == dir {
			images++
		}
	}
	if images == 0 {
		return
	}
	s.Problems = []*classes.InputError{{Path: dir, Offset: -1, Kind: classes.NoImages, Problem: fmt.Sprintf("%d images lie in it without class folders", images),
		Fix: "give the text file with their classes (data.classification.ground_truth; data check: --ground-truth), or sort them into class folders"}}
}

// folders are the names of a folder's folders, sorted.
func folders(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, classes.ReadError(dir, -1, err)
	}
	var out []string
	for _, e := range entries {
		st, err := os.Stat(filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, classes.ReadError(filepath.Join(dir, e.Name()), -1, err)
		}
		if st.IsDir() {
			out = append(out, e.Name())
		}
	}
	if len(out) == 0 {
		return nil, &classes.InputError{Path: dir, Offset: -1, Kind: classes.NoImages, Problem: "there is no class folder in it"}
	}
	sort.Strings(out)
	return out, nil
}

// name gives the set's classes the names of a names file.
func name(s *classes.Set, root, file string) error {
	if file == "" {
		file = filepath.Join(root, "LOC_synset_mapping.txt")
		if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
			return nil
		}
	}
	lines, err := classes.ReadNames(file, 0)
	if err != nil {
		return err
	}
	names := map[string]string{}
	for i, line := range lines {
		folder, text, ok := strings.Cut(line, " ")
		if text = strings.TrimSpace(text); !ok || text == "" {
			return &classes.InputError{Path: file, Offset: -1, Kind: classes.BadNames, Problem: fmt.Sprintf("line %d is %q", i+1, line), Fix: "each line must be a class folder's name, a blank and what to call the class"}
		}
		if _, twice := names[folder]; twice {
			return &classes.InputError{Path: file, Offset: -1, Kind: classes.BadNames, Problem: fmt.Sprintf("line %d names class folder %s again", i+1, folder)}
		}
		names[folder] = text
	}
	named := make([]string, len(s.Folders))
	for i, folder := range s.Folders {
		if named[i] = names[folder]; named[i] == "" {
			return &classes.InputError{Path: file, Offset: -1, Kind: classes.BadNames, Problem: fmt.Sprintf("there is no line for class folder %s", folder)}
		}
	}
	s.Names = named
	return nil
}

// maxTextFile bounds ground truth files, in bytes.
const maxTextFile = 64 << 20

// flat lists a flat folder's images with the classes that a text file gives. The
// file has one of two forms:
//
//   - "ILSVRC2012_val_00000001.JPEG 65": a file name and a class number from 0, in
//     the order of the class folders' names (Caffe's val.txt);
//   - "490": only a number from 1, for the images in the order of their names. These
//     are the ids of the development kit (ILSVRC2012_validation_ground_truth.txt),
//     which are not in the order of the folder names: Options.IDs has to say which
//     class each is.
func flat(dir string, list []string, o Options) (*classes.Set, error) {
	bad := func(line int, text, fix string) error {
		return &classes.InputError{Path: o.GroundTruth, Offset: -1, Kind: classes.BadLabel, Problem: fmt.Sprintf("line %d: %s", line, text), Fix: fix}
	}
	s := &classes.Set{Source: dir, Folders: list, Names: list}
	lines, err := readLines(o.GroundTruth)
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(dir) // sorted
	if err != nil {
		return nil, classes.ReadError(dir, -1, err)
	}
	var images []string
	there := map[string]bool{}
	for _, e := range entries {
		if path := filepath.Join(dir, e.Name()); e.IsDir() || !classes.IsImage(e.Name()) {
			s.Skipped = append(s.Skipped, path)
		} else {
			images = append(images, e.Name())
			there[e.Name()] = true
		}
	}
	bare := len(lines) > 0 && !strings.ContainsAny(lines[0], " \t")
	var class map[int]int // by id
	if bare {
		if len(lines) != len(images) {
			return nil, &classes.InputError{Path: o.GroundTruth, Offset: -1, Kind: classes.BadCount, Problem: fmt.Sprintf("%d lines for %d images in %s", len(lines), len(images), dir)}
		}
		if class, err = readIDs(o, list); err != nil {
			return nil, err
		}
	}
	given := map[string]int{}
	for i, line := range lines {
		fields := strings.Fields(line)
		file, number := "", ""
		switch {
		case bare && len(fields) == 1:
			file, number = images[i], fields[0]
		case !bare && len(fields) == 2:
			file, number = fields[0], fields[1]
		default:
			return nil, bad(i+1, fmt.Sprintf("%q", line), "each line must be a file name and a class number, or in all lines only a number")
		}
		v, err := strconv.Atoi(number)
		if err != nil {
			return nil, bad(i+1, fmt.Sprintf("class %q is no number", number), "")
		}
		if bare {
			c, ok := class[v]
			if !ok {
				return nil, bad(i+1, fmt.Sprintf("id %d is not in %s", v, o.IDs), "")
			}
			v = c
		} else {
			if other, twice := given[file]; twice {
				return nil, bad(i+1, fmt.Sprintf("%s again, as in line %d", file, other), "")
			}
			given[file] = i + 1
			if !there[file] {
				s.Problems = append(s.Problems, &classes.InputError{Path: filepath.Join(dir, file), Offset: -1, Kind: classes.Missing, Problem: fmt.Sprintf("no such image; line %d of %s names it", i+1, o.GroundTruth)})
				continue
			}
			if v < 0 || v >= len(list) {
				return nil, bad(i+1, fmt.Sprintf("class %d, need 0 to %d", v, len(list)-1), "")
			}
		}
		s.Files = append(s.Files, filepath.Join(dir, file))
		s.Classes = append(s.Classes, int32(v))
	}
	if !bare {
		for _, file := range images {
			if given[file] == 0 {
				s.Problems = append(s.Problems, &classes.InputError{Path: filepath.Join(dir, file), Offset: -1, Kind: classes.NoClass, Problem: "there is no line for it in " + o.GroundTruth})
			}
		}
	}
	return s, nil
}

// readIDs returns the class of each line of the IDs file, lines counted from 1.
func readIDs(o Options, list []string) (map[int]int, error) {
	if o.IDs == "" {
		return nil, &classes.InputError{Path: o.GroundTruth, Offset: -1, Kind: classes.Missing,
			Problem: "it holds bare numbers, which are the development kit's ids; they are not in the order of the class folders",
			Fix:     "give the file that lists the class folder of each id, map_clsloc.txt (data.classification.ids; data check: --ids), or a file with lines of file name and class"}
	}
	lines, err := readLines(o.IDs)
	if err != nil {
		return nil, err
	}
	position := map[string]int{}
	for i, folder := range list {
		position[folder] = i
	}
	out, seen := map[int]int{}, map[string]int{}
	for i, line := range lines {
		fields := strings.Fields(line)
		if len(fields) == 0 {
			return nil, &classes.InputError{Path: o.IDs, Offset: -1, Kind: classes.BadNames, Problem: fmt.Sprintf("line %d is empty", i+1)}
		}
		if other, twice := seen[fields[0]]; twice {
			return nil, &classes.InputError{Path: o.IDs, Offset: -1, Kind: classes.BadNames, Problem: fmt.Sprintf("lines %d and %d are both %s", other, i+1, fields[0])}
		}
		seen[fields[0]] = i + 1
		if c, ok := position[fields[0]]; ok {
			out[i+1] = c
		}
	}
	return out, nil
}

func readLines(file string) ([]string, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, classes.ReadError(file, -1, err)
	}
	defer f.Close()
	b, err := classes.ReadAll(file, f, maxTextFile)
	if err != nil {
		return nil, err
	}
	text := strings.TrimRight(strings.ReplaceAll(string(b), "\r\n", "\n"), "\n \t")
	if text == "" {
		return nil, &classes.InputError{Path: file, Offset: -1, Kind: classes.BadSize, Problem: "the file is empty"}
	}
	return strings.Split(text, "\n"), nil
}
