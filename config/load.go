package config

import (
	_ "embed"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"strings"

	"github.com/go-viper/mapstructure/v2"
	"github.com/spf13/viper"
	"gopkg.in/yaml.v3"
)

//go:embed defaults.yaml
var defaults []byte

// Defaults returns the commented file of all keys and their defaults.
func Defaults() []byte { return defaults }

// maxBases bounds a chain of base: files.
const maxBases = 8

// Load reads the recipe at path with its base file and applies the --set
// arguments ("optim.lr=0.1", the value in YAML). All faults found are joined in
// one error; those of the recipe are *Error. Files that the recipe names are not
// opened: see CheckPaths.
func Load(path string, sets []string) (*Config, error) {
	layers, err := readFiles(path)
	if err != nil {
		return nil, err
	}
	return assemble(path, layers, sets)
}

// Parse is Load for text that is not a file of its own, such as the resolved
// recipe inside a checkpoint. name stands in messages; relative paths are
// relative to the current folder, and base: is refused.
func Parse(name string, text []byte, sets []string) (*Config, error) {
	l, err := parseLayer(name, text)
	if err != nil {
		return nil, err
	}
	if l.base != "" {
		return nil, &Error{Source{File: name, Line: l.baseLine}, "base: needs a recipe that is a file"}
	}
	return assemble(name, []*layer{l}, sets)
}

// layer is one source of values.
type layer struct {
	file     string
	rank     int // its place in the order of precedence; all flags share one
	values   map[string]any
	sources  map[string]Source
	base     string
	baseLine int
}

// readFiles reads the recipe and its bases, the most basic first.
func readFiles(path string) ([]*layer, error) {
	var chain []*layer
	seen := map[string]string{}
	var from *layer
	for path != "" {
		abs, err := filepath.Abs(path)
		if err != nil {
			return nil, err
		}
		if _, again := seen[abs]; again {
			return nil, &Error{Source{File: from.file, Line: from.baseLine}, fmt.Sprintf("base: %s leads back to itself", from.base)}
		}
		if len(chain) == maxBases {
			return nil, &Error{Source{File: from.file, Line: from.baseLine}, fmt.Sprintf("more than %d files in a chain of base:", maxBases)}
		}
		seen[abs] = path
		text, err := readFile(path)
		if err != nil {
			if from != nil {
				return nil, &Error{Source{File: from.file, Line: from.baseLine}, fmt.Sprintf("base: %v", err)}
			}
			return nil, err
		}
		l, err := parseLayer(path, text)
		if err != nil {
			return nil, err
		}
		chain = append([]*layer{l}, chain...)
		from, path = l, ""
		if l.base != "" {
			path = resolvePath(l.base, filepath.Dir(l.file))
		}
	}
	return chain, nil
}

func readFile(path string) ([]byte, error) {
	abs, _ := filepath.Abs(path)
	f, err := os.Open(path)
	if err != nil {
		return nil, &Error{Source{File: path, Line: 1}, fmt.Sprintf("cannot read recipe %s: %v", abs, cause(err))}
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, &Error{Source{File: path, Line: 1}, fmt.Sprintf("cannot read recipe %s: %v", abs, cause(err))}
	}
	if len(text) > maxFile {
		return nil, &Error{Source{File: path, Line: 1}, fmt.Sprintf("larger than %d bytes: not a recipe", maxFile)}
	}
	return text, nil
}

// cause strips the operation and the path from a file error.
func cause(err error) error {
	var pe *os.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

func parseLayer(file string, text []byte) (*layer, error) {
	p := &parser{sources: map[string]Source{}, source: func(line int) Source { return Source{File: file, Line: line} }}
	l := &layer{file: file, values: map[string]any{}, sources: p.sources}
	if n := p.document(text); n != nil {
		takeBase(p, l, n)
		l.values = p.section(n, reflect.TypeFor[Config](), "")
	}
	return l, errors.Join(p.faults...)
}

// takeBase removes the base: key from a recipe's top mapping.
func takeBase(p *parser, l *layer, n *yaml.Node) {
	if n.Kind != yaml.MappingNode {
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value != "base" {
			continue
		}
		v := n.Content[i+1]
		if s, ok := scalar(v, reflect.TypeFor[string]()).(string); ok && s != "" {
			l.base, l.baseLine = s, v.Line
		} else {
			p.fault(v.Line, `"base" must be the path of one recipe, got %s`, describe(v))
		}
		n.Content = append(n.Content[:i:i], n.Content[i+2:]...)
		return
	}
}

// parseSet parses one --set argument.
func parseSet(arg string) (*layer, error) {
	p := &parser{sources: map[string]Source{}, source: func(int) Source { return Source{Flag: arg} }}
	key, text, ok := strings.Cut(arg, "=")
	key = strings.TrimSpace(key)
	if !ok {
		p.fault(0, "write --set key=value, e.g. --set optim.lr=0.02")
		return nil, errors.Join(p.faults...)
	}
	t, ok := typeOf(key)
	if !ok {
		if strings.Contains(key, "[") {
			p.fault(0, "%q: entries of a list cannot be set one by one; give the whole list", key)
		} else {
			p.fault(0, "%s", unknown(key))
		}
		return nil, errors.Join(p.faults...)
	}
	n := p.document([]byte(text))
	if n == nil && p.faults == nil {
		n = &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str"} // key= means empty text
	}
	var val any
	if p.faults == nil {
		val, _ = p.value(n, t, key)
	}
	if p.faults != nil {
		return nil, errors.Join(p.faults...)
	}
	parts := strings.Split(key, ".")
	for i := len(parts) - 1; i >= 0; i-- {
		val = map[string]any{parts[i]: val}
	}
	return &layer{values: val.(map[string]any), sources: p.sources}, nil
}

// fieldOf returns the field that the schema has for a dotted key.
func fieldOf(key string) (f reflect.StructField, ok bool) {
	t := reflect.TypeFor[Config]()
	for _, part := range strings.Split(key, ".") {
		if t.Kind() != reflect.Struct {
			return f, false
		}
		_, byKey := fields(t)
		if f, ok = byKey[part]; !ok {
			return f, false
		}
		t = f.Type
	}
	return f, true
}

// typeOf returns the type that the schema has for a dotted key.
func typeOf(key string) (reflect.Type, bool) {
	f, ok := fieldOf(key)
	return f.Type, ok
}

// assemble merges the layers over the defaults, decodes and checks the result.
func assemble(name string, layers []*layer, sets []string) (*Config, error) {
	base, err := parseLayer("defaults.yaml", defaults)
	if err != nil {
		return nil, fmt.Errorf("config: built-in %w", err)
	}
	sources := map[string]Source{}
	for k := range base.sources {
		sources[k] = Source{}
	}
	var faults []error
	for _, s := range sets {
		l, err := parseSet(s)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		layers = append(layers, l)
	}
	if faults != nil {
		return nil, errors.Join(faults...)
	}

	// An instance of its own: viper's global one is shared by the whole process.
	// Keys are lower case and without dots here, which viper needs; the parser
	// has seen to it. Lists are replaced by MergeConfigMap, maps are merged.
	v := viper.New()
	files := 0
	for i, l := range layers {
		if l.file != "" {
			files = i + 1
		}
		l.rank = files
		if l.file == "" {
			l.rank++
		}
	}
	base.file = ""
	all := append([]*layer{base}, layers...)
	for _, l := range all {
		if err := v.MergeConfigMap(copied(l.values)); err != nil {
			return nil, fmt.Errorf("config: %s: %w", name, err)
		}
	}
	for _, l := range layers {
		mergeSources(sources, l.sources)
	}
	c := &Config{sources: sources, layers: all}
	tag := func(d *mapstructure.DecoderConfig) { d.TagName = "yaml" }
	if err := v.UnmarshalExact(c, tag); err != nil {
		return nil, fmt.Errorf("config: %s: %w", name, err)
	}
	if err := c.validate(); err != nil {
		return nil, err
	}
	return c, c.absolute(filepath.Dir(name))
}

// copied copies the sections of a layer: viper merges later ones into them.
func copied(section map[string]any) map[string]any {
	out := make(map[string]any, len(section))
	for k, v := range section {
		if m, ok := v.(map[string]any); ok {
			v = copied(m)
		}
		out[k] = v
	}
	return out
}

// mergeSources notes newer sources; the entries of a replaced list go.
func mergeSources(into, from map[string]Source) {
	for k := range from {
		if t, ok := typeOf(k); ok && t.Kind() == reflect.Slice {
			maps.DeleteFunc(into, func(old string, _ Source) bool { return strings.HasPrefix(old, k+"[") })
		}
	}
	maps.Copy(into, from)
}
