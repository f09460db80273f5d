package augment

/*
#cgo pkg-config: opencv4
#cgo LDFLAGS: -ljpeg -ldeflate
#cgo CXXFLAGS: -std=c++11 -O3
#include <stdlib.h>
#include "cv.h"
*/
import "C"

import (
	"errors"
	"image"
	"unsafe"

	"gocv.io/x/gocv"
)

// The loader's workers are the parallelism; a team of OpenCV threads beside the
// training threads would only slow both down. gocv has no call for it.
func init() { C.mv_single_thread() }

var errNotAnImage = errors.New("not an image OpenCV can decode")

// decodeInto decodes the image file in buf into m. No C++ exception leaves it: thrown through cgo it
// would end the process.
func decodeInto(m gocv.Mat, buf []byte, flags int) error {
	var msg [256]C.char
	rc := C.mv_decode(unsafe.Pointer(m.Ptr()), (*C.uchar)(unsafe.Pointer(&buf[0])), C.long(len(buf)), C.int(flags), &msg[0], C.int(len(msg)))
	switch rc {
	case 0:
		return nil
	case 2:
		return errors.New(C.GoString(&msg[0]))
	}
	return errNotAnImage
}

// decodeJPEG decodes a JPEG into m as stored, at 1/reduce of its size. done is
// false for the forms that are left to decodeInto.
func decodeJPEG(m gocv.Mat, buf []byte, reduce int) (done bool, err error) {
	var msg [256]C.char
	rc := C.mv_decode_jpeg(unsafe.Pointer(m.Ptr()), (*C.uchar)(unsafe.Pointer(&buf[0])), C.long(len(buf)), C.int(reduce), &msg[0], C.int(len(msg)))
	switch rc {
	case 0:
		return true, nil
	case 3:
		return false, nil
	}
	return true, errors.New(C.GoString(&msg[0]))
}

// pngDecoder keeps the memory of decodePNG; close frees it.
type pngDecoder struct{ s *C.mv_png }

func newPNGDecoder() pngDecoder { return pngDecoder{C.mv_png_new()} }

func (d *pngDecoder) close() {
	C.mv_png_free(d.s)
	d.s = nil
}

// decode decodes a PNG into m. It is false for those that are left to decodeInto.
func (d pngDecoder) decode(m gocv.Mat, buf []byte) bool {
	return d.s != nil && C.mv_decode_png(d.s, unsafe.Pointer(m.Ptr()), (*C.uchar)(unsafe.Pointer(&buf[0])), C.long(len(buf))) == 0
}

// plane is a view of an 8-bit BGR Mat's pixels.
type plane struct {
	px   *C.uchar
	step C.long
	w, h int
}

func planeOf(m gocv.Mat) plane {
	var rows, cols C.int
	var step C.long
	px := C.mv_shape(unsafe.Pointer(m.Ptr()), &rows, &cols, &step)
	return plane{px: px, step: step, w: int(cols), h: int(rows)}
}

// normalizeInto writes p as normalised RGB floats into the top left of the
// cw x ch canvas dst and zeroes the rest.
func normalizeInto(dst []float32, cw, ch int, p plane, scale, shift *[3]float32, flip bool) {
	f := C.int(0)
	if flip {
		f = 1
	}
	C.mv_normalize(p.px, p.step, C.int(p.w), C.int(p.h), (*C.float)(unsafe.Pointer(&dst[0])), C.int(cw), C.int(ch),
		(*C.float)(unsafe.Pointer(&scale[0])), (*C.float)(unsafe.Pointer(&shift[0])), f)
}

func colour(p plane, brightness, contrast, saturation float64) {
	C.mv_colour(p.px, p.step, C.int(p.w), C.int(p.h), C.float(brightness), C.float(contrast), C.float(saturation))
}

func shiftHue(p plane, add int) {
	C.mv_hue(p.px, p.step, C.int(p.w), C.int(p.h), C.int(add))
}

// mapLevels sends each of p's three channels through its table.
func mapLevels(p plane, t0, t1, t2 *levels) {
	C.mv_levels(p.px, p.step, C.int(p.w), C.int(p.h), (*C.uchar)(unsafe.Pointer(t0)), (*C.uchar)(unsafe.Pointer(t1)), (*C.uchar)(unsafe.Pointer(t2)))
}

// resizeWindow makes dst the window r of what bilinear resizing of src to w x h
// pixels gives, without making the rest.
func resizeWindow(src gocv.Mat, dst *gocv.Mat, w, h int, r image.Rectangle) {
	C.mv_resize_window(unsafe.Pointer(src.Ptr()), unsafe.Pointer(dst.Ptr()), C.int(w), C.int(h), C.int(r.Min.X), C.int(r.Min.Y), C.int(r.Dx()), C.int(r.Dy()))
}

// resample makes dst the window r of src resized to w x h pixels with one of
// Pillow's filters, without making the rest.
func resample(src gocv.Mat, dst *gocv.Mat, w, h int, r image.Rectangle, how Interpolation) {
	filter := C.int(0)
	if how == AntialiasCubic {
		filter = 1
	}
	C.mv_resample(unsafe.Pointer(src.Ptr()), unsafe.Pointer(dst.Ptr()), C.int(w), C.int(h), C.int(r.Min.X), C.int(r.Min.Y), C.int(r.Dx()), C.int(r.Dy()), filter)
}

// fromRGB makes m the w x h image of R, G, B bytes.
func fromRGB(m *gocv.Mat, rgb []uint8, w, h int) {
	C.mv_from_rgb(unsafe.Pointer(m.Ptr()), (*C.uchar)(unsafe.Pointer(&rgb[0])), C.int(w), C.int(h))
}

// toRGB writes m's pixels to rgb, three bytes each.
func toRGB(m gocv.Mat, rgb []uint8) {
	C.mv_to_rgb(unsafe.Pointer(m.Ptr()), (*C.uchar)(unsafe.Pointer(&rgb[0])))
}

// cutOut makes dst the window r of src, which may reach beyond it.
func cutOut(src gocv.Mat, dst *gocv.Mat, r image.Rectangle, how Padding) {
	reflect := C.int(0)
	if how == PadReflect {
		reflect = 1
	}
	C.mv_cut(unsafe.Pointer(src.Ptr()), unsafe.Pointer(dst.Ptr()), C.int(r.Min.X), C.int(r.Min.Y), C.int(r.Dx()), C.int(r.Dy()), reflect)
}
