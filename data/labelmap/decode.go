package labelmap

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"sync"
)

// decoder reads the grey and palette PNGs that label maps are. Its reason beside
// image/png is time: the evaluation of label maps is little else than reading
// them, neighbouring pixels are mostly equal, and filters over such rows can go
// eight bytes at a time.
//
// Every chunk's checksum is compared; that of the uncompressed data is not, the
// compressed data having been found intact.
type decoder struct {
	file    []byte
	joined  []byte // compressed data that comes in several parts
	fast    *inflater
	raw     []byte // filter types and rows of the whole image
	rest    []byte // of raw, still to be given out; nil: inflate has the rows
	inflate io.ReadCloser
	source  bytes.Reader
	line    []byte // filter type and row as stored
	rows    [2][]byte
}

var decoders = sync.Pool{New: func() any { return &decoder{fast: newInflater()} }}

// load reads a file and returns its header. accept, which may say no, sees the
// header before the rest is looked at.
func (d *decoder) load(path string, accept func(Header) *InputError) (Header, error) {
	if err := d.readFile(path); err != nil {
		return Header{}, unreadable(path, err)
	}
	h, err := parseHeader(path, d.file)
	if err != nil {
		return h, err
	}
	if e := accept(h); e != nil {
		e.Path = path
		return h, e
	}
	broken := func(format string, args ...any) (Header, error) {
		return h, &InputError{Path: path, Kind: Broken, Problem: fmt.Sprintf(format, args...)}
	}
	// Deflate shrinks at most about 1030 to 1: a short file that claims to be huge
	// is refused before its memory is asked for.
	if int64(h.Width)*int64(h.Height)*int64(h.Depth)/8 > 1100*int64(len(d.file)) {
		return broken("%d bytes cannot hold %dx%d pixels: the file is cut off", len(d.file), h.Width, h.Height)
	}
	var z []byte // the compressed data
	d.joined = d.joined[:0]
	for rest := d.file[len(signature):]; ; {
		if len(rest) < 12 {
			return broken("broken PNG: the file is cut off")
		}
		n, name := binary.BigEndian.Uint32(rest), string(rest[4:8])
		if uint64(n)+12 > uint64(len(rest)) {
			return broken("broken PNG: the file is cut off")
		}
		body := rest[8 : 8+n]
		if crc32.ChecksumIEEE(rest[4:8+n]) != binary.BigEndian.Uint32(rest[8+n:]) {
			return broken("broken PNG: the checksum of a part (%q) is wrong", name)
		}
		rest = rest[12+n:]
		if name == "IEND" {
			break
		}
		if name != "IDAT" {
			continue
		}
		if z == nil {
			z = body
			continue
		}
		if len(d.joined) == 0 {
			d.joined = append(d.joined, z...)
		}
		d.joined = append(d.joined, body...)
		z = d.joined
	}
	if len(z) < 2 || z[0]&15 != 8 || (uint(z[0])<<8|uint(z[1]))%31 != 0 || z[1]&32 != 0 {
		return broken("broken PNG: the pixels are not compressed as they should be")
	}
	d.rest = nil
	if size := h.Height * (1 + (h.Width*h.Depth+7)/8); h.Color != 2 && h.Color != 4 && h.Color != 6 && !h.Interlaced {
		if d.raw = resize(d.raw, size); d.fast.inflate(d.raw, z[2:]) {
			d.rest = d.raw
			return h, nil
		}
	}
	// Row by row whatever is intact is found, and what is not is named.
	d.source.Reset(z[2:])
	if d.inflate == nil {
		d.inflate = flate.NewReader(&d.source)
	} else if err := d.inflate.(flate.Resetter).Reset(&d.source, nil); err != nil {
		return h, err
	}
	return h, nil
}

func (d *decoder) readFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return err
	}
	if n := st.Size(); n < 1<<31 && int64(cap(d.file)) < n+1 {
		d.file = make([]byte, 0, n+1)
	}
	d.file = d.file[:0]
	for {
		n, err := f.Read(d.file[len(d.file):cap(d.file)])
		d.file = d.file[:len(d.file)+n]
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if len(d.file) == cap(d.file) {
			d.file = append(d.file, 0)[:len(d.file)]
		}
	}
}

// next returns the next n bytes of the uncompressed data.
func (d *decoder) next(n int) ([]byte, error) {
	if d.rest != nil {
		line := d.rest[:n]
		d.rest = d.rest[n:]
		return line, nil
	}
	d.line = resize(d.line, n)
	_, err := io.ReadFull(d.inflate, d.line)
	return d.line, err
}

// row decodes the next row into out; prev is the row before it. bpp is the number
// of bytes a pixel. Both rows are longer than 0.
func (d *decoder) row(path string, out, prev []byte, bpp int) error {
	line, err := d.next(1 + len(out))
	if err != nil {
		e := &InputError{Path: path, Kind: Broken, Problem: fmt.Sprintf("broken PNG: %v", err), Err: err}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			e.Problem = "broken PNG: the file is cut off"
		}
		return e
	}
	stored := line[1:]
	switch line[0] {
	case 0:
		copy(out, stored)
	case 1:
		unfilterSub(out, stored, bpp)
	case 2:
		unfilterUp(out, stored, prev)
	case 3:
		unfilterAverage(out, stored, prev, bpp)
	case 4:
		unfilterPaeth(out, stored, prev, bpp)
	default:
		return &InputError{Path: path, Kind: Broken, Problem: fmt.Sprintf("broken PNG: the filter type %d", line[0])}
	}
	return nil
}

func load64(b []byte, i int) uint64     { return binary.LittleEndian.Uint64(b[i : i+8]) }
func store64(b []byte, i int, v uint64) { binary.LittleEndian.PutUint64(b[i:i+8], v) }

// repeat returns the pixel before position i eight bytes long.
func repeat(b []byte, i, bpp int) uint64 {
	if bpp == 1 {
		return uint64(b[i-1]) * 0x0101010101010101
	}
	return uint64(binary.LittleEndian.Uint16(b[i-2:i])) * 0x0001000100010001
}

// unfilterSub: each byte was stored less the one a pixel to the left.
func unfilterSub(out, stored []byte, bpp int) {
	n := len(out)
	stored = stored[:n]
	i := copy(out[:min(bpp, n)], stored)
	for i < n {
		if i+8 <= n && load64(stored, i) == 0 {
			store64(out, i, repeat(out, i, bpp))
			i += 8
			continue
		}
		for end := min(i+8, n); i < end; i++ {
			out[i] = stored[i] + out[i-bpp]
		}
	}
}

// unfilterUp: each byte was stored less the one above.
func unfilterUp(out, stored, prev []byte) {
	n := len(out)
	stored, prev = stored[:n], prev[:n]
	i := 0
	const high = 0x8080808080808080
	for ; i+8 <= n; i += 8 {
		a, b := load64(stored, i), load64(prev, i)
		store64(out, i, (a&^high+b&^high)^((a^b)&high)) // eight sums, none carries into the next
	}
	for ; i < n; i++ {
		out[i] = stored[i] + prev[i]
	}
}

// unfilterAverage: each byte was stored less the mean of those left and above.
func unfilterAverage(out, stored, prev []byte, bpp int) {
	stored, prev = stored[:len(out)], prev[:len(out)]
	for i := range out {
		left := 0
		if i >= bpp {
			left = int(out[i-bpp])
		}
		out[i] = stored[i] + byte((left+int(prev[i]))/2)
	}
}

// unfilterPaeth: each byte was stored less that one of left (a), above (b) and
// above left (c) that is nearest to a + b - c. Where b and c are equal that is a,
// where a and c are equal it is b: over rows of zeros both go on for as long as
// their condition holds.
func unfilterPaeth(out, stored, prev []byte, bpp int) {
	n := len(out)
	stored, prev = stored[:n], prev[:n]
	i := 0
	for ; i < min(bpp, n); i++ {
		out[i] = stored[i] + prev[i] // a and c are 0
	}
	for i < n {
		if i+8 <= n && load64(stored, i) == 0 {
			above := load64(prev, i)
			if above == load64(prev, i-bpp) {
				store64(out, i, repeat(out, i, bpp))
				i += 8
				continue
			}
			if out[i-1] == prev[i-1] && out[i-bpp] == prev[i-bpp] {
				store64(out, i, above)
				i += 8
				continue
			}
		}
		for end := min(i+8, n); i < end; i++ {
			out[i] = stored[i] + paeth(int(out[i-bpp]), int(prev[i]), int(prev[i-bpp]))
		}
	}
}

func paeth(a, b, c int) byte {
	pa, pb := b-c, a-c
	pc := pa + pb
	pa, pb, pc = max(pa, -pa), max(pb, -pb), max(pc, -pc)
	switch {
	case pa <= pb && pa <= pc:
		return byte(a)
	case pb <= pc:
		return byte(b)
	}
	return byte(c)
}

// values8 reads an image of one byte a pixel.
func (d *decoder) values8(path string, h Header, dst []uint8) ([]uint8, error) {
	w := h.Width
	dst = resize(dst, w*h.Height)
	d.rows[0] = resize(d.rows[0], w)
	prev := d.rows[0]
	clear(prev)
	for y := range h.Height {
		out := dst[y*w : (y+1)*w]
		if err := d.row(path, out, prev, 1); err != nil {
			return dst, err
		}
		prev = out
	}
	return dst, nil
}

// values16 reads an image of two bytes a pixel.
func (d *decoder) values16(path string, h Header, dst []uint16) ([]uint16, error) {
	w := h.Width
	if cap(dst) < w*h.Height {
		dst = make([]uint16, w*h.Height)
	}
	dst = dst[:w*h.Height]
	d.rows[0], d.rows[1] = resize(d.rows[0], 2*w), resize(d.rows[1], 2*w)
	out, prev := d.rows[0], d.rows[1]
	clear(prev)
	for y := range h.Height {
		if err := d.row(path, out, prev, 2); err != nil {
			return dst, err
		}
		to := dst[y*w : (y+1)*w]
		bigEndian(to, out)
		out, prev = prev, out
	}
	return dst, nil
}

// bigEndian turns pairs of bytes, high byte first, into numbers.
func bigEndian(to []uint16, from []byte) {
	from = from[:2*len(to)]
	x := 0
	for ; x+4 <= len(to); x += 4 { // four at a time
		v := binary.BigEndian.Uint64(from[2*x : 2*x+8])
		to[x], to[x+1], to[x+2], to[x+3] = uint16(v>>48), uint16(v>>32), uint16(v>>16), uint16(v)
	}
	for ; x < len(to); x++ {
		to[x] = binary.BigEndian.Uint16(from[2*x : 2*x+2])
	}
}
