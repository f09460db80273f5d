package weights

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"unicode/utf8"
)

// Write writes tensors and metadata in the safetensors form. Tensors of 8-byte
// elements come first, so that all are aligned; otherwise the order is kept, and
// equal input gives equal bytes.
func Write(w io.Writer, tensors []Tensor, metadata map[string]string) error {
	order := slices.Clone(tensors)
	slices.SortStableFunc(order, func(a, b Tensor) int {
		return int(dtypeBytes[b.DType()] - dtypeBytes[a.DType()])
	})
	head, err := header(order, metadata)
	if err != nil {
		return fmt.Errorf("weights: %w", err)
	}
	le := binary.LittleEndian
	if _, err := w.Write(append(le.AppendUint64(nil, uint64(len(head))), head...)); err != nil {
		return err
	}
	b := bufio.NewWriterSize(w, 1<<18) // small tensors share a write
	for _, t := range order {
		err := errors.Join(
			writeAll(b, t.Data, func(p []byte, x float32) []byte { return le.AppendUint32(p, math.Float32bits(x)) }),
			writeAll(b, t.F64, func(p []byte, x float64) []byte { return le.AppendUint64(p, math.Float64bits(x)) }),
			writeAll(b, t.I64, func(p []byte, x int64) []byte { return le.AppendUint64(p, uint64(x)) }),
		)
		if err != nil {
			return err
		}
	}
	return b.Flush()
}

// writeAll encodes elements straight into the writer's buffer.
func writeAll[T any](b *bufio.Writer, xs []T, put func(p []byte, x T) []byte) error {
	const widest = 8
	for len(xs) > 0 {
		if b.Available() < widest {
			if err := b.Flush(); err != nil {
				return err
			}
		}
		p := b.AvailableBuffer()
		n := min(len(xs), b.Available()/widest)
		for _, x := range xs[:n] {
			p = put(p, x)
		}
		if _, err := b.Write(p); err != nil {
			return err
		}
		xs = xs[n:]
	}
	return nil
}

// header builds the JSON header, padded with spaces to a multiple of 8 bytes.
func header(tensors []Tensor, metadata map[string]string) ([]byte, error) {
	type desc struct {
		DType   DType    `json:"dtype"`
		Shape   []int    `json:"shape"`
		Offsets [2]int64 `json:"data_offsets"`
	}
	out := []byte("{")
	add := func(key string, value any) error {
		if len(out) > 1 {
			out = append(out, ',')
		}
		k, err := json.Marshal(key)
		if err != nil {
			return err
		}
		v, err := json.Marshal(value)
		if err != nil {
			return err
		}
		out = append(append(append(out, k...), ':'), v...)
		return nil
	}
	if len(metadata) > 0 {
		for k, v := range metadata {
			if !utf8.ValidString(k) || !utf8.ValidString(v) {
				return nil, fmt.Errorf("metadata %q is not UTF-8", k)
			}
		}
		if err := add(metaKey, metadata); err != nil {
			return nil, err
		}
	}
	seen := map[string]bool{metaKey: true}
	var at int64
	for _, t := range tensors {
		if err := t.check(); err != nil {
			return nil, err
		}
		if seen[t.Name] || t.Name == "" || !utf8.ValidString(t.Name) {
			return nil, fmt.Errorf("tensor name %q stands twice, is reserved or no UTF-8", t.Name)
		}
		seen[t.Name] = true
		end := at + int64(t.Len())*dtypeBytes[t.DType()]
		if err := add(t.Name, desc{t.DType(), append([]int{}, t.Shape...), [2]int64{at, end}}); err != nil {
			return nil, err
		}
		at = end
	}
	out = append(out, '}')
	for len(out)%8 != 0 {
		out = append(out, ' ')
	}
	if len(out) > maxHeader || len(tensors) > maxTensors {
		return nil, fmt.Errorf("%d tensors with a header of %d bytes are too many", len(tensors), len(out))
	}
	return out, nil
}

// WriteFile writes a safetensors file, atomically replacing one that is there.
func WriteFile(path string, tensors []Tensor, metadata map[string]string) error {
	return replace([]output{{path, func(w io.Writer) error { return Write(w, tensors, metadata) }}})
}
