package bench

import (
	"context"
	"strings"
	"testing"
)

func TestPair(t *testing.T) {
	p := Pair{Name: "echo", Ours: `echo '{"seconds":[3,1,2]}'`, OursKey: "seconds",
		Peer: `echo noise; echo '{"a":[8,8],"b":4}'`, PeerKey: "a|b", Rounds: 3, Target: 0.6}
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
	for _, bad := range []Pair{
		{Ours: "exit 3", Peer: "true", OursKey: "x", Rounds: 1},
		{Ours: "echo hello", Peer: "true", OursKey: "x", Rounds: 1},
		{Ours: `echo '{"y":1}'`, Peer: "true", OursKey: "x", Rounds: 1},
	} {
		if _, err := bad.Run(context.Background()); err == nil {
			t.Errorf("%q: no error", bad.Ours)
		}
	}
}
