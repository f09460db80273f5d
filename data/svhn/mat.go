package svhn

import (
	"bufio"
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"

	"manvision/data/classes"
)

// matFile reads the numeric arrays of a MATLAB level 5 file (MAT-File Format,
// MathWorks, chapter 1: version 5), compressed or not, in either byte order, from
// beginning to end.
type matFile struct {
	path  string
	in    io.Reader
	size  int64 // of the file
	at    int64 // bytes read of it
	order binary.ByteOrder
	seen  []string // variables
}

// Data types (table 1-1) and array classes (table 1-3).
const (
	miInt8       = 1
	miUint8      = 2
	miInt16      = 3
	miUint16     = 4
	miInt32      = 5
	miUint32     = 6
	miSingle     = 7
	miDouble     = 9
	miInt64      = 12
	miUint64     = 13
	miMatrix     = 14
	miCompressed = 15

	mxDouble = 6 // the first numeric class; the last is uint64
	mxUint8  = 9
	mxUint64 = 15

	complexFlag = 0x0800
)

var kindSize = map[uint32]int64{miInt8: 1, miUint8: 1, miInt16: 2, miUint16: 2, miInt32: 4, miUint32: 4, miSingle: 4, miDouble: 8, miInt64: 8, miUint64: 8}

var classNames = map[uint32]string{1: "a cell array", 2: "a structure", 3: "an object", 4: "text", 5: "a sparse matrix", 6: "double", 7: "single", 8: "int8", 9: "uint8", 10: "int16", 11: "uint16", 12: "int32", 13: "uint32", 14: "int64", 15: "uint64"}

// Bounds on what an array may claim: bytes as a multiple of the file's own size,
// beside what is always allowed. Photographs shrink by less than half.
const (
	maxRatio     = 100
	freeUnpacked = 64 << 20
)

// variable is a numeric array whose values come next.
type variable struct {
	m     *matFile
	in    io.Reader // the values
	name  string
	class uint32
	dims  []int64
	kind  uint32 // data type the values are stored in, which may be narrower than the class
	buf   [8]byte
}

// String is the class and size, for messages.
func (v *variable) String() string {
	var dims []string
	for _, d := range v.dims {
		dims = append(dims, fmt.Sprint(d))
	}
	return fmt.Sprintf("%s of %s", classNames[v.class], strings.Join(dims, "x"))
}

func (v *variable) elements() int64 {
	n := int64(1)
	for _, d := range v.dims {
		n *= d
	}
	return n
}

// read fills p with stored bytes.
func (v *variable) read(p []byte) error {
	if _, err := io.ReadFull(v.in, p); err != nil {
		return v.m.readError("variable "+v.name, err)
	}
	return nil
}

// number is the next value.
func (v *variable) number() (float64, error) {
	p := v.buf[:kindSize[v.kind]]
	if err := v.read(p); err != nil {
		return 0, err
	}
	o := v.m.order
	switch v.kind {
	case miInt8:
		return float64(int8(p[0])), nil
	case miUint8:
		return float64(p[0]), nil
	case miInt16:
		return float64(int16(o.Uint16(p))), nil
	case miUint16:
		return float64(o.Uint16(p)), nil
	case miInt32:
		return float64(int32(o.Uint32(p))), nil
	case miUint32:
		return float64(o.Uint32(p)), nil
	case miSingle:
		return float64(math.Float32frombits(o.Uint32(p))), nil
	case miDouble:
		return math.Float64frombits(o.Uint64(p)), nil
	case miInt64:
		return float64(int64(o.Uint64(p))), nil
	}
	return float64(o.Uint64(p)), nil
}

// bad is an error at the place in the file that was read last.
func (m *matFile) bad(k classes.Kind, text string) error {
	return &classes.InputError{Path: m.path, Offset: m.at, Kind: k, Problem: text}
}

// whole is an error of the file as a whole.
func (m *matFile) whole(k classes.Kind, text string) error {
	return &classes.InputError{Path: m.path, Offset: -1, Kind: k, Problem: text}
}

func (m *matFile) noVariable(name string) error {
	text := "there is no variable " + name + " in it"
	if len(m.seen) > 0 {
		text += "; it has " + strings.Join(m.seen, ", ")
	}
	return m.whole(classes.Missing, text)
}

func (m *matFile) readError(what string, err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return m.bad(classes.Broken, "the file ends within "+what)
	}
	return &classes.InputError{Path: m.path, Offset: m.at, Kind: classes.Broken, Problem: fmt.Sprintf("%s: %v", what, err), Err: err}
}

// counter counts what is read of the file.
type counter struct {
	r io.Reader
	n *int64
}

func (c counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	*c.n += int64(n)
	return n, err
}

// walk calls visit for each numeric array, which may leave it unread.
func (m *matFile) walk(visit func(v *variable) error) error {
	in := counter{bufio.NewReaderSize(m.in, 1<<16), &m.at}
	head := make([]byte, 128)
	if _, err := io.ReadFull(in, head); err != nil {
		return m.readError("its header of 128 bytes", err)
	}
	switch string(head[126:128]) {
	case "IM":
		m.order = binary.LittleEndian
	case "MI":
		m.order = binary.BigEndian
	}
	switch {
	case bytes.HasPrefix(head, []byte("MATLAB 7.3")):
		return m.whole(classes.Broken, "a MATLAB 7.3 file (HDF5); need one of version 5 to 7, as SVHN has them")
	case m.order == nil || m.order.Uint16(head[124:]) != 0x0100:
		return m.whole(classes.Broken, fmt.Sprintf("not a MATLAB file of version 5: it starts with %q", head[:16]))
	}
	for {
		kind, n, _, err := m.tag(in)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return m.readError("the tag of an element", err)
		}
		element := &io.LimitedReader{R: in, N: n}
		switch kind {
		case miMatrix:
			err = m.matrix(element, n, visit)
		case miCompressed:
			err = m.compressed(element, visit)
		}
		if err != nil {
			return err
		}
		if _, err := io.Copy(io.Discard, element); err != nil {
			return m.readError("an element", err)
		}
		if element.N > 0 {
			return m.bad(classes.Broken, fmt.Sprintf("the file ends %d bytes before the end of an element", element.N))
		}
		if kind != miCompressed {
			if err := m.pad(in, n); err != nil {
				return err
			}
		}
	}
}

// tag reads an element's data type and size. small holds the data of elements of up
// to four bytes that have it in their tag. The error is io.EOF only where nothing
// was left.
func (m *matFile) tag(r io.Reader) (kind uint32, n int64, small []byte, err error) {
	b := make([]byte, 8)
	if _, err := io.ReadFull(r, b[:4]); err != nil {
		return 0, 0, nil, err
	}
	if _, err := io.ReadFull(r, b[4:]); err != nil {
		return 0, 0, nil, io.ErrUnexpectedEOF
	}
	first := m.order.Uint32(b)
	if size := first >> 16; size != 0 {
		if size > 4 {
			return 0, 0, nil, fmt.Errorf("a small element of %d bytes, more than 4", size)
		}
		return first & 0xffff, int64(size), b[4 : 4+size], nil
	}
	return first, int64(m.order.Uint32(b[4:])), nil, nil
}

// pad skips what fills an element of n bytes up to a multiple of 8.
func (m *matFile) pad(r io.Reader, n int64) error {
	if _, err := io.CopyN(io.Discard, r, (8-n%8)%8); err != nil && err != io.EOF {
		return m.readError("padding", err)
	}
	return nil
}

// part reads a whole sub-element of at most limit bytes.
func (m *matFile) part(r io.Reader, what string, kind uint32, limit int64) ([]byte, error) {
	got, n, b, err := m.tag(r)
	if err != nil {
		return nil, m.readError(what, err)
	}
	if got != kind || n > limit {
		return nil, m.bad(classes.Broken, fmt.Sprintf("%s has data type %d and %d bytes, need type %d and at most %d bytes", what, got, n, kind, limit))
	}
	if b == nil && n > 0 {
		b = make([]byte, n)
		if _, err := io.ReadFull(r, b); err != nil {
			return nil, m.readError(what, err)
		}
		if err := m.pad(r, n); err != nil {
			return nil, err
		}
	}
	return b, nil
}

func (m *matFile) compressed(r io.Reader, visit func(v *variable) error) error {
	z, err := zlib.NewReader(r)
	if err != nil {
		return m.readError("a compressed element", err)
	}
	kind, n, _, err := m.tag(z)
	if err != nil {
		return m.readError("a compressed element", err)
	}
	if n > freeUnpacked+maxRatio*m.size {
		return m.bad(classes.Unsafe, fmt.Sprintf("an element of %d bytes in a file of %d", n, m.size))
	}
	if kind != miMatrix {
		return nil
	}
	body := io.LimitReader(z, n)
	if err := m.matrix(body, n, visit); err != nil {
		return err
	}
	// To the end, where the checksum is.
	if _, err := io.Copy(io.Discard, io.LimitReader(z, n+8)); err != nil {
		return m.readError("a compressed element", err)
	}
	return nil
}

// matrix reads an array element of n bytes.
func (m *matFile) matrix(r io.Reader, n int64, visit func(v *variable) error) error {
	if n == 0 {
		return nil // an empty array is only its tag
	}
	flags, err := m.part(r, "an array's flags", miUint32, 8)
	if err != nil {
		return err
	}
	if len(flags) != 8 {
		return m.bad(classes.Broken, fmt.Sprintf("an array's flags have %d bytes, need 8", len(flags)))
	}
	v := &variable{m: m, in: r, class: m.order.Uint32(flags) & 0xff}
	dims, err := m.part(r, "an array's size", miInt32, 4*32)
	if err != nil {
		return err
	}
	if len(dims)%4 != 0 || len(dims) < 8 {
		return m.bad(classes.Broken, fmt.Sprintf("an array's size has %d bytes, need 4 for each of two or more dimensions", len(dims)))
	}
	total := int64(1)
	for i := 0; i < len(dims); i += 4 {
		d := int64(int32(m.order.Uint32(dims[i:])))
		if d < 0 || d > 0 && total > math.MaxInt32/d {
			return m.bad(classes.Broken, fmt.Sprintf("an array's dimension %d of %d does not fit into memory", i/4+1, d))
		}
		total *= d
		v.dims = append(v.dims, d)
	}
	name, err := m.part(r, "an array's name", miInt8, 63)
	if err != nil {
		return err
	}
	v.name = string(name)
	if len(m.seen) < 16 {
		m.seen = append(m.seen, fmt.Sprintf("%q", v.name))
	}
	if v.class < mxDouble || v.class > mxUint64 || m.order.Uint32(flags)&complexFlag != 0 {
		if v.name == "X" || v.name == "y" {
			return m.bad(classes.BadSize, fmt.Sprintf("variable %s is not an array of real numbers", v.name))
		}
		return nil
	}
	kind, bytesOf, small, err := m.tag(r)
	if err != nil {
		return m.readError("variable "+v.name, err)
	}
	v.kind = kind
	if size, ok := kindSize[kind]; !ok || bytesOf != total*size {
		return m.bad(classes.Broken, fmt.Sprintf("variable %s, %v, has %d bytes of data type %d", v.name, v, bytesOf, kind))
	}
	if small != nil {
		v.in = bytes.NewReader(small)
	}
	return visit(v)
}
