package labelmap

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/png"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Header is what a PNG file says of itself before its pixels.
type Header struct {
	Width, Height int
	Depth         int // bits a sample
	Color         int // PNG's colour type: 0 grey, 2 RGB, 3 palette, 4 grey and alpha, 6 RGBA
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
	h = Header{Depth: int(b[24]), Color: int(b[25])}
	if w == 0 || ht == 0 || w > maxPixels || ht > maxPixels || uint64(w)*uint64(ht) > maxPixels {
		return broken("%dx%d pixels; files have 1 to %d", w, ht, maxPixels)
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

// open decodes a PNG file that accept, which may say no, lets through.
func open(path string, accept func(Header) *InputError) (image.Image, Header, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, Header{}, unreadable(path, err)
	}
	defer f.Close()
	r := bufio.NewReaderSize(f, 1<<16)
	b, err := r.Peek(33)
	if err != nil && err != io.EOF {
		return nil, Header{}, unreadable(path, err)
	}
	h, err := parseHeader(path, b)
	if err != nil {
		return nil, h, err
	}
	if e := accept(h); e != nil {
		e.Path = path
		return nil, h, e
	}
	// Deflate shrinks at most about 1030 to 1: a short file that claims to be huge
	// is refused before its memory is asked for.
	if st, err := f.Stat(); err == nil && int64(h.Width)*int64(h.Height)*int64(h.Depth)/8 > 1100*st.Size() {
		return nil, h, &InputError{Path: path, Kind: Broken, Problem: fmt.Sprintf("%d bytes cannot hold %dx%d pixels: the file is cut off", st.Size(), h.Width, h.Height)}
	}
	im, err := png.Decode(r)
	if err == nil {
		return im, h, nil
	}
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return nil, h, unreadable(path, err)
	}
	problem := fmt.Sprintf("broken PNG (%v)", err)
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) || strings.Contains(err.Error(), "not enough pixel data") {
		problem = "broken PNG: the file is cut off"
	}
	return nil, h, &InputError{Path: path, Kind: Broken, Problem: problem, Err: err}
}

// ReadPNG returns the grey values of an 8-bit grey PNG, row by row, in dst where
// it is large enough, with width and height. Errors are of type [*InputError] and
// say when a file is RGB, has a palette or other bits.
func ReadPNG(path string, dst []uint8) (v []uint8, w, h int, err error) {
	im, head, err := open(path, func(h Header) *InputError {
		if h.Color == 0 && h.Depth == 8 {
			return nil
		}
		e := &InputError{Kind: WrongFormat, Problem: fmt.Sprintf("the file is %v where a label map is 8-bit grey", h)}
		switch {
		case h.Color == 3:
			e.Fix = "save the indices as grey values, not the palette"
		case h.Color == 2, h.Color == 6:
			e.Fix = "a picture of colours has to be turned into class values first"
		}
		return e
	})
	if err != nil {
		return dst, 0, 0, err
	}
	g, ok := im.(*image.Gray)
	if !ok { // a transparent grey (tRNS) makes the decoder return colours
		n, ok := im.(*image.NRGBA)
		if !ok {
			return dst, 0, 0, &InputError{Path: path, Kind: WrongFormat, Problem: fmt.Sprintf("the file is %v in an unusual form (%T)", head, im)}
		}
		v = resize(dst, head.Width*head.Height)
		for i := range v {
			v[i] = n.Pix[4*i]
		}
		return v, head.Width, head.Height, nil
	}
	return rows(dst, g.Pix, g.Stride, head), head.Width, head.Height, nil
}

// ReadIndices is [ReadPNG] that takes palette images, too, and returns their
// palette indices: what programs get that read predictions without regard to the
// palette.
func ReadIndices(path string, dst []uint8) (v []uint8, w, h int, err error) {
	head, err := ReadHeader(path)
	if err != nil {
		return dst, 0, 0, err
	}
	if head.Color != 3 {
		return ReadPNG(path, dst)
	}
	im, head, err := open(path, func(Header) *InputError { return nil })
	if err != nil {
		return dst, 0, 0, err
	}
	p, ok := im.(*image.Paletted)
	if !ok {
		return dst, 0, 0, &InputError{Path: path, Kind: WrongFormat, Problem: fmt.Sprintf("the file is %v in an unusual form (%T)", head, im)}
	}
	return rows(dst, p.Pix, p.Stride, head), head.Width, head.Height, nil
}

// ReadPNG16 returns the values of a grey PNG of 16 bits, row by row, in dst where
// it is large enough. Errors are as those of [ReadPNG].
func ReadPNG16(path string, dst []uint16) (v []uint16, w, h int, err error) {
	im, head, err := open(path, func(h Header) *InputError {
		if h.Color == 0 && h.Depth == 16 {
			return nil
		}
		return &InputError{Kind: WrongFormat, Problem: fmt.Sprintf("the file is %v where 16-bit grey belongs", h)}
	})
	if err != nil {
		return dst, 0, 0, err
	}
	g, ok := im.(*image.Gray16)
	if !ok {
		return dst, 0, 0, &InputError{Path: path, Kind: WrongFormat, Problem: fmt.Sprintf("the file is %v in an unusual form (%T)", head, im)}
	}
	n := head.Width * head.Height
	if cap(dst) < n {
		dst = make([]uint16, n)
	}
	dst = dst[:n]
	for y := range head.Height {
		row, out := g.Pix[y*g.Stride:][:2*head.Width], dst[y*head.Width:][:head.Width]
		for x := range out {
			out[x] = uint16(row[2*x])<<8 | uint16(row[2*x+1])
		}
	}
	return dst, head.Width, head.Height, nil
}

// WritePNG writes values, row by row, as an 8-bit grey PNG in one step: a failure
// leaves what was there. It panics if v is not w x h long.
func WritePNG(path string, v []uint8, w, h int) (err error) {
	if w < 1 || h < 1 || len(v) != w*h {
		panic(fmt.Sprintf("labelmap: %d values for %dx%d pixels", len(v), w, h))
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	b := bufio.NewWriterSize(f, 1<<16)
	err = png.Encode(b, &image.Gray{Pix: v, Stride: w, Rect: image.Rect(0, 0, w, h)})
	if err == nil {
		err = b.Flush()
	}
	if err == nil {
		err = f.Chmod(0o644)
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

func resize(dst []uint8, n int) []uint8 {
	if cap(dst) < n {
		return make([]uint8, n)
	}
	return dst[:n]
}

func rows(dst, pix []uint8, stride int, h Header) []uint8 {
	dst = resize(dst, h.Width*h.Height)
	for y := range h.Height {
		copy(dst[y*h.Width:][:h.Width], pix[y*stride:])
	}
	return dst
}
