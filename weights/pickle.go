package weights

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math/big"
)

// The values that a pickle builds. Numbers, text and truth values are Go's int64,
// float64, string and bool; bytes count as text. Everything that a state_dict does
// not need is inert: it can be stored, but nothing can be done with it.
type (
	pyNone  struct{}
	pyTuple []any
	pyList  struct{ items []any }
	// pyDict keeps its entries as they were set, keys that stand twice too.
	pyDict struct{ keys, values []any }
	// pyGlobal is a name that the pickle refers to, "collections.OrderedDict".
	pyGlobal struct{ name string }
	// pyObject stands for what a call of an unknown global would have made; state
	// is what BUILD would have given to it.
	pyObject struct {
		class string
		state any
	}
	// pyLong is text or a number longer than anything that is needed.
	pyLong struct{}
)

// text returns the string of a key, and whether the value is one.
func text(v any) (string, bool) {
	s, ok := v.(string)
	return s, ok
}

// whole returns a number that may stand for a size or an offset.
func whole(v any) (int64, error) {
	n, ok := v.(int64)
	if !ok {
		return 0, fmt.Errorf("%s where a whole number must stand", describe(v))
	}
	return n, nil
}

// describe names a value in an error message.
func describe(v any) string {
	switch v := v.(type) {
	case pyNone:
		return "None"
	case bool:
		return fmt.Sprintf("a truth value (%v)", v)
	case int64, float64, *big.Int:
		return "a number"
	case string, pyLong:
		return "text"
	case pyTuple:
		return "a tuple"
	case *pyList:
		return "a list"
	case *pyDict:
		return "a dict"
	case *pyGlobal:
		return "the name " + v.name
	case *pyObject:
		return "a value of " + v.class + " (not known here; nothing of it was run)"
	case *pthStorage:
		return "a storage"
	case *pthTensor:
		return "a tensor"
	}
	return fmt.Sprintf("%T", v)
}

const (
	// longText is the length from which text is passed over: no name is as long.
	longText = 1 << 14
	// longNumber bounds the digits and bytes of a number.
	longNumber = 255
)

// pickleReader reads the bytes of a pickle and knows where it stands.
type pickleReader struct {
	r        *bufio.Reader
	pos, end int64 // from the start of the section
}

func newPickleReader(r io.ReaderAt, at, size int64) *pickleReader {
	return &pickleReader{r: bufio.NewReaderSize(io.NewSectionReader(r, at, size), 1<<16), end: size}
}

func (p *pickleReader) byte() (byte, error) {
	b, err := p.r.ReadByte()
	if err != nil {
		return 0, cut(err)
	}
	p.pos++
	return b, nil
}

// number reads a little-endian unsigned number of n bytes.
func (p *pickleReader) number(n int) (uint64, error) {
	var v uint64
	for i := range n {
		b, err := p.byte()
		if err != nil {
			return 0, err
		}
		v |= uint64(b) << (8 * i)
	}
	return v, nil
}

// has refuses lengths that go beyond the end.
func (p *pickleReader) has(n uint64) error {
	if n > uint64(p.end-p.pos) {
		return fmt.Errorf("%d bytes announced where %d are left", n, p.end-p.pos)
	}
	return nil
}

func (p *pickleReader) take(n int) ([]byte, error) {
	if err := p.has(uint64(n)); err != nil {
		return nil, err
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(p.r, b); err != nil {
		return nil, cut(err)
	}
	p.pos += int64(n)
	return b, nil
}

// skip passes n bytes over.
func (p *pickleReader) skip(n uint64) error {
	if err := p.has(n); err != nil {
		return err
	}
	for n > 0 {
		k, err := p.r.Discard(int(min(n, 1<<30)))
		p.pos += int64(k)
		n -= uint64(k)
		if err != nil {
			return cut(err)
		}
	}
	return nil
}

// line reads up to a line feed, which is not part of the result.
func (p *pickleReader) line() (string, error) {
	var b []byte
	for {
		c, err := p.byte()
		if err != nil {
			return "", err
		}
		if c == '\n' {
			return string(b), nil
		}
		if len(b) == longText {
			return "", fmt.Errorf("a line longer than %d bytes", longText)
		}
		b = append(b, c)
	}
}

func cut(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
