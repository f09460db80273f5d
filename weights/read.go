package weights

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"os"
	"path/filepath"
)

// File is an open file of weights. Opening reads and checks the descriptions
// alone; each tensor is read when asked for. Methods may be called from several
// goroutines.
type File struct {
	name   string
	r      io.ReaderAt
	closer io.Closer
	data   int64 // where the elements start
	infos  []Info
	byName map[string]int
	meta   map[string]string
	layout string            // see Format
	key    string            // see Key
	others []string          // see Others
	inert  map[string]string // entries of the state_dict that are no tensors, and what they are
}

// Open opens a file of weights: safetensors or PyTorch's .pth, .pt, .th in the
// zip form (since 1.6) or the form before. The content tells which, the name does
// not matter. Of a PyTorch file with several state_dicts it takes the one that
// Key names.
func Open(path string) (*File, error) { return OpenKey(path, "") }

// OpenKey is Open that takes a certain state_dict of a PyTorch file, by its keys
// joined by dots ("model_ema"); "" leaves the choice to Open.
func OpenKey(path, key string) (*File, error) {
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
		out, err = newFile(f, st.Size(), path, key)
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

// NewFile reads the descriptions in a file of that size, as Open does. name stands
// in error messages.
func NewFile(r io.ReaderAt, size int64, name string) (*File, error) {
	return newFile(r, size, name, "")
}

func newFile(r io.ReaderAt, size int64, name, key string) (*File, error) {
	head := make([]byte, min(size, 512))
	if err := readAt(r, head, 0); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	form, what := sniff(head)
	if form == formOther {
		return nil, fmt.Errorf("%s: not a file of weights: it is %s", name, what)
	}
	f := &File{name: name, r: r, byName: map[string]int{}}
	kind, err := "safetensors", error(nil)
	switch {
	case form != formSafetensors:
		kind = "PyTorch"
		err = f.openPTH(form, size, key)
	case key != "":
		err = fmt.Errorf("it has no key %q: only PyTorch files hold several state_dicts", key)
	default:
		err = f.openSafetensors(size)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: not a %s file: %w", name, kind, err)
	}
	for i, t := range f.infos {
		f.byName[t.Name] = i
	}
	return f, nil
}

func (f *File) openSafetensors(size int64) error {
	var head [8]byte
	if size < 8 {
		return fmt.Errorf("%d bytes long", size)
	}
	if err := readAt(f.r, head[:], 0); err != nil {
		return err
	}
	n := binary.LittleEndian.Uint64(head[:])
	switch {
	case n > uint64(size-8):
		return fmt.Errorf("header of %d bytes in a file of %d (another format, or truncated)", n, size)
	case n > maxHeader:
		return fmt.Errorf("header of %d bytes is larger than %d", n, maxHeader)
	}
	text := make([]byte, n)
	if err := readAt(f.r, text, 8); err != nil {
		return err
	}
	f.layout, f.data = "safetensors", 8+int64(n)
	var err error
	f.infos, f.meta, err = parseHeader(text, size-f.data)
	return err
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

// Format names the form of the file: "safetensors", "PyTorch zip" or
// "PyTorch legacy".
func (f *File) Format() string { return f.layout }

// Key names the state_dict of a PyTorch file that the tensors are from, its keys
// joined by dots ("state_dict"); "" where the file is the state_dict itself.
func (f *File) Key() string { return f.key }

// Others names the state_dicts of a PyTorch file that were not taken; OpenKey
// takes one of them.
func (f *File) Others() []string { return f.others }

// Metadata returns the free text of the header by key. Of a PyTorch file it has
// the numbers and short texts beside the state_dict ("epoch", "arch"), under
// "pytorch." and their key.
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
// float64, whole numbers as int64, BOOL as 0 and 1.
func (f *File) Read(name string) (Tensor, error) {
	info, ok := f.Info(name)
	if what := f.inert[name]; !ok && what != "" {
		return Tensor{}, fmt.Errorf("%s: %q is no tensor but %s", f.name, name, what)
	}
	if !ok {
		return Tensor{}, fmt.Errorf("%s: no tensor %q", f.name, name)
	}
	if info.refused != "" {
		return Tensor{}, fmt.Errorf("%s: tensor %q %s", f.name, name, info.refused)
	}
	t := Tensor{Name: name, Shape: info.Shape}
	size := dtypeBytes[info.DType]
	if size == 0 {
		return Tensor{}, fmt.Errorf("%s: tensor %q: elements of type %s cannot be read", f.name, name, info.DType)
	}
	n := int(info.Bytes() / size)
	var put func(i int, b []byte)
	le := binary.LittleEndian
	switch info.DType {
	case F32, F16, BF16:
		t.Data = make([]float32, n)
	case F64:
		t.F64 = make([]float64, n)
	default:
		t.I64 = make([]int64, n)
	}
	switch info.DType {
	case F32:
		put = func(i int, b []byte) { t.Data[i] = math.Float32frombits(le.Uint32(b)) }
	case F16:
		put = func(i int, b []byte) { t.Data[i] = half(le.Uint16(b)) }
	case BF16:
		put = func(i int, b []byte) { t.Data[i] = bfloat(le.Uint16(b)) }
	case F64:
		put = func(i int, b []byte) { t.F64[i] = math.Float64frombits(le.Uint64(b)) }
	case I64:
		put = func(i int, b []byte) { t.I64[i] = int64(le.Uint64(b)) }
	case I32:
		put = func(i int, b []byte) { t.I64[i] = int64(int32(le.Uint32(b))) }
	case I16:
		put = func(i int, b []byte) { t.I64[i] = int64(int16(le.Uint16(b))) }
	case I8:
		put = func(i int, b []byte) { t.I64[i] = int64(int8(b[0])) }
	case U8:
		put = func(i int, b []byte) { t.I64[i] = int64(b[0]) }
	case Bool:
		put = func(i int, b []byte) {
			if b[0] != 0 {
				t.I64[i] = 1
			}
		}
	default:
		return Tensor{}, fmt.Errorf("%s: tensor %q: elements of type %s cannot be read", f.name, name, info.DType)
	}
	var err error
	if info.strides != nil {
		err = f.gather(info, size, put)
	} else {
		err = f.stream(info, put)
	}
	if err != nil {
		return Tensor{}, fmt.Errorf("%s: tensor %q: %w", f.name, name, err)
	}
	return t, nil
}

// stream calls put with the bytes of each element in turn, reading in pieces.
func (f *File) stream(info Info, put func(i int, b []byte)) error {
	size := int(dtypeBytes[info.DType])
	buf := make([]byte, min(int64(1<<18), info.Bytes()))
	sum := crc32.NewIEEE()
	at, i := f.data+info.begin, 0
	for left := info.Bytes(); left > 0; {
		piece := buf[:min(int64(len(buf)), left)]
		if err := readAt(f.r, piece, at); err != nil {
			return err
		}
		if info.entry != nil {
			sum.Write(piece)
		}
		for o := 0; o < len(piece); o += size {
			put(i, piece[o:o+size])
			i++
		}
		at, left = at+int64(len(piece)), left-int64(len(piece))
	}
	if info.entry != nil {
		return info.entry.verify(sum.Sum32())
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

// ReadAll reads every tensor of a file of weights and its metadata.
func ReadAll(path string) ([]Tensor, map[string]string, error) {
	f, err := Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	out := make([]Tensor, 0, len(f.infos))
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
