package coco

import (
	"fmt"
	"path/filepath"
	"strings"
)

// InputError says what is wrong with a file, where, and what to do.
type InputError struct {
	Path    string
	Line    int    // from 1; 0 where the problem has no place of its own
	Offset  int64  // bytes before the problem, with Line
	Where   string // the element, such as "annotation 4711 of image 139"
	Problem string
	Fix     string // what to do, may be empty
	Err     error  // the cause, may be nil
}

// Error returns "file: where: problem; fix", with the file's base name.
func (e *InputError) Error() string {
	var b strings.Builder
	b.WriteString(filepath.Base(e.Path))
	if e.Line > 0 {
		fmt.Fprintf(&b, ":%d", e.Line)
	}
	b.WriteString(": ")
	if e.Where != "" {
		b.WriteString(e.Where)
		b.WriteString(": ")
	}
	b.WriteString(e.Problem)
	if e.Line > 0 {
		fmt.Fprintf(&b, " (byte %d)", e.Offset)
	}
	if e.Fix != "" {
		b.WriteString("; ")
		b.WriteString(e.Fix)
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *InputError) Unwrap() error { return e.Err }

func (e *syntaxError) input(path, where string) error {
	return &InputError{Path: path, Line: e.line, Offset: e.offset, Where: where, Problem: e.problem}
}
