package weights

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"unicode/utf8"
)

const (
	// maxHeader bounds the header's bytes, so that a hostile length cannot take
	// the machine's memory. The largest published models need under 2 MB.
	maxHeader = 32 << 20
	// maxTensors bounds the number of tensors.
	maxTensors = 1 << 18
	// maxRank bounds the dimensions of a tensor.
	maxRank = 16
	// metaKey is the header entry with free text.
	metaKey = "__metadata__"
)

// Info describes a stored tensor.
type Info struct {
	Name       string
	DType      DType
	Shape      []int
	begin, end int64 // bytes from the start of the data

	// Of PyTorch files alone.
	strides []int64   // in elements; nil: the elements lie in row-major order
	span    int64     // elements from the first to the last of a strided view
	entry   *zipEntry // whose bytes are exactly this tensor's, with a checksum
	refused string    // why Read refuses it
}

// Bytes returns the size of the stored elements.
func (i Info) Bytes() int64 { return i.end - i.begin }

// parseHeader reads the JSON header of a file with dataLen bytes of elements
// behind it. Entries come back in the order of their bytes. The elements must
// fill the data exactly: no overlap, no hole, nothing outside.
func parseHeader(text []byte, dataLen int64) (infos []Info, meta map[string]string, err error) {
	if !utf8.Valid(text) {
		return nil, nil, errors.New("header is not UTF-8")
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	meta = map[string]string{}
	seen := map[string]bool{}
	err = object(dec, func(name string) error {
		if seen[name] {
			return fmt.Errorf("name %q stands twice", name)
		}
		seen[name] = true
		if name == metaKey {
			return object(dec, func(key string) error {
				if _, again := meta[key]; again {
					return fmt.Errorf("metadata %q stands twice", key)
				}
				s, err := str(dec)
				meta[key] = s
				return err
			})
		}
		if len(infos) == maxTensors {
			return fmt.Errorf("more than %d tensors", maxTensors)
		}
		info, err := entry(dec, name, dataLen)
		infos = append(infos, info)
		return err
	})
	if err != nil {
		return nil, nil, fmt.Errorf("header: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, nil, errors.New("header: something stands behind the object")
	}
	slices.SortStableFunc(infos, func(a, b Info) int {
		return cmp.Or(cmp.Compare(a.begin, b.begin), cmp.Compare(a.end, b.end))
	})
	var at int64
	for i, t := range infos {
		if t.begin < at {
			return nil, nil, fmt.Errorf("tensors %q and %q overlap", infos[i-1].Name, t.Name)
		}
		if t.begin > at {
			return nil, nil, fmt.Errorf("%d bytes before tensor %q belong to none", t.begin-at, t.Name)
		}
		at = t.end
	}
	if at != dataLen {
		return nil, nil, fmt.Errorf("%d bytes at the end belong to no tensor", dataLen-at)
	}
	return infos, meta, nil
}

// entry parses one tensor's description and checks it against the data's length.
func entry(dec *json.Decoder, name string, dataLen int64) (Info, error) {
	t := Info{Name: name, begin: -1}
	var seen []string
	err := object(dec, func(key string) (err error) {
		if slices.Contains(seen, key) {
			return fmt.Errorf("%q stands twice", key)
		}
		seen = append(seen, key)
		switch key {
		case "dtype":
			var s string
			s, err = str(dec)
			t.DType = DType(s)
		case "shape":
			var dims []int64
			dims, err = ints(dec, maxRank)
			t.Shape = make([]int, len(dims))
			for i, d := range dims {
				t.Shape[i] = int(d)
			}
		case "data_offsets":
			var o []int64
			if o, err = ints(dec, 2); err == nil && len(o) != 2 {
				err = fmt.Errorf("%d data_offsets", len(o))
			}
			if err == nil {
				t.begin, t.end = o[0], o[1]
			}
		default:
			err = fmt.Errorf("unknown field %q", key)
		}
		return err
	})
	if err != nil {
		return t, fmt.Errorf("tensor %q: %w", name, err)
	}
	size, known := dtypeBytes[t.DType]
	n, err := elements(t.Shape)
	switch {
	case len(seen) != 3:
		return t, fmt.Errorf("tensor %q: has %q, needs dtype, shape and data_offsets", name, seen)
	case !known:
		return t, fmt.Errorf("tensor %q: element type %q is not known", name, t.DType)
	case err != nil:
		return t, fmt.Errorf("tensor %q: %w", name, err)
	case t.begin < 0 || t.end < t.begin || t.end > dataLen:
		return t, fmt.Errorf("tensor %q: bytes %d to %d lie outside the %d bytes of data (a truncated file?)", name, t.begin, t.end, dataLen)
	case t.end-t.begin != n*size:
		return t, fmt.Errorf("tensor %q: %s of shape %v needs %d bytes, the file gives it %d", name, t.DType, t.Shape, n*size, t.end-t.begin)
	}
	return t, nil
}

// object reads a JSON object; field is called behind each key and reads its value.
func object(dec *json.Decoder, field func(key string) error) error {
	if err := delim(dec, '{'); err != nil {
		return err
	}
	for dec.More() {
		key, err := str(dec)
		if err != nil {
			return err
		}
		if err := field(key); err != nil {
			return err
		}
	}
	return delim(dec, '}')
}

func delim(dec *json.Decoder, want json.Delim) error {
	tok, err := token(dec)
	if err != nil {
		return err
	}
	if tok != want {
		return fmt.Errorf("found %v where %v must stand", tok, want)
	}
	return nil
}

func str(dec *json.Decoder) (string, error) {
	tok, err := token(dec)
	if err != nil {
		return "", err
	}
	s, ok := tok.(string)
	if !ok {
		return "", fmt.Errorf("found %v where text must stand", tok)
	}
	return s, nil
}

// ints reads a list of at most limit whole numbers from 0.
func ints(dec *json.Decoder, limit int) ([]int64, error) {
	if err := delim(dec, '['); err != nil {
		return nil, err
	}
	var out []int64
	for dec.More() {
		tok, err := token(dec)
		if err != nil {
			return nil, err
		}
		num, ok := tok.(json.Number)
		if !ok {
			return nil, fmt.Errorf("found %v where a number must stand", tok)
		}
		n, err := strconv.ParseUint(num.String(), 10, 63)
		if err != nil {
			return nil, fmt.Errorf("%s is not a whole number from 0 to 2^63-1", num)
		}
		if len(out) == limit {
			return nil, fmt.Errorf("more than %d numbers in a list", limit)
		}
		out = append(out, int64(n))
	}
	return out, delim(dec, ']')
}

func token(dec *json.Decoder) (json.Token, error) {
	tok, err := dec.Token()
	if errors.Is(err, io.EOF) {
		return nil, io.ErrUnexpectedEOF
	}
	return tok, err
}
