package config

import (
	"fmt"
	"slices"
)

// Source says where a value came from.
type Source struct {
	File string // recipe as it was named, or the base file; empty for defaults and flags
	Line int    // line in File, from 1
	Flag string // the argument of --set, e.g. "optim.lr=0.1"
	// Chosen says how a run chose the value where the source has auto; else empty.
	Chosen string
}

// String reads "configs/demo.yaml:14", "--set optim.lr=0.1" or "default", with ", chosen:"
// and how behind it where a run chose the value.
func (s Source) String() string {
	if s.Chosen != "" {
		how := s.Chosen
		s.Chosen = ""
		return s.String() + ", chosen: " + how
	}
	switch {
	case s.Flag != "":
		return "--set " + s.Flag
	case s.File != "":
		return fmt.Sprintf("%s:%d", s.File, s.Line)
	}
	return "default"
}

// Error is a fault of a recipe or of a --set argument: wrong usage, not a
// failure of the work. Load may join several.
type Error struct {
	Source  Source
	Problem string
}

// Error reads "configs/demo.yaml:14: unknown key ...".
func (e *Error) Error() string { return e.Source.String() + ": " + e.Problem }

// Source returns where the value of a key came from. Keys are dotted, entries of
// lists have an index: "optim.lr", "optim.groups[0].match". A list that was
// replaced has one source, its entries may have finer ones.
func (c *Config) Source(key string) Source { return c.sources[key] }

// Keys returns all keys of the configuration with a value of their own, sorted:
// every scalar and every list.
func (c *Config) Keys() []string {
	return slices.Sorted(slices.Values(leafKeys()))
}
