package device

// Laner is a Device that can run several jobs at once, each on a part of its threads.
type Laner interface {
	Device
	// Lanes returns a device on the same memory whose Do runs up to n jobs at once, each
	// with that many threads for its kernels: numbers come out as on a device of so many
	// threads, whichever lane a kernel runs in. Tensors lie as on this device, and memory
	// of one may be given to kernels of the other. n times threads is at most this
	// device's threads. Its kernels are prepared outside Do. It has to be closed before
	// this device; a job of one device must not wait for a job of the other.
	Lanes(n, threads int) (Device, error)
}
