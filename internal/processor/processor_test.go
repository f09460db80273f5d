package processor

import (
	"strings"
	"testing"
)

func TestName(t *testing.T) {
	if n := Name(); n == "" || n != strings.TrimSpace(n) || strings.ContainsAny(n, "\n:") {
		t.Errorf("processor %q", n)
	}
}
