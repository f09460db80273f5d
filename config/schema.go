package config

import (
	"cmp"
	"reflect"
	"slices"
	"strings"
	"sync"
)

// The struct types are the schema: key names in the yaml tag, ranges in the
// tags min, max (inclusive), above, below (exclusive), len, minlen, innerlen
// (lengths of lists), choices in enum. Ranges of a list hold for its elements.

// fieldKey returns the key of a struct field, or "" for an unexported one.
func fieldKey(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
	return name
}

// fields lists the fields of a struct type by key, in order.
func fields(t reflect.Type) (keys []string, byKey map[string]reflect.StructField) {
	byKey = map[string]reflect.StructField{}
	for i := range t.NumField() {
		if k := fieldKey(t.Field(i)); k != "" {
			keys = append(keys, k)
			byKey[k] = t.Field(i)
		}
	}
	return keys, byKey
}

// join puts a key behind its section.
func join(section, key string) string {
	if section == "" {
		return key
	}
	return section + "." + key
}

// leafKeys lists the dotted keys of all scalars and lists.
var leafKeys = sync.OnceValue(func() []string {
	var out []string
	walkType(reflect.TypeFor[Config](), "", func(key string, t reflect.Type) {
		if t.Kind() != reflect.Struct {
			out = append(out, key)
		}
	})
	return out
})

// allKeys lists all dotted keys: sections, scalars, lists and, with [] for the
// index, the keys of list entries.
var allKeys = sync.OnceValue(func() []string {
	out := []string{"base"}
	walkType(reflect.TypeFor[Config](), "", func(key string, t reflect.Type) {
		out = append(out, key)
		if t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Struct {
			walkType(t.Elem(), key+"[]", func(k string, _ reflect.Type) { out = append(out, k) })
		}
	})
	return out
})

func walkType(t reflect.Type, section string, visit func(key string, t reflect.Type)) {
	keys, byKey := fields(t)
	for _, k := range keys {
		ft := byKey[k].Type
		visit(join(section, k), ft)
		if ft.Kind() == reflect.Struct {
			walkType(ft, join(section, k), visit)
		}
	}
}

// longestKey bounds the work of a suggestion.
const longestKey = 100

// nearest returns the known key that a misspelt one most likely meant, or "".
func nearest(key string) string {
	if near := suggestions(key, 1); near != nil {
		return near[0]
	}
	return ""
}

// suggestions lists at most n known keys that a misspelt one may have meant, the
// likeliest first. A key in the wrong section counts as one mistake.
func suggestions(key string, n int) []string {
	key = stripIndex(key)
	if len(key) > longestKey {
		return nil
	}
	type candidate struct {
		key  string
		dist int
	}
	var near []candidate
	most := max(2, len(lastPart(key))/3+1)
	for _, k := range allKeys() {
		if d := min(distance(key, k), distance(lastPart(key), lastPart(k))+1); d <= most {
			near = append(near, candidate{k, d})
		}
	}
	slices.SortStableFunc(near, func(a, b candidate) int { return cmp.Compare(a.dist, b.dist) })
	var out []string
	for _, c := range near[:min(n, len(near))] {
		out = append(out, c.key)
	}
	return out
}

func lastPart(key string) string { return key[strings.LastIndexByte(key, '.')+1:] }

// stripIndex turns groups[3] into groups[].
func stripIndex(key string) string {
	var b strings.Builder
	for i := 0; i < len(key); i++ {
		b.WriteByte(key[i])
		if key[i] == '[' {
			for i+1 < len(key) && key[i+1] != ']' {
				i++
			}
		}
	}
	return b.String()
}

// distance is the number of single-letter insertions, deletions, replacements
// and swaps of neighbours that turn a into b (optimal string alignment).
func distance(a, b string) int {
	before, prev := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		cur := make([]int, len(b)+1)
		cur[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			cur[j] = min(prev[j]+1, cur[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				cur[j] = min(cur[j], before[j-2]+1)
			}
		}
		before, prev = prev, cur
	}
	return prev[len(b)]
}
