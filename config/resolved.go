package config

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"unicode"

	"gopkg.in/yaml.v3"
)

// Resolved returns the whole recipe as YAML: every key, paths absolute. Load and
// Parse read it back to an equal Config.
func (c *Config) Resolved() []byte {
	var b bytes.Buffer
	b.WriteString("# Every value of the run, written by it; start it again with --config on this file.\n")
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	// A struct of scalars, lists and structs always encodes, into a buffer too.
	if err := enc.Encode(c); err != nil {
		panic("config: " + err.Error())
	}
	return b.Bytes()
}

// Annotated is Resolved with the source of every value behind it as a comment.
func (c *Config) Annotated() []byte {
	var n yaml.Node
	// As in Resolved.
	if err := n.Encode(c); err != nil {
		panic("config: " + err.Error())
	}
	c.annotate(&n, "")
	var b bytes.Buffer
	b.WriteString("# Every value of the run with where it came from, written by it; start it again with\n# --config on this file.\n")
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	if err := enc.Encode(&n); err != nil {
		panic("config: " + err.Error())
	}
	return b.Bytes()
}

// annotate puts the sources of a section's values behind them.
func (c *Config) annotate(section *yaml.Node, key string) {
	for i := 0; i+1 < len(section.Content); i += 2 {
		k, v := section.Content[i], section.Content[i+1]
		full := join(key, k.Value)
		switch {
		case v.Kind == yaml.MappingNode:
			c.annotate(v, full)
		case v.Kind == yaml.SequenceNode && v.Style&yaml.FlowStyle == 0 && len(v.Content) > 0:
			k.LineComment = comment(c.sources[full])
		default:
			v.LineComment = comment(c.sources[full])
		}
	}
}

// comment is a source on one line, whatever a flag or the name of a file holds.
func comment(s Source) string {
	return "# " + strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s.String())
}

// field finds the value of a dotted key; false where there is no such key.
func (c *Config) field(key string) (reflect.Value, bool) {
	v := reflect.ValueOf(*c)
	for _, part := range strings.Split(key, ".") {
		if v.Kind() != reflect.Struct {
			return v, false
		}
		_, byKey := fields(v.Type())
		f, ok := byKey[part]
		if !ok {
			return v, false
		}
		v = v.FieldByIndex(f.Index)
	}
	return v, true
}

// Value returns the value of a scalar or list key in YAML flow form, e.g. "0.01"
// or "[60000, 80000]"; false where there is no such key.
func (c *Config) Value(key string) (string, bool) {
	v, ok := c.field(key)
	if !ok || v.Kind() == reflect.Struct {
		return "", false
	}
	return flow(v.Interface())
}

// flow writes a scalar or a list as YAML on one line.
func flow(v any) (string, bool) {
	var n yaml.Node
	if err := n.Encode(v); err != nil {
		return "", false
	}
	n.Style = yaml.FlowStyle
	for _, c := range n.Content {
		c.Style |= yaml.FlowStyle
	}
	out, err := yaml.Marshal(&n)
	if err != nil {
		return "", false
	}
	return strings.TrimSpace(string(out)), true
}

// Change is a key whose value differs between two recipes.
type Change struct {
	Key, Old, New string // values in YAML flow form
	Source        Source // of the new value
}

// String reads "optim.lr: 0.01 -> 0.02 (--set optim.lr=0.02)".
func (c Change) String() string {
	return fmt.Sprintf("%s: %s -> %s (%s)", c.Key, c.Old, c.New, c.Source)
}

// Diff lists the keys whose values differ, sorted by key.
func Diff(before, after *Config) []Change {
	var out []Change
	for _, k := range after.Keys() {
		a, _ := before.Value(k)
		b, _ := after.Value(k)
		if a != b {
			out = append(out, Change{k, a, b, after.Source(k)})
		}
	}
	return out
}
