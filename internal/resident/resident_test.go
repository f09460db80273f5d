package resident

import "testing"

// A peak follows what is touched and does not fall again.
func TestPeak(t *testing.T) {
	before := Baseline()
	if before == 0 {
		t.Skip("skipped: no /proc/self/status here")
	}
	const size = 64 << 20
	b := make([]byte, size)
	for i := range b {
		b[i] = 1
	}
	now, peak := Bytes()
	if peak < now || peak-before < size*9/10 {
		t.Errorf("%d bytes before, %d now, %d at most after touching %d", before, now, peak, len(b))
	}
}
