package bench

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// GoBenchmarks reads what 'go test -bench' prints ("Go Benchmark Data Format", Go
// proposal 14313) and returns the nanoseconds of each benchmark, one run a line.
func GoBenchmarks(in io.Reader) ([]Figure, error) {
	var list []Figure
	at := map[string]int{}
	pkg := ""
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		line := lines.Text()
		if name, ok := strings.CutPrefix(line, "pkg: "); ok {
			pkg = name
		}
		f := strings.Fields(line)
		if len(f) > 0 && (f[0] == "FAIL" || f[0] == "---") {
			return nil, fmt.Errorf("benchmarks: %s", line)
		}
		if len(f) < 4 || !strings.HasPrefix(f[0], "Benchmark") || f[3] != "ns/op" {
			continue
		}
		v, err := strconv.ParseFloat(f[2], 64)
		if err != nil || !(v > 0) {
			return nil, fmt.Errorf("benchmarks: %q is no time above 0: %s", f[2], line)
		}
		name := strings.TrimSpace(pkg+" "+f[0]) + ", ns"
		if _, ok := at[name]; !ok {
			at[name] = len(list)
			list = append(list, Figure{Name: name})
		}
		list[at[name]].Runs = append(list[at[name]].Runs, v)
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, errors.New("benchmarks: no timing in what 'go test -bench' printed")
	}
	return list, nil
}
