package devicetest

import (
	"testing"

	"manvision/device/ref"
)

// TestRef runs the suite on the reference itself, on another number of
// goroutines: no difference is accepted.
func TestRef(t *testing.T) { Run(t, ref.NewThreads(3), Exact()) }
