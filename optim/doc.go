// Package optim holds what the update of a parameter depends on and nothing
// that runs on a device: learning-rate schedules as pure functions of the
// global step, the rules that give each parameter its own learning rate and
// weight decay, and plain float64 reference updates of SGD and AdamW with
// PyTorch's semantics. The device kernels are tested against the references.
//
// A tensor without a gradient is skipped entirely: no decay, no momentum, no
// step count. That is the caller's duty; the functions here never see it.
package optim
