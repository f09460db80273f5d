// Package resident measures the memory that the process holds.
package resident

import (
	"os"
	"runtime/debug"
	"strconv"
	"strings"
)

// Bytes returns the memory that the process holds now and held at most, 0 where
// the system does not tell.
func Bytes() (now, peak int64) {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, 0
	}
	for _, line := range strings.Split(string(text), "\n") {
		for _, f := range []struct {
			key string
			to  *int64
		}{{"VmRSS:", &now}, {"VmHWM:", &peak}} {
			if rest, ok := strings.CutPrefix(line, f.key); ok {
				kb, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
				*f.to = kb << 10
			}
		}
	}
	return now, peak
}

// Baseline returns the resident memory after garbage has been given back, and lets
// the high-water mark begin there where the system allows it.
func Baseline() int64 {
	debug.FreeOSMemory()
	// 5 resets VmHWM (Linux, proc(5)).
	_ = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0o200)
	now, _ := Bytes()
	return now
}
