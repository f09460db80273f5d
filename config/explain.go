package config

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
)

// Given is a value that a layer of the recipe states: the defaults, a base recipe, the
// recipe itself or a flag.
type Given struct {
	Value  string `json:"value"` // YAML flow form, paths as written
	From   string `json:"from"`  // such as "base recipe configs/demo.yaml:14"
	Source Source `json:"-"`
	rank   int
}

// Given lists all values that were stated for a key, the default first; the last one
// holds.
func (c *Config) Given(key string) []Given {
	var out []Given
	recipe := ""
	for _, l := range c.layers {
		if l.file != "" {
			recipe = l.file // the last file
		}
	}
	for i, l := range c.layers {
		v, ok := l.value(key)
		if !ok {
			continue
		}
		g := Given{Source: l.sources[key], rank: l.rank}
		g.Value, _ = flow(v)
		switch {
		case i == 0:
			g.Source = Source{}
			g.From = "default"
		case l.file == "":
			g.From = "flag " + g.Source.String()
		case l.file == recipe:
			g.From = "recipe " + g.Source.String()
		default:
			g.From = "base recipe " + g.Source.String()
		}
		out = append(out, g)
	}
	return out
}

// value looks a dotted key up in what the layer states.
func (l *layer) value(key string) (any, bool) {
	var v any = l.values
	for _, part := range strings.Split(key, ".") {
		m, ok := v.(map[string]any)
		if !ok {
			return nil, false
		}
		if v, ok = m[part]; !ok {
			return nil, false
		}
	}
	return v, true
}

// AsOf returns the value that key has where only the layers up to the one count that
// last states another key: the batch that a learning rate was written for. All flags
// are one layer. It is the zero Given where either is no key.
func (c *Config) AsOf(key, other string) Given {
	last := c.Given(other)
	if len(last) == 0 {
		return Given{}
	}
	var out Given
	for _, g := range c.Given(key) {
		if g.rank <= last[len(last)-1].rank {
			out = g
		}
	}
	return out
}

// Explanation says everything about a key, or lists the keys of a section.
type Explanation struct {
	Key     string  `json:"key"`
	Value   string  `json:"value,omitempty"` // YAML flow form, paths absolute
	From    string  `json:"from,omitempty"`  // of the value
	Default string  `json:"default,omitempty"`
	Type    string  `json:"type"` // such as "a whole number", "a section"
	Range   string  `json:"range,omitempty"`
	Doc     string  `json:"doc,omitempty"`
	Given   []Given `json:"given,omitempty"` // all layers that state it, the last holds
	// Keys are those of a section, all levels down, without docs.
	Keys []Explanation `json:"keys,omitempty"`
}

// Explain explains a dotted key or section. An entry of a list stands for its list.
// The error is for an unknown key and names the nearest ones.
func (c *Config) Explain(key string) (*Explanation, error) {
	key, _, _ = strings.Cut(key, "[")
	f, ok := fieldOf(key)
	if !ok {
		problem := fmt.Sprintf("unknown key %q", key)
		if near := suggestions(key, 5); near != nil {
			problem += "; the nearest: " + strings.Join(near, ", ")
		}
		return nil, errors.New(problem)
	}
	e := c.explain(key, f)
	e.Doc = Doc(key)
	e.Given = c.Given(key)
	if f.Type.Kind() == reflect.Struct {
		e.Given = nil
		walkType(f.Type, key, func(k string, t reflect.Type) {
			if t.Kind() != reflect.Struct {
				f, _ := fieldOf(k)
				e.Keys = append(e.Keys, c.explain(k, f))
			}
		})
	}
	return &e, nil
}

func (c *Config) explain(key string, f reflect.StructField) Explanation {
	e := Explanation{Key: key, Type: kindName(f.Type), Range: allowed(f.Type, f.Tag)}
	if f.Type.Kind() == reflect.Struct {
		return e
	}
	e.Value, _ = c.Value(key)
	if given := c.Given(key); len(given) > 0 {
		e.Default, e.From = given[0].Value, given[len(given)-1].From
	}
	return e
}

// kindName says what a value of a key is.
func kindName(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Struct:
		return "a section"
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Struct {
			keys, _ := fields(t.Elem())
			return "a list of {" + strings.Join(keys, ", ") + "}"
		}
		return "a list, each entry " + kindName(t.Elem())
	}
	return typeName(t)
}

// allowed says in words what the tags of a key allow, "" where they allow everything.
func allowed(t reflect.Type, tag reflect.StructTag) string {
	var out []string
	if s := tag.Get("enum"); s != "" {
		out = append(out, "one of "+strings.ReplaceAll(s, ",", ", "))
	}
	if s := tag.Get("len"); s != "" {
		out = append(out, strings.ReplaceAll(s, ",", " or ")+" entries")
	}
	if s := tag.Get("minlen"); s != "" {
		out = append(out, "at least "+s+" entries")
	}
	if s := tag.Get("innerlen"); s != "" {
		out = append(out, "entries of "+s)
	}
	if s := rangeOf(tag); s != "" {
		if t.Kind() == reflect.Slice {
			s = "each " + s
		}
		out = append(out, s)
	}
	return strings.Join(out, ", ")
}
