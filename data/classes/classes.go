// Package classes holds sets of images with one class each, as the readers of
// classification data sets return them: image files, or pixels in memory. It also
// has what these readers share: class folders, archives, colour planes.
package classes

import "fmt"

// Set is a list of images with one class each.
type Set struct {
	Source string // the folder or file it was read from
	// Names are the classes' names in class order.
	Names []string
	// Folders are the classes' folder names in class order; nil for sets that do
	// not have a folder for each class.
	Folders []string
	// Classes is the class of each image, 0 to len(Names)-1.
	Classes []int32
	// Files says where each image is: its file, or, with Pixels, where its pixels
	// came from, for messages.
	Files []string
	// Pixels, if not nil, holds each image: Width x Height pixels of R, G, B, row by
	// row.
	Pixels        [][]uint8
	Width, Height int // of every image in Pixels; 0 without

	// Skipped are files in the class folders that are not images, and were left
	// out.
	Skipped []string
	// Problems are errors found while reading; see Err.
	Problems []*InputError
}

// Len is the number of images.
func (s *Set) Len() int { return len(s.Classes) }

// Counts is the number of images of each class.
func (s *Set) Counts() []int {
	n := make([]int, len(s.Names))
	for _, c := range s.Classes {
		n[c]++
	}
	return n
}

// Validate says what does not fit together in a set, whoever made it.
func (s *Set) Validate() error {
	switch {
	case len(s.Names) == 0:
		return &InputError{Path: s.Source, Offset: -1, Kind: BadNames, Problem: "there is not one class"}
	case s.Folders != nil && len(s.Folders) != len(s.Names):
		return &InputError{Path: s.Source, Offset: -1, Kind: BadNames, Problem: fmt.Sprintf("%d class folders but %d class names", len(s.Folders), len(s.Names))}
	case len(s.Files) != s.Len() || s.Pixels != nil && len(s.Pixels) != s.Len():
		return &InputError{Path: s.Source, Offset: -1, Kind: BadCount, Problem: fmt.Sprintf("%d classes for %d files and %d images in memory", s.Len(), len(s.Files), len(s.Pixels))}
	}
	for i, c := range s.Classes {
		if c < 0 || int(c) >= len(s.Names) {
			return &InputError{Path: s.Files[i], Offset: -1, Kind: BadLabel, Problem: fmt.Sprintf("class %d, need 0 to %d", c, len(s.Names)-1)}
		}
	}
	for i, px := range s.Pixels {
		if s.Width < 1 || s.Height < 1 || len(px) != s.Width*s.Height*3 {
			return &InputError{Path: s.Files[i], Offset: -1, Kind: BadSize, Problem: fmt.Sprintf("%d bytes for %dx%d RGB pixels", len(px), s.Width, s.Height)}
		}
	}
	return nil
}
