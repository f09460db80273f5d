package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"sort"
	"strings"
)

// Pair is one comparison: two commands that print JSON, run in turn A B A B.
type Pair struct {
	Name       string
	Ours, Peer string // shell commands; without a peer ours runs alone
	// OursKey and PeerKey name the figure in each command's JSON (its last line or
	// whole output): a number, or a list whose median counts. Several keys joined
	// by "|" mean the smallest of them.
	OursKey, PeerKey string
	Rounds           int
	Target           float64 // the ratio ours/peer must not be above; 0: none
}

// PairResult holds the figure of every round and the medians.
type PairResult struct {
	Name   string     `json:"name"`
	Ours   []float64  `json:"ours"`
	Peer   []float64  `json:"peer"`
	Median [2]float64 `json:"median"` // ours, peer
	Ratios []float64  `json:"ratios"` // round by round
	Ratio  float64    `json:"ratio"`  // median of Ratios
	Target float64    `json:"target,omitempty"`
}

// Run runs the pair.
func (p Pair) Run(ctx context.Context) (*PairResult, error) {
	r := &PairResult{Name: p.Name, Target: p.Target}
	for range p.Rounds {
		a, err := figure(ctx, p.Ours, p.OursKey)
		if err != nil {
			return nil, err
		}
		r.Ours = append(r.Ours, a)
		if p.Peer == "" {
			continue
		}
		b, err := figure(ctx, p.Peer, p.PeerKey)
		if err != nil {
			return nil, err
		}
		r.Peer, r.Ratios = append(r.Peer, b), append(r.Ratios, a/b)
	}
	if p.Peer == "" {
		r.Median[0] = median(r.Ours)
		return r, nil
	}
	r.Median = [2]float64{median(r.Ours), median(r.Peer)}
	r.Ratio = median(r.Ratios)
	return r, nil
}

// Row is the result as a row of a Markdown table.
func (r *PairResult) Row() string {
	target := ""
	if r.Target > 0 {
		target = fmt.Sprintf("≤ %.2f", r.Target)
	}
	if len(r.Peer) == 0 {
		return fmt.Sprintf("| %s | %.4g | – | – | %s |", r.Name, r.Median[0], target)
	}
	return fmt.Sprintf("| %s | %.4g | %.4g | %.3f (%.3f–%.3f) | %s |", r.Name, r.Median[0], r.Median[1], r.Ratio, minimum(r.Ratios), -minimum(negated(r.Ratios)), target)
}

func negated(v []float64) []float64 {
	out := make([]float64, len(v))
	for i, x := range v {
		out[i] = -x
	}
	return out
}

func minimum(v []float64) float64 {
	m := v[0]
	for _, x := range v {
		m = min(m, x)
	}
	return m
}

func median(v []float64) float64 {
	s := append([]float64(nil), v...)
	sort.Float64s(s)
	n := len(s)
	return (s[(n-1)/2] + s[n/2]) / 2
}

// figure runs a command and takes its figure.
func figure(ctx context.Context, command, keys string) (float64, error) {
	cmd := exec.CommandContext(ctx, "sh", "-c", command)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		return 0, fmt.Errorf("%s: %w\n%s", command, err, errs.String())
	}
	var doc map[string]any
	if json.Unmarshal(out, &doc) != nil {
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		if err := json.Unmarshal([]byte(lines[len(lines)-1]), &doc); err != nil {
			return 0, fmt.Errorf("%s: no JSON in what it printed: %w", command, err)
		}
	}
	best := 0.0
	for i, key := range strings.Split(keys, "|") {
		f, err := number(doc[key])
		if err != nil {
			return 0, fmt.Errorf("%s: figure %q: %w", command, key, err)
		}
		if i == 0 || f < best {
			best = f
		}
	}
	return best, nil
}

func number(v any) (float64, error) {
	switch x := v.(type) {
	case float64:
		return x, nil
	case []any:
		var list []float64
		for _, e := range x {
			f, ok := e.(float64)
			if !ok {
				return 0, fmt.Errorf("%v is no number", e)
			}
			list = append(list, f)
		}
		if len(list) > 0 {
			return median(list), nil
		}
	}
	return 0, fmt.Errorf("%v is neither a number nor a list of them", v)
}
