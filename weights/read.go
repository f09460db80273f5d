package weights

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
)

// File is an open safetensors file. Opening reads and checks the header alone;
// each tensor is read when asked for. Methods may be called from several
// goroutines.
type File struct {
	name   string
	r      io.ReaderAt
	closer io.Closer
	data   int64 // where the elements start
	infos  []Info
	byName map[string]int
	meta   map[string]string
}

// Open opens a safetensors file.
func Open(path string) (*File, error) {
	f, err := os.Open(path)
	if err != nil {
		abs, _ := filepath.Abs(path)
		return nil, fmt.Errorf("cannot open weights %s: %w", abs, cause(err))
	}
	st, err := f.Stat()
	if err == nil && !st.Mode().IsRegular() {
		err = errors.New("not a regular file")
	}
	var out *File
	if err == nil {
		out, err = NewFile(f, st.Size(), path)
	} else {
		err = fmt.Errorf("%s: %w", path, err)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	out.closer = f
	return out, nil
}

// NewFile reads the header of a safetensors file of that size. name stands in
// error messages.
func NewFile(r io.ReaderAt, size int64, name string) (*File, error) {
	fail := func(err error) (*File, error) { return nil, fmt.Errorf("%s: not a safetensors file: %w", name, err) }
	var head [8]byte
	if size < 8 {
		return fail(fmt.Errorf("%d bytes long", size))
	}
	if err := readAt(r, head[:], 0); err != nil {
		return fail(err)
	}
	n := binary.LittleEndian.Uint64(head[:])
	switch {
	case n > uint64(size-8):
		return fail(fmt.Errorf("header of %d bytes in a file of %d (another format, or truncated)", n, size))
	case n > maxHeader:
		return fail(fmt.Errorf("header of %d bytes is larger than %d", n, maxHeader))
	}
	text := make([]byte, n)
	if err := readAt(r, text, 8); err != nil {
		return fail(err)
	}
	f := &File{name: name, r: r, data: 8 + int64(n), byName: map[string]int{}}
	var err error
	if f.infos, f.meta, err = parseHeader(text, size-f.data); err != nil {
		return fail(err)
	}
	for i, t := range f.infos {
		f.byName[t.Name] = i
	}
	return f, nil
}

// Close closes the file. Tensors already read stay valid.
func (f *File) Close() error {
	if f.closer == nil {
		return nil
	}
	return f.closer.Close()
}

// Tensors describes the stored tensors in the order of their bytes.
func (f *File) Tensors() []Info { return f.infos }

// Metadata returns the free text of the header by key.
func (f *File) Metadata() map[string]string { return f.meta }

// Info describes the tensor of that name; false where there is none.
func (f *File) Info(name string) (Info, bool) {
	i, ok := f.byName[name]
	if !ok {
		return Info{}, false
	}
	return f.infos[i], true
}

// Read reads one tensor. F32, F16 and BF16 come as float32 (exactly), F64 as
// float64, I64, I32 and U8 as int64.
func (f *File) Read(name string) (Tensor, error) {
	info, ok := f.Info(name)
	if !ok {
		return Tensor{}, fmt.Errorf("%s: no tensor %q", f.name, name)
	}
	t := Tensor{Name: name, Shape: info.Shape}
	n := int(info.Bytes() / dtypeBytes[info.DType])
	var put func(i int, b []byte)
	le := binary.LittleEndian
	switch info.DType {
	case F32:
		t.Data = make([]float32, n)
		put = func(i int, b []byte) { t.Data[i] = math.Float32frombits(le.Uint32(b)) }
	case F16:
		t.Data = make([]float32, n)
		put = func(i int, b []byte) { t.Data[i] = half(le.Uint16(b)) }
	case BF16:
		t.Data = make([]float32, n)
		put = func(i int, b []byte) { t.Data[i] = bfloat(le.Uint16(b)) }
	case F64:
		t.F64 = make([]float64, n)
		put = func(i int, b []byte) { t.F64[i] = math.Float64frombits(le.Uint64(b)) }
	case I64:
		t.I64 = make([]int64, n)
		put = func(i int, b []byte) { t.I64[i] = int64(le.Uint64(b)) }
	case I32:
		t.I64 = make([]int64, n)
		put = func(i int, b []byte) { t.I64[i] = int64(int32(le.Uint32(b))) }
	case U8:
		t.I64 = make([]int64, n)
		put = func(i int, b []byte) { t.I64[i] = int64(b[0]) }
	default:
		return Tensor{}, fmt.Errorf("%s: tensor %q: elements of type %s cannot be read", f.name, name, info.DType)
	}
	if err := f.stream(info, put); err != nil {
		return Tensor{}, fmt.Errorf("%s: tensor %q: %w", f.name, name, err)
	}
	return t, nil
}

// stream calls put with the bytes of each element in turn, reading in pieces.
func (f *File) stream(info Info, put func(i int, b []byte)) error {
	size := int(dtypeBytes[info.DType])
	buf := make([]byte, min(int64(1<<18), info.Bytes()))
	at, i := f.data+info.begin, 0
	for left := info.Bytes(); left > 0; {
		piece := buf[:min(int64(len(buf)), left)]
		if err := readAt(f.r, piece, at); err != nil {
			return err
		}
		for o := 0; o < len(piece); o += size {
			put(i, piece[o:o+size])
			i++
		}
		at, left = at+int64(len(piece)), left-int64(len(piece))
	}
	return nil
}

// readAt fills b, for which io.ReaderAt may report the end of the file.
func readAt(r io.ReaderAt, b []byte, at int64) error {
	n, err := r.ReadAt(b, at)
	if n == len(b) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// ReadAll reads every tensor of a safetensors file and its metadata.
func ReadAll(path string) ([]Tensor, map[string]string, error) {
	f, err := Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	var out []Tensor
	for _, info := range f.infos {
		t, err := f.Read(info.Name)
		if err != nil {
			return nil, nil, err
		}
		out = append(out, t)
	}
	return out, f.meta, nil
}

// cause strips the operation and the path from a file error.
func cause(err error) error {
	var pe *os.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	var le *os.LinkError
	if errors.As(err, &le) {
		return le.Err
	}
	return err
}
