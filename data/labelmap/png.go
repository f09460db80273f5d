package labelmap

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/png"
	"io"
	"io/fs"
	"os"

	"manvision/internal/atomicfile"
)

// Header is what a PNG file says of itself before its pixels.
type Header struct {
	Width, Height int
	Depth         int // bits a sample
	Color         int // PNG's colour type: 0 grey, 2 RGB, 3 palette, 4 grey and alpha, 6 RGBA
	Interlaced    bool
}

// String describes the pixel format, such as "RGB of 8 bits a channel".
func (h Header) String() string {
	switch h.Color {
	case 0:
		return fmt.Sprintf("grey of %d bits", h.Depth)
	case 2:
		return fmt.Sprintf("RGB of %d bits a channel", h.Depth)
	case 3:
		return fmt.Sprintf("a palette image of %d bits", h.Depth)
	case 4:
		return fmt.Sprintf("grey with alpha of %d bits a channel", h.Depth)
	case 6:
		return fmt.Sprintf("RGBA of %d bits a channel", h.Depth)
	}
	return fmt.Sprintf("of the unknown colour type %d", h.Color)
}

// maxPixels bounds what a file may ask for: 16384x16384.
const maxPixels = 1 << 28

const signature = "\x89PNG\r\n\x1a\n"

func parseHeader(path string, b []byte) (h Header, err error) {
	broken := func(format string, args ...any) (Header, error) {
		return h, &InputError{Path: path, Kind: Broken, Problem: fmt.Sprintf(format, args...)}
	}
	switch {
	case len(b) == 0:
		return broken("the file is empty")
	case len(b) < len(signature) || string(b[:len(signature)]) != signature:
		if len(b) >= 2 && b[0] == 0xff && b[1] == 0xd8 {
			return h, &InputError{Path: path, Kind: WrongFormat, Problem: "a JPEG where a PNG belongs"}
		}
		return broken("not a PNG file")
	case len(b) < 33:
		return broken("a PNG file that ends after %d bytes", len(b))
	case string(b[12:16]) != "IHDR":
		return broken("a PNG file without its header")
	}
	w, ht := binary.BigEndian.Uint32(b[16:]), binary.BigEndian.Uint32(b[20:])
	h = Header{Depth: int(b[24]), Color: int(b[25]), Interlaced: b[28] == 1}
	if w == 0 || ht == 0 || w > maxPixels || ht > maxPixels || uint64(w)*uint64(ht) > maxPixels {
		return broken("%dx%d pixels; files have 1 to %d", w, ht, maxPixels)
	}
	if b[26] != 0 || b[27] != 0 || b[28] > 1 {
		return broken("a PNG file with an unknown compression, filter or interlace method")
	}
	h.Width, h.Height = int(w), int(ht)
	return h, nil
}

func unreadable(path string, err error) *InputError {
	var pe *fs.PathError
	cause := err
	if errors.As(err, &pe) {
		cause = pe.Err
	}
	return &InputError{Path: path, Kind: Unreadable, Problem: "cannot read the file: " + cause.Error(), Err: err}
}

// ReadHeader reads a PNG file's header. Errors are of type [*InputError].
func ReadHeader(path string) (Header, error) {
	f, err := os.Open(path)
	if err != nil {
		return Header{}, unreadable(path, err)
	}
	defer f.Close()
	var b [33]byte
	n, err := io.ReadFull(f, b[:])
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return Header{}, unreadable(path, err)
	}
	return parseHeader(path, b[:n])
}

// ReadPNG returns the grey values of an 8-bit grey PNG, row by row, in dst where
// it is large enough, with width and height. Errors are of type [*InputError] and
// say when a file is RGB, has a palette or other bits.
func ReadPNG(path string, dst []uint8) (v []uint8, w, h int, err error) {
	return read8(path, dst, false)
}

// ReadIndices is [ReadPNG] that takes palette images, too, and returns their
// palette indices: what programs get that read predictions without regard to the
// palette.
func ReadIndices(path string, dst []uint8) (v []uint8, w, h int, err error) {
	return read8(path, dst, true)
}

func read8(path string, dst []uint8, palettes bool) (v []uint8, w, h int, err error) {
	d := decoders.Get().(*decoder)
	defer decoders.Put(d)
	head, err := d.load(path, func(h Header) *InputError {
		if h.Color == 0 && h.Depth == 8 || palettes && h.Color == 3 {
			return nil
		}
		e := &InputError{Kind: WrongFormat, Problem: fmt.Sprintf("the file is %v where a label map is 8-bit grey", h)}
		switch h.Color {
		case 3:
			e.Fix = "save the indices as grey values, not the palette"
		case 2, 6:
			e.Fix = "a picture of colours has to be turned into class values first"
		}
		return e
	})
	if err != nil {
		return dst, 0, 0, err
	}
	if head.Interlaced || head.Depth != 8 {
		v, err = d.unusual8(path, head, dst)
	} else {
		v, err = d.values8(path, head, dst)
	}
	if err != nil {
		return dst, 0, 0, err
	}
	return v, head.Width, head.Height, nil
}

// ReadPNG16 returns the values of a grey PNG of 16 bits, row by row, in dst where
// it is large enough. Errors are as those of [ReadPNG].
func ReadPNG16(path string, dst []uint16) (v []uint16, w, h int, err error) {
	d := decoders.Get().(*decoder)
	defer decoders.Put(d)
	head, err := d.load(path, func(h Header) *InputError {
		if h.Color == 0 && h.Depth == 16 && !h.Interlaced {
			return nil
		}
		e := &InputError{Kind: WrongFormat, Problem: fmt.Sprintf("the file is %v where 16-bit grey belongs", h)}
		if h.Interlaced {
			e.Problem = "the file is interlaced, which is not read with 16 bits"
			e.Fix = "save it without interlacing"
		}
		return e
	})
	if err == nil {
		v, err = d.values16(path, head, dst)
	}
	if err != nil {
		return dst, 0, 0, err
	}
	return v, head.Width, head.Height, nil
}

// unusual8 reads what values8 does not: interlaced images and palettes of few bits.
func (d *decoder) unusual8(path string, h Header, dst []uint8) ([]uint8, error) {
	im, err := png.Decode(bytes.NewReader(d.file))
	if err != nil {
		return dst, &InputError{Path: path, Kind: Broken, Problem: fmt.Sprintf("broken PNG (%v)", err), Err: err}
	}
	var pix []uint8
	stride, step := 0, 1
	switch m := im.(type) {
	case *image.Gray:
		pix, stride = m.Pix, m.Stride
	case *image.Paletted:
		pix, stride = m.Pix, m.Stride
	case *image.NRGBA: // grey of which one value is transparent
		pix, stride, step = m.Pix, m.Stride, 4
	default:
		return dst, &InputError{Path: path, Kind: WrongFormat, Problem: fmt.Sprintf("the file is %v in an unusual form (%T)", h, im)}
	}
	dst = resize(dst, h.Width*h.Height)
	for i := range dst {
		dst[i] = pix[i/h.Width*stride+i%h.Width*step]
	}
	return dst, nil
}

// WritePNG writes values, row by row, as an 8-bit grey PNG in one step: a failure
// leaves what was there. It panics if v is not w x h long.
func WritePNG(path string, v []uint8, w, h int) error {
	if w < 1 || h < 1 || len(v) != w*h {
		panic(fmt.Sprintf("labelmap: %d values for %dx%d pixels", len(v), w, h))
	}
	return atomicfile.Write(path, func(f io.Writer) error {
		return png.Encode(f, &image.Gray{Pix: v, Stride: w, Rect: image.Rect(0, 0, w, h)})
	})
}

func resize(dst []uint8, n int) []uint8 {
	if cap(dst) < n {
		return make([]uint8, n)
	}
	return dst[:n]
}
