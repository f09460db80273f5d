package device

// Tuner is a Device that knows several ways to compute an operation and can choose among
// them by timing. It does not unless it is told to: numbers of two ways differ in their
// last digits, so that choices have to be kept for the same numbers to come out again.
type Tuner interface {
	Device
	// Tune makes Prepare choose by timing from now on, on this device and its Lanes.
	// given are choices of an earlier run, as Tuned returns them, or nil: what is among
	// them is never timed again. Others are kept in a file of the user's, for one machine
	// and version of the device's library, and timed once. A second call without given
	// choices changes nothing.
	Tune(given []byte) error
	// Choices counts the choices in use; it grows when something new is prepared.
	Choices() int
	// Tuned keeps what has been timed in the user's file and returns what is in use.
	Tuned() (Tuned, error)
}

// Tuned are choices in use.
type Tuned struct {
	Choices []byte // JSON, as Tune takes them
	Text    string // in words: how many, of which how many differ from the rule, and where they are kept
}
