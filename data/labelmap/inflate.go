package labelmap

/*
#cgo LDFLAGS: -ldeflate
#include <libdeflate.h>
*/
import "C"

import (
	"runtime"
	"unsafe"
)

// inflater undoes deflate of a whole image at once with libdeflate, which takes a
// third of the time of compress/flate.
type inflater struct {
	d *C.struct_libdeflate_decompressor
}

func newInflater() *inflater {
	z := &inflater{C.libdeflate_alloc_decompressor()}
	runtime.AddCleanup(z, func(d *C.struct_libdeflate_decompressor) { C.libdeflate_free_decompressor(d) }, z.d)
	return z
}

// inflate fills dst with the first len(dst) bytes of what src, raw deflate, holds.
// It is false where src is damaged or holds more or less than that.
func (z *inflater) inflate(dst, src []byte) bool {
	if z.d == nil || len(dst) == 0 || len(src) == 0 {
		return false
	}
	rc := C.libdeflate_deflate_decompress(z.d, unsafe.Pointer(&src[0]), C.size_t(len(src)), unsafe.Pointer(&dst[0]), C.size_t(len(dst)), nil)
	runtime.KeepAlive(z)
	return rc == C.LIBDEFLATE_SUCCESS
}
