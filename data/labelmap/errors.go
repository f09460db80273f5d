package labelmap

import (
	"errors"
	"fmt"
	"strings"
)

// Kind groups problems in reports.
type Kind string

// The kinds of problems.
const (
	Unreadable   Kind = "file cannot be read"
	Broken       Kind = "broken file"
	WrongFormat  Kind = "label file of another format"
	WrongSize    Kind = "image and label of different sizes"
	BadValue     Kind = "value that is not allowed"
	MissingLabel Kind = "image without label"
	MissingImage Kind = "label without image"
	Ambiguous    Kind = "several files for one name"
	NoFiles      Kind = "nothing to read"
	Annotation   Kind = "bad annotation"
)

// InputError says what is wrong with a file or folder and what to do.
type InputError struct {
	Path    string
	Kind    Kind
	Problem string
	Fix     string // what to do, may be empty
	Err     error  // the cause, may be nil
}

// Error returns "path: problem; fix" in one line.
func (e *InputError) Error() string {
	s := e.Problem
	if e.Path != "" {
		s = e.Path + ": " + s
	}
	if e.Fix != "" {
		s += "; " + e.Fix
	}
	return strings.ReplaceAll(s, "\n", " ")
}

// Unwrap returns the cause.
func (e *InputError) Unwrap() error { return e.Err }

func sizeError(path string, w, h int, other string, ow, oh int) *InputError {
	return &InputError{Path: path, Kind: WrongSize, Problem: fmt.Sprintf("%dx%d pixels, but %s has %dx%d", w, h, other, ow, oh)}
}

// Err returns nil, or one error for the problems found while pairing files and
// for a set without pairs: a line for each kind that counts it and names the
// first.
func (s *Set) Err() error {
	var kinds []Kind
	first := map[Kind]*InputError{}
	counts := map[Kind]int{}
	for _, p := range s.Problems {
		if counts[p.Kind]++; counts[p.Kind] == 1 {
			kinds = append(kinds, p.Kind)
			first[p.Kind] = p
		}
	}
	var lines []error
	for _, k := range kinds {
		if counts[k] == 1 {
			lines = append(lines, first[k])
			continue
		}
		lines = append(lines, &InputError{Kind: k, Err: first[k],
			Problem: fmt.Sprintf("%s: %d times %s; the first is %s", s.Source, counts[k], k, first[k])})
	}
	if len(lines) == 0 && len(s.Pairs) == 0 {
		lines = append(lines, &InputError{Path: s.Source, Kind: NoFiles, Problem: "there is not one image with a label"})
	}
	if len(lines) == 1 {
		return lines[0]
	}
	return errors.Join(lines...)
}
