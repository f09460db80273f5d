package cpu

import (
	"os"
	"syscall"
)

// spinRounds bounds the wait for the next kernel to some 60 microseconds: longer
// than the gaps within a training step, shorter than a time slice.
const spinRounds = "20000"

func spinSet() bool {
	return os.Getenv("GOMP_SPINCOUNT") != "" || os.Getenv("OMP_WAIT_POLICY") != ""
}

// BoundSpin starts the program anew, in place, with a bound on how long idle
// threads of a team spin (GOMP_SPINCOUNT), unless the environment sets one: libgomp
// reads it only when the program is loaded. A main that opens a device calls it
// first. Where the program cannot be started anew it goes on as it is.
func BoundSpin() {
	if spinSet() {
		return
	}
	self, err := os.Executable()
	if err != nil {
		return
	}
	// On success this does not return; after a failure the program is only slower.
	_ = syscall.Exec(self, os.Args, append(os.Environ(), "GOMP_SPINCOUNT="+spinRounds))
}
