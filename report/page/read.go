package page

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"slices"

	"gopkg.in/yaml.v3"
)

// jsonLines hands each line of a file to add and returns a note on those that are no
// JSON, "" without any. The last line of a run that was killed may be cut off.
func jsonLines(name string, b []byte, add func(line []byte) error) string {
	bad, first := 0, ""
	n := 0
	for len(b) > 0 {
		line, rest, ended := bytes.Cut(b, []byte("\n"))
		b = rest
		n++
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		if err := add(line); err != nil {
			if bad++; first == "" {
				what := "is not one of a log"
				if !json.Valid(line) {
					what = "is no JSON"
				}
				if !ended {
					what = "was cut off"
				}
				first = fmt.Sprintf("line %d %s", n, what)
			}
		}
	}
	switch bad {
	case 0:
		return ""
	case 1:
		return fmt.Sprintf("%s: %s; it is left out", name, first)
	}
	return fmt.Sprintf("%s: %d lines are left out, the first: %s", name, bad, first)
}

func (r *Run) note(text string) {
	if text != "" {
		r.Notes = append(r.Notes, text)
	}
}

func (r *Run) readLog(b []byte) error {
	r.note(jsonLines(logFile, b, func(line []byte) error {
		var l Line
		if err := json.Unmarshal(line, &l); err != nil {
			return err
		}
		r.Log = append(r.Log, l)
		return nil
	}))
	r.Log = byStep(r.Log, func(l Line) int64 { return l.Step })
	return nil
}

func (r *Run) readMetrics(b []byte) error {
	r.note(jsonLines(metricsFile, b, func(line []byte) error {
		var l struct {
			Step    int64               `json:"step"`
			Metrics map[string]*float64 `json:"metrics"`
		}
		if err := json.Unmarshal(line, &l); err != nil {
			return err
		}
		e := Evaluation{Step: l.Step, Metrics: map[string]float64{}}
		for k, v := range l.Metrics {
			if v != nil && !math.IsNaN(*v) {
				e.Metrics[k] = *v
			}
		}
		r.Evaluations = append(r.Evaluations, e)
		return nil
	}))
	r.Evaluations = byStep(r.Evaluations, func(e Evaluation) int64 { return e.Step })
	return nil
}

// byStep sorts, and keeps the last line of each step: a resumed run repeats those after
// its checkpoint.
func byStep[T any](lines []T, step func(T) int64) []T {
	slices.SortStableFunc(lines, func(a, b T) int {
		switch sa, sb := step(a), step(b); {
		case sa < sb:
			return -1
		case sa > sb:
			return 1
		}
		return 0
	})
	var out []T
	for _, l := range lines {
		if n := len(out); n > 0 && step(out[n-1]) == step(l) {
			out[n-1] = l
			continue
		}
		out = append(out, l)
	}
	return out
}

func (r *Run) readResult(b []byte) error {
	var res Result
	if err := json.Unmarshal(b, &res); err != nil {
		return err
	}
	r.Result = &res
	return nil
}

// Setting is one value of a recipe by its key, such as "optim.lr".
type Setting struct{ Key, Value string }

func (r *Run) readConfig(b []byte) error {
	r.ConfigText = string(b)
	var doc yaml.Node
	if err := yaml.Unmarshal(b, &doc); err != nil {
		return err
	}
	if len(doc.Content) > 0 {
		r.flatten("", doc.Content[0])
	}
	for _, s := range r.Config {
		if s.Key == "name" {
			r.Name = s.Value
		}
	}
	return nil
}

// flatten lists the leaves of a mapping; lists are values.
func (r *Run) flatten(key string, n *yaml.Node) {
	if n.Kind == yaml.MappingNode && len(n.Content) > 0 {
		for i := 0; i+1 < len(n.Content); i += 2 {
			k := n.Content[i].Value
			if key != "" {
				k = key + "." + k
			}
			r.flatten(k, n.Content[i+1])
		}
		return
	}
	value := n.Value
	if n.Kind != yaml.ScalarNode {
		var v any
		if err := n.Decode(&v); err == nil {
			if b, err := json.Marshal(v); err == nil {
				value = string(b)
			}
		}
	} else if value == "" {
		value = `""`
	}
	r.Config = append(r.Config, Setting{key, value})
}

// Setting returns a value of the recipe by its key, "" where there is none.
func (r *Run) Setting(key string) string {
	for _, s := range r.Config {
		if s.Key == key {
			return s.Value
		}
	}
	return ""
}
