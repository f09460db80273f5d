package bench

import (
	"context"
	"strings"
	"testing"
)

func TestPair(t *testing.T) {
	p := Pair{Name: "echo", Ours: `echo '{"seconds":[3,1,2]}'`, OursKey: "seconds",
		Peers: []string{`echo noise; echo '{"a":[8,8],"b":4}'`}, PeerKey: "a|b", Rounds: 3, Target: 0.6}
	r, err := p.Run(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if r.Median != [2]float64{2, 4} || r.Ratio != 0.5 {
		t.Errorf("medians %v, ratio %v; want 2, 4, 0.5", r.Median, r.Ratio)
	}
	if row := r.Row(); !strings.Contains(row, "| 2 | 4 | 0.500") {
		t.Errorf("row %q", row)
	}
	for _, more := range []bool{false, true} {
		p := Pair{Name: "two", Ours: `echo '{"x":6}'`, OursKey: "x", PeerKey: "x", Rounds: 2, More: more, Target: 2,
			Peers: []string{`echo '{"x":3}'`, `echo '{"x":2}'`, `echo '{"x":4}'`}}
		r, err := p.Run(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		want := map[bool]string{false: "| two | 6 | 2, best of 3, 2, 4 | 3.000 (3.000–3.000) | ≤ 2 |", true: "| two | 6 | 4, best of 3, 2, 4 | 1.500 (1.500–1.500) | ≥ 2 |"}[more]
		if row := r.Row(); row != want {
			t.Errorf("row %q, want %q", row, want)
		}
	}
	for _, bad := range []Pair{
		{Ours: "exit 3", OursKey: "x", Rounds: 1},
		{Ours: "echo hello", OursKey: "x", Rounds: 1},
		{Ours: `echo '{"y":1}'`, OursKey: "x", Rounds: 1},
		{Ours: `echo '{"x":1}'`, OursKey: "x", Peers: []string{"exit 3"}, PeerKey: "x", Rounds: 1},
	} {
		if _, err := bad.Run(context.Background()); err == nil {
			t.Errorf("%q: no error", bad.Ours)
		}
	}
}
