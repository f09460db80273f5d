//go:build !linux

package data

// lowerPriority does nothing where a priority belongs to the whole process.
func lowerPriority() {}
