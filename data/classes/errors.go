package classes

import (
	"errors"
	"fmt"
	"strings"
)

// Kind groups problems in reports.
type Kind string

// The kinds of problems.
const (
	Unreadable Kind = "file cannot be read"
	Broken     Kind = "broken file"
	BadSize    Kind = "wrong size"
	BadCount   Kind = "numbers that do not fit"
	BadLabel   Kind = "label out of range"
	BadNames   Kind = "bad class names"
	Missing    Kind = "missing file or folder"
	Ambiguous  Kind = "several files for one thing"
	EmptyClass Kind = "class without images"
	NoClass    Kind = "folder that is no class"
	NoImages   Kind = "nothing to read"
	Unsafe     Kind = "archive member that is refused"
)

// InputError says what is wrong with a file or folder, where, and what to do.
type InputError struct {
	Path    string
	Offset  int64 // of the bad byte in the file; -1 where that says nothing
	Kind    Kind
	Problem string
	Fix     string // what to do, may be empty
	Err     error  // the cause, may be nil
}

// Error returns "path: byte offset: problem; fix" in one line.
func (e *InputError) Error() string {
	s := e.Problem
	if e.Offset >= 0 {
		s = fmt.Sprintf("byte %d: %s", e.Offset, s)
	}
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

// Err returns nil, or one error for the set's problems and for a set without
// images: a line for each kind that names the first and counts the others.
func (s *Set) Err() error {
	var lines []error
	at := map[Kind]int{}
	counts := map[Kind]int{}
	for _, p := range s.Problems {
		if counts[p.Kind]++; counts[p.Kind] == 1 {
			at[p.Kind] = len(lines)
			lines = append(lines, p)
		}
	}
	for k, n := range counts {
		if n > 1 {
			lines[at[k]] = fmt.Errorf("%w (and %d more: %s)", lines[at[k]], n-1, k)
		}
	}
	if len(lines) == 0 && s.Len() == 0 {
		return &InputError{Path: s.Source, Offset: -1, Kind: NoImages, Problem: "there is not one image"}
	}
	if len(lines) == 1 {
		return lines[0]
	}
	return errors.Join(lines...)
}
