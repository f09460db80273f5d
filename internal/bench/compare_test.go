package bench

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// By hand: the median is 10, distances from it 0 1 1 2 2 with median 1, so
// 1.7·1.25·1.4826/√5.
func TestNotch(t *testing.T) {
	if got, want := notch([]float64{8, 9, 10, 11, 12}), 1.7*1.25*1.4826/math.Sqrt(5); math.Abs(got-want) > 1e-12 {
		t.Errorf("%v, want %v", got, want)
	}
	if notch([]float64{1, 2}) != 0 {
		t.Error("two runs have a spread")
	}
}

func TestCompare(t *testing.T) {
	old := &Record{Machine: "a", Cores: 4, Threads: 4}
	now := &Record{Machine: "a", Cores: 4, Threads: 4}
	both := func(name string, more bool, a, b []float64) {
		old.Add(Figure{Name: name, More: more, Runs: a})
		now.Add(Figure{Name: name, More: more, Runs: b})
	}
	tight, slow := []float64{1, 1.01, 0.99, 1, 1.02}, []float64{1.2, 1.21, 1.19, 1.2, 1.22}
	both("worse", false, tight, slow)
	both("better", false, slow, tight)
	both("more is better", true, tight, slow)
	both("fewer images", true, slow, tight)
	both("noise", false, []float64{0.8, 1, 1.5, 0.9, 1.3}, []float64{1, 1.2, 1.6, 0.9, 1.5})
	both("below the floor", false, []float64{1, 1, 1}, []float64{1.01, 1.01, 1.01})
	both("one run, 5 %", false, []float64{1}, []float64{1.05})
	both("one run, 20 %", false, []float64{1}, []float64{1.2})
	old.Add(Figure{Name: "slower for both", Runs: tight, Ratios: []float64{0.5, 0.51, 0.49}})
	now.Add(Figure{Name: "slower for both", Runs: slow, Ratios: []float64{0.5, 0.51, 0.5}})
	old.Add(Figure{Name: "gone", Runs: tight})
	now.Add(Figure{Name: "added", Runs: tight})
	want := map[string]string{"worse": Worse, "better": Better, "more is better": Better, "fewer images": Worse, "noise": Same, "below the floor": Same,
		"one run, 5 %": Same, "one run, 20 %": Worse, "slower for both": Same, "gone": Missing, "added": New}
	list := Compare(old, now, 0.02)
	if len(list) != len(want) {
		t.Errorf("%d changes, want %d", len(list), len(want))
	}
	for _, c := range list {
		if c.Verdict != want[c.Name] {
			t.Errorf("%s: %s, want %s: %+v", c.Name, c.Verdict, want[c.Name], c)
		}
	}
	if !Lost(list) || Lost(Compare(old, old, 0.02)) {
		t.Error("losses not seen, or seen where nothing changed")
	}
	var b bytes.Buffer
	now.Threads = 2
	if err := WriteChanges(&b, false, old, now, list); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"warning: not the same machine", "1.2\t", "worse"} {
		if !strings.Contains(b.String(), text) {
			t.Errorf("%q is not in\n%s", text, &b)
		}
	}
}

func TestReadRecord(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.json")
	r, err := OpenRecord(path, 2, "abc", "2024-01-02T03:04:05Z")
	if err != nil || r.Commit != "abc" || r.Threads != 2 || r.Machine == "" {
		t.Fatalf("%+v, %v", r, err)
	}
	for _, bad := range []string{"", "{}", `[1]`, `{"benchmarks":[{"name":"a"}]}`, `{"benchmarks":[{"name":"a","runs":[0]}]}`,
		`{"benchmarks":[{"name":"a","runs":[1]},{"name":"a","runs":[1]}]}`, `{"benchmarks":[{"runs":[1]}]}`} {
		if err := os.WriteFile(path, []byte(bad), 0o666); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadRecord(path); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

// Lines as 'go test -bench' of Go 1.26 prints them.
func TestGoBenchmarks(t *testing.T) {
	text := `goos: linux
pkg: manvision/exec
BenchmarkRun/small-4   	     100	   2000 ns/op	     12.5 plannedMB
BenchmarkRun/small-4   	     100	   3000 ns/op
BenchmarkOther-4 	 1	 5e+09 ns/op	 16 B/op
PASS
pkg: manvision/device/cpu
BenchmarkOther-4 	 1	 7 ns/op
`
	got, err := GoBenchmarks(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 3 || got[0].Name != "manvision/exec BenchmarkRun/small-4, ns" || len(got[0].Runs) != 2 || got[0].Runs[1] != 3000 || got[1].Runs[0] != 5e9 ||
		got[2].Name != "manvision/device/cpu BenchmarkOther-4, ns" {
		t.Errorf("%+v", got)
	}
	if _, err := GoBenchmarks(strings.NewReader("FAIL\n")); err == nil {
		t.Error("a failed run was taken")
	}
}
