package augment

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"

	"gocv.io/x/gocv"
)

// ImageError says which image file cannot be used and why.
type ImageError struct {
	File  string
	Bytes int64 // size of the file; -1 if it could not be read
	Err   error
}

// Error implements error.
func (e *ImageError) Error() string {
	if e.Bytes < 0 {
		return fmt.Sprintf("%s: %v", e.File, e.Err)
	}
	return fmt.Sprintf("%s: %v (file of %d bytes)", e.File, e.Err, e.Bytes)
}

// Unwrap returns the cause.
func (e *ImageError) Unwrap() error { return e.Err }

// DecodeOptions say how an image file becomes 8-bit BGR pixels. Whatever the
// file holds comes out the same way: grey-scale and palette images get three
// channels, 16-bit ones are divided by 256, alpha is dropped without blending,
// CMYK and YCCK JPEGs are converted without a colour profile.
type DecodeOptions struct {
	// ApplyOrientation turns and mirrors the pixels as the EXIF orientation of a
	// JPEG says. The default leaves them as stored: COCO's sizes and boxes are in
	// stored pixels.
	ApplyOrientation bool
	// Width and Height are the size the annotations give; another size is an
	// error. 0 accepts any size.
	Width, Height int
	// TargetW and TargetH, when positive, let a JPEG be decoded at 1/2, 1/4 or
	// 1/8 of its size as long as that is not below the target: much faster for
	// large images, but not the same pixels as decoding in full. The caller sees
	// the reduced size in Renderer.Size.
	TargetW, TargetH int
}

// ReadFile reads a whole image file into buf's memory (grown if too small) and
// refuses what cannot be an image: a folder, an empty file.
func ReadFile(path string, buf []byte) ([]byte, error) {
	bad := func(err error) ([]byte, error) {
		var pe *fs.PathError
		if errors.As(err, &pe) {
			err = pe.Err
		}
		if errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("%w; check the image folder", fs.ErrNotExist)
		}
		return buf, &ImageError{File: path, Bytes: -1, Err: err}
	}
	// Non-blocking, so that a pipe in the image folder cannot hang the loader.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return bad(err)
	}
	defer f.Close()
	st, err := f.Stat()
	switch {
	case err != nil:
		return bad(err)
	case st.IsDir():
		return bad(errors.New("is a folder, not an image file"))
	case !st.Mode().IsRegular():
		return bad(errors.New("is not a regular file"))
	case st.Size() == 0:
		return buf, &ImageError{File: path, Err: errors.New("the file is empty")}
	case st.Size() > 1<<30:
		return buf, &ImageError{File: path, Bytes: st.Size(), Err: errors.New("larger than 1 GiB")}
	}
	n := int(st.Size())
	if cap(buf) < n {
		buf = make([]byte, n+n/2)
	}
	buf = buf[:n]
	if _, err := io.ReadFull(f, buf); err != nil {
		return bad(err)
	}
	return buf, nil
}

// inspect checks what can be known of the file contents buf without decoding.
func inspect(path string, buf []byte, o DecodeOptions) (Header, error) {
	bad := func(err error) error { return &ImageError{File: path, Bytes: int64(len(buf)), Err: err} }
	h, err := ReadHeader(buf)
	if err != nil {
		return h, bad(err)
	}
	if h.Width > 0 && o.Width > 0 {
		w, ht := h.Width, h.Height
		if o.ApplyOrientation && h.Orientation >= 5 {
			w, ht = ht, w
		}
		if w != o.Width || ht != o.Height {
			return h, bad(sizeError(w, ht, o, h))
		}
	}
	// OpenCV answers 2^30 pixels or more with an exception; the same limit here
	// gives a sentence instead.
	if int64(h.Width)*int64(h.Height) >= 1<<30 {
		return h, bad(fmt.Errorf("%s of %dx%d pixels is too large to decode", h.Format, h.Width, h.Height))
	}
	return h, nil
}

// decode turns the file contents buf into BGR pixels in m.
func decode(m *gocv.Mat, png pngDecoder, path string, buf []byte, o DecodeOptions) error {
	bad := func(err error) error { return &ImageError{File: path, Bytes: int64(len(buf)), Err: err} }
	h, err := inspect(path, buf, o)
	if err != nil {
		return err
	}
	flags := gocv.IMReadColor
	reduce := 1
	if h.Format == JPEG && o.TargetW > 0 && o.TargetH > 0 {
		tw, th := o.TargetW, o.TargetH
		if o.ApplyOrientation && h.Orientation >= 5 {
			tw, th = th, tw
		}
		for reduce < 8 && h.Width >= tw*reduce*2 && h.Height >= th*reduce*2 {
			reduce *= 2
		}
		flags = map[int]gocv.IMReadFlag{1: gocv.IMReadColor, 2: gocv.IMReadReducedColor2, 4: gocv.IMReadReducedColor4, 8: gocv.IMReadReducedColor8}[reduce]
	}
	if !o.ApplyOrientation {
		flags |= gocv.IMReadIgnoreOrientation
	}
	if h.Format == JPEG && (!o.ApplyOrientation || h.Orientation == 1) {
		done, err := decodeJPEG(*m, buf, reduce)
		switch {
		case err != nil:
			return bad(fmt.Errorf("damaged JPEG: %w", err))
		case done:
			return checkSize(m, o, h, reduce, bad)
		}
	}
	if h.Format == PNG && png.decode(*m, buf) {
		return checkSize(m, o, h, reduce, bad)
	}
	if err := decodeInto(*m, buf, int(flags)); err != nil {
		if errors.Is(err, errNotAnImage) {
			if h.Format == Unknown {
				err = fmt.Errorf("not an image: it starts with %q", buf[:min(len(buf), 12)])
			} else {
				err = fmt.Errorf("damaged %s: it cannot be decoded", h.Format)
			}
		}
		return bad(err)
	}
	return checkSize(m, o, h, reduce, bad)
}

func checkSize(m *gocv.Mat, o DecodeOptions, h Header, reduce int, bad func(error) error) error {
	if o.Width > 0 && reduce == 1 && (m.Cols() != o.Width || m.Rows() != o.Height) {
		return bad(sizeError(m.Cols(), m.Rows(), o, h))
	}
	return nil
}

// SizeError says that an image has another size than its annotations give.
type SizeError struct {
	Width, Height         int // of the file
	WantWidth, WantHeight int // by the annotations
	Orientation           int // EXIF, 1 if none
}

// Error implements error.
func (e *SizeError) Error() string {
	hint := ""
	if e.Width == e.WantHeight && e.Height == e.WantWidth && e.Orientation >= 5 {
		hint = fmt.Sprintf("; its EXIF orientation is %d: the annotations may need orientation switched", e.Orientation)
	}
	return fmt.Sprintf("the image is %dx%d but its annotations are for %dx%d%s", e.Width, e.Height, e.WantWidth, e.WantHeight, hint)
}

func sizeError(w, h int, o DecodeOptions, head Header) error {
	return &SizeError{w, h, o.Width, o.Height, head.Orientation}
}
