// Package device is the floor that everything computes on. An operation is a
// small descriptor (kind, shapes, strides: see conv.go, norm.go, pool.go, ops.go); a Device turns a
// descriptor into a prepared Kernel. Nothing above this package may assume that
// a device's memory is host memory: data goes in and out by Upload and Download.
//
// Two devices exist: device/cpu (oneDNN, float32) and device/ref (plain Go,
// float64 whatever the descriptor says), the slow twin that others are tested
// against.
package device

import (
	"fmt"
	"unsafe"
)

// DType is the element type of a tensor as the graph sees it.
type DType uint8

const (
	// Float is the compute type: float32 on device/cpu, float64 on device/ref.
	Float DType = iota
	// Int32 holds class labels.
	Int32
	// Bits holds one bit of information an element: which outputs of a ReLU
	// were positive. A device chooses how it stores it and how many bytes.
	Bits
	// Window is one byte an element: the index, row-major, of the winner within
	// a pooling window of at most 255 cells.
	Window
	// BF16 is the upper half of a float32 (8 bits of precision): activations and
	// their gradients in programs compiled for it (see Mixed). device/ref keeps
	// float64.
	BF16
)

func (t DType) String() string {
	return [...]string{"float", "int32", "bits", "window", "bf16"}[t]
}

// Layout says how a tensor lies in memory.
type Layout uint8

const (
	// Dense is row-major without gaps; activations are [N,H,W,C].
	Dense Layout = iota
	// Filter is a convolution weight of logical shape [O, I/groups, H, W]. It
	// lies in whatever layout the device prefers for that shape and group
	// count, always the same one for the same Desc, padding (if any) zero, so
	// that elementwise kernels may run over the whole storage.
	Filter
	// Prepared is a Filter as some convolutions of a device read it, made by
	// PrepareFilter or FoldNorm. Only these kernels touch it.
	Prepared
)

// Desc describes one tensor argument.
type Desc struct {
	DType  DType
	Layout Layout
	Shape  []int // logical shape; empty for a scalar
	Groups int   // Filter and Prepared only; 0 and 1 mean one group
	Form   int   // Prepared only: the device's number of the form (see Preparer)
}

// Elems returns the number of logical elements.
func (d Desc) Elems() int {
	n := 1
	for _, s := range d.Shape {
		n *= s
	}
	return n
}

// Equal reports whether d and e describe the same storage.
func (d Desc) Equal(e Desc) bool {
	if d.DType != e.DType || d.Layout != e.Layout || max(d.Groups, 1) != max(e.Groups, 1) || d.Form != e.Form || len(d.Shape) != len(e.Shape) {
		return false
	}
	for i, s := range d.Shape {
		if s != e.Shape[i] {
			return false
		}
	}
	return true
}

func (d Desc) String() string {
	s := fmt.Sprintf("%v%v", d.DType, d.Shape)
	if d.Layout == Filter {
		s += fmt.Sprintf("/filter g%d", max(d.Groups, 1))
	}
	if d.Layout == Prepared {
		s += fmt.Sprintf("/filter g%d form %d", max(d.Groups, 1), d.Form)
	}
	return s
}

// Ptr is a device address. It is host memory only on devices that say so; code
// outside a device never dereferences it.
type Ptr = unsafe.Pointer

// Memory is one allocation on a device.
type Memory interface {
	// Ptr is the address of the first byte, at least 64-byte aligned.
	Ptr() Ptr
	// Size is the usable size in bytes.
	Size() int64
	// Free gives the memory back. Calling it twice is allowed.
	Free()
}

// Kernel is an operation prepared for fixed shapes. Its life: Prepare, Bind (as
// often as addresses change), Run many times, Close. Run allocates nothing and
// does no shape work. A kernel is used by one goroutine at a time.
type Kernel interface {
	// Scratch is the number of bytes of working memory that Bind must be given;
	// its content need not survive from one Run to the next.
	Scratch() int64
	// Bind fixes the addresses of the operation's arguments, in the order of the
	// descriptor's Inputs and Outputs, and of the scratch (nil when Scratch is 0).
	Bind(in, out []Ptr, scratch Ptr) error
	// Run computes the outputs. It must be called inside Device.Do.
	Run() error
	// Close frees what Prepare made. Calling it twice is allowed.
	Close()
}

// Device allocates memory and prepares kernels.
type Device interface {
	// Name is a short name for logs: "cpu/onednn", "ref".
	Name() string
	// Threads is the number of threads a kernel runs on.
	Threads() int
	// Size returns the bytes that a tensor of this description takes, a
	// multiple of nothing in particular.
	Size(d Desc) (int64, error)
	// Alloc returns zeroed memory.
	Alloc(bytes int64) (Memory, error)
	// Prepare turns a descriptor into a kernel. An operation or shape that the
	// device cannot do well is an error that says why.
	Prepare(op Op) (Kernel, error)
	// Upload writes src, in canonical row-major order (OIHW for filters), into
	// dst. src is []float32 or []float64 for Float and BF16, which rounds to nearest
	// even, []int32 for Int32, and has
	// d.Elems() elements.
	Upload(dst Ptr, d Desc, src any) error
	// Download is the inverse of Upload; dst is []float32 or []float64 for
	// Float and BF16, []int32 for Int32.
	Download(dst any, d Desc, src Ptr) error
	// Copy copies bytes on the device.
	Copy(dst, src Ptr, bytes int64) error
	// Zero clears bytes on the device.
	Zero(dst Ptr, bytes int64) error
	// Do runs f on the device's own thread and returns its error. Upload,
	// Download, Copy and Zero may be called inside or outside; Kernel.Run only
	// inside. f must not call Do.
	Do(f func() error) error
	// Allocated returns the bytes now allocated and the most ever allocated
	// through Alloc.
	Allocated() (now, peak int64)
	// Close frees the device. Memory and kernels must be freed before.
	Close() error
}

// Op is a descriptor: a plain struct of package device that a
// Device knows how to prepare.
type Op interface {
	// Kind is a short name for profiles and errors: "conv", "bn.backward".
	Kind() string
	// Inputs and Outputs describe the arguments in order.
	Inputs() []Desc
	Outputs() []Desc
	// InPlace lists pairs {output, input} of arguments that may share one
	// address. At most one pair of them is used at a time.
	InPlace() [][2]int
	// Check reports an impossible combination of fields.
	Check() error
}
