package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

const (
	maxFile   = 1 << 20 // greatest size of a recipe, bytes
	maxFaults = 20      // faults of one file that are told before parsing stops
)

// parser turns YAML nodes into plain values that fit the schema and notes where
// each came from. It collects faults instead of stopping at the first.
type parser struct {
	source  func(line int) Source
	sources map[string]Source // by key, of what this parser saw
	faults  []error
}

func (p *parser) fault(line int, format string, args ...any) {
	p.faults = append(p.faults, &Error{Source: p.source(line), Problem: fmt.Sprintf(format, args...)})
}

// syntax matches yaml's message, which names the line but not the file.
var syntax = regexp.MustCompile(`(?s)^yaml: (?:line (\d+): )?(.*)$`)

// grammar matches the messages of yaml's grammar, which count lines from 0; those
// of its scanner count from 1.
var grammar = regexp.MustCompile(`^did not find expected (',' or|key$|'-' indicator|node content|<)`)

// document parses YAML text and returns its top node, nil for an empty text.
func (p *parser) document(text []byte) *yaml.Node {
	dec := yaml.NewDecoder(bytes.NewReader(text))
	var doc, second yaml.Node
	err := dec.Decode(&doc)
	if errors.Is(err, io.EOF) {
		return nil
	}
	if err != nil {
		line, msg := 1, err.Error()
		if m := syntax.FindStringSubmatch(msg); m != nil {
			if n, err := strconv.Atoi(m[1]); err == nil {
				line = n
			}
			msg = m[2]
			if grammar.MatchString(msg) {
				line++
			}
		}
		p.fault(line, "not YAML: %s", msg)
		return nil
	}
	if err := dec.Decode(&second); !errors.Is(err, io.EOF) {
		p.fault(1, "more than one YAML document; keep the first")
		return nil
	}
	if len(doc.Content) == 0 {
		return nil
	}
	return doc.Content[0]
}

// section parses a mapping into a map that holds the values of t's fields.
func (p *parser) section(n *yaml.Node, t reflect.Type, key string) map[string]any {
	if n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
		return map[string]any{} // a section whose keys are all commented out
	}
	if n.Kind != yaml.MappingNode {
		p.fault(n.Line, "%s must be a section of keys, got %s", orFile(key), describe(n))
		return nil
	}
	_, byKey := fields(t)
	out := map[string]any{}
	first := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if len(p.faults) >= maxFaults {
			return nil
		}
		k, v := n.Content[i], n.Content[i+1]
		if k.Kind != yaml.ScalarNode || k.Tag == "!!merge" {
			p.fault(k.Line, "a key must be a plain word, got %s", describe(k))
			continue
		}
		full := join(key, k.Value)
		if line, dup := first[k.Value]; dup {
			p.fault(k.Line, "key %q stands twice (first on line %d)", full, line)
			continue
		}
		first[k.Value] = k.Line
		f, ok := byKey[k.Value]
		if !ok || strings.Contains(k.Value, ".") {
			p.fault(k.Line, "%s", unknown(full))
			continue
		}
		if val, ok := p.value(v, f.Type, full); ok {
			out[k.Value] = val
		}
	}
	return out
}

// value parses a node that must fit t. The second result is false after a fault.
func (p *parser) value(n *yaml.Node, t reflect.Type, key string) (any, bool) {
	if n.Kind == yaml.AliasNode || n.Anchor != "" {
		p.fault(n.Line, "%q: anchors and aliases are not supported; repeat the value or use base:", key)
		return nil, false
	}
	p.sources[key] = p.source(n.Line)
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t.Kind() {
	case reflect.Struct:
		m := p.section(n, t, key)
		return m, m != nil
	case reflect.Slice:
		if n.Kind != yaml.SequenceNode {
			p.fault(n.Line, "%q must be a list, got %s", key, describe(n))
			return nil, false
		}
		list, good := make([]any, 0, len(n.Content)), true
		for i, c := range n.Content {
			if len(p.faults) >= maxFaults {
				return nil, false
			}
			v, ok := p.value(c, t.Elem(), fmt.Sprintf("%s[%d]", key, i))
			list, good = append(list, v), good && ok
		}
		return list, good
	}
	v := scalar(n, t)
	if v == nil {
		hint := ""
		if t.Kind() == reflect.String {
			hint = `; put it in quotes ("" for none)`
		}
		p.fault(n.Line, "%q must be %s, got %s%s", key, typeName(t), describe(n), hint)
	}
	return v, v != nil
}

// scalar converts a scalar node to t's kind, or returns nil where it does not
// fit: no quiet conversion between text, numbers and truth values.
func scalar(n *yaml.Node, t reflect.Type) any {
	if n.Kind != yaml.ScalarNode {
		return nil
	}
	if t == reflect.TypeFor[Count]() {
		return count(n)
	}
	switch t.Kind() {
	case reflect.String:
		if n.Tag == "!!str" && !strings.ContainsRune(n.Value, 0) {
			return n.Value
		}
	case reflect.Bool:
		var b bool
		if n.Tag == "!!bool" && n.Decode(&b) == nil {
			return b
		}
	case reflect.Int:
		var i int
		if n.Tag == "!!int" && n.Decode(&i) == nil {
			return i
		}
	case reflect.Uint64:
		var u uint64
		if n.Tag == "!!int" && n.Decode(&u) == nil {
			return u
		}
	case reflect.Float64:
		var f float64
		if (n.Tag == "!!float" || n.Tag == "!!int") && n.Decode(&f) == nil && !math.IsNaN(f) && !math.IsInf(f, 0) {
			return f
		}
	}
	return nil
}

func typeName(t reflect.Type) string {
	if t == reflect.TypeFor[Count]() {
		return "a whole number from 1, or auto"
	}
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.Int:
		return "a whole number"
	case reflect.Uint64:
		return "a whole number from 0"
	case reflect.Float64:
		return "a finite number"
	}
	return "text"
}

// describe names what stands in the file, shortly.
func describe(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a section"
	case yaml.SequenceNode:
		return "a list"
	case yaml.AliasNode:
		return "an alias"
	}
	if n.Tag == "!!null" {
		return "nothing"
	}
	v := n.Value
	if len(v) > 40 {
		v = v[:40] + "…"
	}
	kind := map[string]string{
		"!!str": "text", "!!bool": "a truth value", "!!int": "a whole number", "!!float": "a number", "!!timestamp": "a date",
	}[n.Tag]
	if kind == "" {
		kind = "a value with tag " + n.Tag
	}
	return fmt.Sprintf("%q (%s)", v, kind)
}

func orFile(key string) string {
	if key == "" {
		return "the file"
	}
	return strconv.Quote(key)
}

func unknown(key string) string {
	if n := nearest(key); n != "" {
		return fmt.Sprintf("unknown key %q (did you mean %q?)", key, n)
	}
	return fmt.Sprintf("unknown key %q", key)
}
