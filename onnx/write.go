package onnx

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// maxBytes is the largest message that protocol buffers can hold.
const maxBytes = math.MaxInt32

// Property is an entry of a file's metadata.
type Property struct{ Key, Value string }

// File is an exported network that is not yet written. Parameters are read from the
// network as they are written, so it must live until then.
type File struct {
	Inputs, Outputs []Value
	Metadata        []Property
	Parameters      int64 // numbers in initializers

	build   *builder
	name    string // of the graph
	version string // of the program
}

// Nodes counts the operations by kind.
func (f *File) Nodes() map[string]int {
	count := map[string]int{}
	for _, n := range f.build.nodes {
		count[n.op]++
	}
	return count
}

// frame is the file around the initializers' data.
type frame struct {
	before, after []byte // of the graph's initializers
	heads         [][]byte
	total         int64
}

func (f *File) frame() frame {
	var graph, rest []byte // fields of the GraphProto before and behind the initializers
	for _, n := range f.build.nodes {
		graph = appendBytes(graph, 1, n.encode())
	}
	graph = appendString(graph, 2, f.name)
	for _, v := range f.Inputs {
		rest = appendBytes(rest, 11, v.encode())
	}
	for _, v := range f.Outputs {
		rest = appendBytes(rest, 12, v.encode())
	}
	var fr frame
	size := int64(len(graph) + len(rest))
	for _, t := range f.build.initializers {
		head, data := t.head(), t.elems()*t.elem.bytes()
		whole := protowire.AppendVarint(protowire.AppendTag(nil, 5, protowire.BytesType), uint64(len(head)+data))
		fr.heads = append(fr.heads, append(whole, head...))
		size += int64(len(whole) + len(head) + data)
	}
	b := appendInt(nil, 1, irVersion)
	b = appendString(b, 2, "manvision")
	b = appendString(b, 3, f.version)
	b = protowire.AppendVarint(protowire.AppendTag(b, 7, protowire.BytesType), uint64(size))
	fr.before = append(b, graph...)
	fr.after = appendBytes(rest, 8, appendInt(appendString(nil, 1, ""), 2, opset))
	for _, p := range f.Metadata {
		fr.after = appendBytes(fr.after, 14, appendString(appendString(nil, 1, p.Key), 2, p.Value))
	}
	fr.total = int64(len(b)) + size + int64(len(fr.after)-len(rest))
	return fr
}

// Size is the number of bytes that WriteTo writes.
func (f *File) Size() int64 { return f.frame().total }

// WriteTo writes the file, one parameter in memory at a time. A file beyond the 2 GB
// that protocol buffers can hold is an error before anything is written.
func (f *File) WriteTo(w io.Writer) (int64, error) {
	fr := f.frame()
	if fr.total > maxBytes {
		return 0, fmt.Errorf("the ONNX file would have %.2f GB; protocol buffers end at %.2f GB (2³¹−1 bytes): this network is too large for a single file", float64(fr.total)/1e9, float64(maxBytes)/1e9)
	}
	out := &counter{w: w}
	buf := bufio.NewWriterSize(out, 1<<20)
	buf.Write(fr.before) // errors stick until Flush
	for i, t := range f.build.initializers {
		buf.Write(fr.heads[i])
		if err := t.write(buf); err != nil {
			return out.n, fmt.Errorf("%s: %w", t.name, err)
		}
	}
	buf.Write(fr.after)
	err := buf.Flush()
	if err == nil && out.n != fr.total {
		err = fmt.Errorf("onnx: wrote %d bytes of %d", out.n, fr.total)
	}
	return out.n, err
}

// write writes the raw data, little-endian.
func (t *initializer) write(w io.Writer) error {
	if t.elem == int64s {
		return binary.Write(w, binary.LittleEndian, t.ints)
	}
	values := t.floats
	if t.load != nil {
		values = make([]float32, t.elems())
		if err := t.load(values); err != nil {
			return err
		}
	}
	for i, v := range values {
		if v-v != 0 && t.load != nil {
			return fmt.Errorf("element %d is %v: the weights are damaged", i, v)
		}
	}
	var raw [4096]byte
	for part := range slices.Chunk(values, len(raw)/4) {
		for i, v := range part {
			binary.LittleEndian.PutUint32(raw[4*i:], math.Float32bits(v))
		}
		if _, err := w.Write(raw[:4*len(part)]); err != nil {
			return err
		}
	}
	return nil
}

// counter counts what is written.
type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}
