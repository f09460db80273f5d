package classes

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
)

// FolderOptions say how class folders are read.
type FolderOptions struct {
	// Classes are the folder names in class order, as of the training part or of a
	// trained model; nil: the folders found, sorted.
	Classes []string
	// AllowEmpty accepts classes without images.
	AllowEmpty bool
}

// maxDepth bounds folders inside folders, which links can make endless.
const maxDepth = 16

// IsImage reports whether a file's name ends as torchvision's ImageFolder wants
// images to end, upper and lower case alike.
func IsImage(name string) bool {
	switch strings.ToLower(filepath.Ext(name)) {
	case ".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp":
		return true
	}
	return false
}

// ScanFolders lists a folder with one folder of images for each class, in the
// order of torchvision.datasets.ImageFolder: classes by folder name, images by
// folder and name, names compared byte by byte. Folders inside class folders and
// links are followed. Everything that is wrong is among the set's Problems, files
// that are no images among its Skipped. No image is opened.
func ScanFolders(dir string, o FolderOptions) *Set {
	s := &Set{Source: dir}
	problem := func(path string, k Kind, text, fix string, err error) {
		s.Problems = append(s.Problems, &InputError{Path: path, Offset: -1, Kind: k, Problem: text, Fix: fix, Err: err})
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		what, kind := "cannot be listed: "+reason(err), Unreadable
		if errors.Is(err, fs.ErrNotExist) {
			what, kind = "no such folder", Missing
		}
		problem(dir, kind, what, "give the folder that holds a folder for each class", err)
		return s
	}
	var found []string
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		isDir, err := follow(path, e)
		switch {
		case err != nil:
			problem(path, Unreadable, "cannot be read: "+reason(err), "", err)
		case isDir:
			found = append(found, e.Name())
		default:
			s.Skipped = append(s.Skipped, path)
		}
	}
	sort.Strings(found)
	s.Folders = found
	if o.Classes != nil {
		s.Folders = o.Classes
		for _, name := range found {
			if !slices.Contains(o.Classes, name) {
				problem(filepath.Join(dir, name), NoClass, fmt.Sprintf("a folder for none of the %d classes", len(o.Classes)), "remove it, or check that training and validation are of one data set", nil)
			}
		}
	}
	s.Names = s.Folders
	for class, name := range s.Folders {
		path := filepath.Join(dir, name)
		if o.Classes != nil && !slices.Contains(found, name) {
			if !o.AllowEmpty {
				problem(path, Missing, "the folder of a class is missing", "", nil)
			}
			continue
		}
		n := s.Len()
		images, others, err := listImages(path)
		if err != nil {
			problem(path, Unreadable, "cannot be listed: "+reason(err), "", err)
		}
		s.Skipped = append(s.Skipped, others...)
		for _, file := range images {
			s.Files = append(s.Files, file)
			s.Classes = append(s.Classes, int32(class))
		}
		if s.Len() == n && err == nil && !o.AllowEmpty {
			problem(path, EmptyClass, "there is no image in it", "add images (.jpg, .png, ...) or remove the folder", nil)
		}
	}
	if len(s.Folders) == 0 {
		problem(dir, NoImages, "there is no class folder in it", "give the folder that holds a folder for each class", nil)
	}
	return s
}

// listImages returns the image files below a folder and the other ones.
func listImages(root string) (images, others []string, err error) {
	folders := []string{root}
	for i := 0; i < len(folders); i++ {
		dir := folders[i]
		if strings.Count(dir[len(root):], string(filepath.Separator)) > maxDepth {
			return images, others, fmt.Errorf("folders more than %d deep: does a link lead back?", maxDepth)
		}
		entries, err := os.ReadDir(dir)
		if err != nil {
			return images, others, err
		}
		for _, e := range entries {
			path := filepath.Join(dir, e.Name())
			isDir, err := follow(path, e)
			if err != nil {
				return images, others, err
			}
			if isDir {
				folders = append(folders, path)
			}
		}
	}
	// As sorted(os.walk(root)): by folder, then by name.
	sort.Strings(folders)
	for _, dir := range folders {
		entries, err := os.ReadDir(dir) // sorted
		if err != nil {
			return images, others, err
		}
		for _, e := range entries {
			path := filepath.Join(dir, e.Name())
			if isDir, err := follow(path, e); err != nil {
				return images, others, err
			} else if isDir {
				continue
			}
			if IsImage(e.Name()) {
				images = append(images, path)
			} else {
				others = append(others, path)
			}
		}
	}
	return images, others, nil
}

// follow reports whether an entry is a folder or a link to one.
func follow(path string, e fs.DirEntry) (bool, error) {
	if e.Type()&fs.ModeSymlink == 0 {
		return e.IsDir(), nil
	}
	st, err := os.Stat(path)
	if err != nil {
		return false, err
	}
	return st.IsDir(), nil
}

// reason is an error without the path it repeats.
func reason(err error) string {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err.Error()
	}
	return err.Error()
}
