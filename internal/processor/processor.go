// Package processor tells what a program runs on.
package processor

import (
	"os"
	"runtime"
	"strings"
)

// Name is the processor's name as the system says it, or the architecture.
func Name() string {
	text, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}
