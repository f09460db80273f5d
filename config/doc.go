package config

import (
	"strings"
	"sync"
)

// Doc returns what defaults.yaml says of a key or a section, on one line; "" where it
// says nothing or there is no such key.
func Doc(key string) string { return docs()[key] }

// docs are the comments of defaults.yaml by key: those above it or, where none stand
// there, those of the value just before, which tell of both.
var docs = sync.OnceValue(func() map[string]string {
	out := map[string]string{}
	var sections []string // open ones, by depth
	var above []string
	var before string // the comment that a key without one shares
	for _, line := range strings.Split(string(defaults), "\n") {
		text := strings.TrimLeft(line, " ")
		depth := (len(line) - len(text)) / 2
		if note, ok := strings.CutPrefix(text, "#"); ok {
			above = append(above, strings.TrimSpace(note))
			continue
		}
		name, value, ok := strings.Cut(text, ":")
		if !ok {
			above, before = nil, ""
			continue
		}
		note := strings.Join(above, " ")
		above = nil
		sections = append(sections[:min(depth, len(sections))], name)
		key := strings.Join(sections, ".")
		if strings.TrimSpace(value) == "" { // a section: its own words, for its first keys too
			out[key], before = note, note
			continue
		}
		if note == "" {
			note = before
		}
		out[key], before = note, note
	}
	return out
})
