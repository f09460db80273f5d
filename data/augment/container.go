package augment

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// Format names an image file's container by its first bytes.
type Format string

// Containers that are recognised and checked for completeness before decoding.
const (
	JPEG    Format = "JPEG"
	PNG     Format = "PNG"
	Unknown Format = ""
)

// Header is what an image file says about itself before any pixel is decoded.
type Header struct {
	Format Format
	// Width and Height are the stored size in pixels, EXIF orientation not
	// applied; 0 for formats other than JPEG and PNG.
	Width, Height int
	// Orientation is the EXIF orientation 1-8 of a JPEG; 1 when there is none.
	Orientation int
}

var pngMagic = []byte("\x89PNG\r\n\x1a\n")

// ReadHeader walks the container of an image file held in memory up to its end
// and reports its size. Decoders fill the missing rows of a truncated JPEG with
// grey and only warn, so a JPEG whose end-of-image marker is missing, or a PNG
// without its IEND chunk, is an error here. Damage inside the compressed data is
// seen by decoding only.
func ReadHeader(buf []byte) (Header, error) {
	switch {
	case len(buf) >= 2 && buf[0] == 0xff && buf[1] == 0xd8:
		return readJPEG(buf)
	case bytes.HasPrefix(buf, pngMagic):
		return readPNG(buf)
	}
	return Header{Orientation: 1}, nil
}

// readJPEG walks the marker segments (ITU-T T.81, B.1.1).
func readJPEG(b []byte) (Header, error) {
	h := Header{Format: JPEG, Orientation: 1}
	truncated := func(what string) (Header, error) {
		return h, fmt.Errorf("truncated JPEG: the file ends %s", what)
	}
	i, scans := 2, 0
	for {
		// Between segments: any number of fill bytes, then a marker.
		for i < len(b) && b[i] != 0xff {
			i++
		}
		for i < len(b) && b[i] == 0xff {
			i++
		}
		if i >= len(b) {
			return truncated("before the end-of-image marker")
		}
		marker := b[i]
		i++
		switch {
		case marker == 0xd9:
			if scans == 0 {
				return h, fmt.Errorf("JPEG without image data")
			}
			return h, nil
		case marker == 0 || marker == 1 || marker >= 0xd0 && marker <= 0xd8:
			continue
		}
		if i+2 > len(b) {
			return truncated("inside a marker segment")
		}
		size := int(binary.BigEndian.Uint16(b[i:]))
		if size < 2 || i+size > len(b) {
			return truncated("inside a marker segment")
		}
		seg := b[i+2 : i+size]
		i += size
		switch {
		case marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc:
			if len(seg) < 5 {
				return h, fmt.Errorf("JPEG frame header of %d bytes", len(seg))
			}
			h.Height, h.Width = int(binary.BigEndian.Uint16(seg[1:])), int(binary.BigEndian.Uint16(seg[3:]))
		case marker == 0xe1:
			if o := exifOrientation(seg); o != 0 {
				h.Orientation = o
			}
		case marker == 0xda:
			scans++
			i = skipScan(b, i)
			if i < 0 {
				return truncated("inside the image data")
			}
		}
	}
}

// skipScan returns the position of the 0xff that begins the first marker after
// entropy-coded data, -1 if the data ends before one. 0xff 0x00 is a data byte,
// 0xffd0-0xffd7 are restart markers.
func skipScan(b []byte, i int) int {
	for {
		k := bytes.IndexByte(b[i:], 0xff)
		if k < 0 || i+k+1 >= len(b) {
			return -1
		}
		i += k
		switch m := b[i+1]; {
		case m == 0 || m >= 0xd0 && m <= 0xd7:
			i += 2
		case m == 0xff:
			i++
		default:
			return i
		}
	}
}

// exifOrientation finds tag 0x0112 in the first directory of an APP1 segment; 0
// if there is none.
func exifOrientation(seg []byte) int {
	if !bytes.HasPrefix(seg, []byte("Exif\x00\x00")) {
		return 0
	}
	t := seg[6:]
	if len(t) < 8 {
		return 0
	}
	var order binary.ByteOrder = binary.LittleEndian
	if t[0] == 'M' {
		order = binary.BigEndian
	}
	dir := int64(order.Uint32(t[4:]))
	if dir+2 > int64(len(t)) {
		return 0
	}
	n := int64(order.Uint16(t[dir:]))
	for k := int64(0); k < n; k++ {
		at := dir + 2 + 12*k
		if at+12 > int64(len(t)) {
			return 0
		}
		if order.Uint16(t[at:]) == 0x0112 {
			if o := int(order.Uint16(t[at+8:])); o >= 1 && o <= 8 {
				return o
			}
			return 0
		}
	}
	return 0
}

func readPNG(b []byte) (Header, error) {
	h := Header{Format: PNG, Orientation: 1}
	truncated := fmt.Errorf("truncated PNG: the file ends before its IEND chunk")
	for i := len(pngMagic); ; {
		if i+12 > len(b) {
			return h, truncated
		}
		size := int64(binary.BigEndian.Uint32(b[i:]))
		if int64(i)+12+size > int64(len(b)) {
			return h, truncated
		}
		switch string(b[i+4 : i+8]) {
		case "IHDR":
			if size >= 8 {
				h.Width, h.Height = int(binary.BigEndian.Uint32(b[i+8:])), int(binary.BigEndian.Uint32(b[i+12:]))
			}
		case "IEND":
			return h, nil
		}
		i += 12 + int(size)
	}
}
