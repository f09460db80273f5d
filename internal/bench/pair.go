package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"slices"
	"sort"
	"strings"
)

// Pair is one comparison: commands that print JSON, run in turn, ours and each peer once a
// round.
type Pair struct {
	Name  string
	Ours  string   // a shell command
	Peers []string // likewise; the best of a round counts; without a peer ours runs alone
	// OursKey and PeerKey name the figure in each command's JSON (its last line or
	// whole output): a number, or a list whose median counts. Several keys joined
	// by "|" mean the smallest of them.
	OursKey, PeerKey string
	Rounds           int
	More             bool    // larger figures are better
	Target           float64 // the ratio ours/peer must not be above, or with More below; 0: none
}

// PairResult holds the figure of every round and the medians.
type PairResult struct {
	Name   string      `json:"name"`
	Ours   []float64   `json:"ours"`
	Peer   []float64   `json:"peer"`            // the best of each round
	Peers  [][]float64 `json:"peers,omitempty"` // of each peer, where there are several
	Median [2]float64  `json:"median"`          // ours, peer
	Ratios []float64   `json:"ratios"`          // round by round
	Ratio  float64     `json:"ratio"`           // median of Ratios
	More   bool        `json:"more,omitempty"`  // larger figures are better
	Target float64     `json:"target,omitempty"`
}

// Run runs the pair.
func (p Pair) Run(ctx context.Context) (*PairResult, error) {
	r := &PairResult{Name: p.Name, More: p.More, Target: p.Target}
	peers := make([][]float64, len(p.Peers))
	for range p.Rounds {
		a, err := figure(ctx, p.Ours, p.OursKey)
		if err != nil {
			return nil, err
		}
		r.Ours = append(r.Ours, a)
		for i, peer := range p.Peers {
			b, err := figure(ctx, peer, p.PeerKey)
			if err != nil {
				return nil, err
			}
			peers[i] = append(peers[i], b)
			switch last := len(r.Ours) - 1; {
			case i == 0:
				r.Peer = append(r.Peer, b)
			case p.More:
				r.Peer[last] = max(r.Peer[last], b)
			default:
				r.Peer[last] = min(r.Peer[last], b)
			}
		}
		if len(p.Peers) > 0 {
			r.Ratios = append(r.Ratios, a/r.Peer[len(r.Peer)-1])
		}
	}
	if len(p.Peers) == 0 {
		r.Median[0] = median(r.Ours)
		return r, nil
	}
	if len(p.Peers) > 1 {
		r.Peers = peers
	}
	r.Median = [2]float64{median(r.Ours), median(r.Peer)}
	r.Ratio = median(r.Ratios)
	return r, nil
}

// Row is the result as a row of a Markdown table.
func (r *PairResult) Row() string {
	target := ""
	if r.Target > 0 {
		target = fmt.Sprintf("%s %.2g", map[bool]string{true: "≥", false: "≤"}[r.More], r.Target)
	}
	if len(r.Peer) == 0 {
		return fmt.Sprintf("| %s | %.4g | – | – | %s |", r.Name, r.Median[0], target)
	}
	peer := fmt.Sprintf("%.4g", r.Median[1])
	if len(r.Peers) > 1 {
		var each []string
		for _, list := range r.Peers {
			each = append(each, fmt.Sprintf("%.4g", median(list)))
		}
		peer += ", best of " + strings.Join(each, ", ")
	}
	return fmt.Sprintf("| %s | %.4g | %s | %.3f (%.3f–%.3f) | %s |", r.Name, r.Median[0], peer, r.Ratio, slices.Min(r.Ratios), slices.Max(r.Ratios), target)
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
