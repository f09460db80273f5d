package classes

import (
	"fmt"
	"os"
	"strings"
	"unicode/utf8"
)

// MaxNamesFile bounds files with class names, in bytes.
const MaxNamesFile = 1 << 20

// ParseNames reads class names, one a line, empty lines at the end left out. file
// stands for the text in errors. want is the number of names, 0 any number.
func ParseNames(file string, text []byte, want int) ([]string, error) {
	bad := func(format string, args ...any) error {
		return &InputError{Path: file, Offset: -1, Kind: BadNames, Problem: fmt.Sprintf(format, args...), Fix: "it must hold one class name a line"}
	}
	if !utf8.Valid(text) {
		return nil, bad("not UTF-8 text")
	}
	lines := strings.Split(strings.TrimRight(strings.ReplaceAll(string(text), "\r\n", "\n"), "\n \t"), "\n")
	seen := map[string]int{}
	for i, line := range lines {
		line = strings.TrimSpace(line)
		if line == "" {
			return nil, bad("line %d is empty", i+1)
		}
		if other, ok := seen[line]; ok {
			return nil, bad("lines %d and %d are both %q", other, i+1, line)
		}
		seen[line] = i + 1
		lines[i] = line
	}
	if want > 0 && len(lines) != want {
		return nil, bad("%d class names, need %d", len(lines), want)
	}
	return lines, nil
}

// ReadNames is ParseNames of a file.
func ReadNames(file string, want int) ([]string, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, &InputError{Path: file, Offset: -1, Kind: Unreadable, Problem: reason(err), Err: err}
	}
	defer f.Close()
	text, err := ReadAll(file, f, MaxNamesFile)
	if err != nil {
		return nil, err
	}
	return ParseNames(file, text, want)
}
