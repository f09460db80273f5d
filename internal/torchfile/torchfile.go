// Package torchfile writes files of weights as PyTorch does, with values made by
// formula, for tests: files of real networks are too large to be kept. The reader is
// package weights.
package torchfile

import (
	"archive/zip"
	"bufio"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"os"
	"strings"

	"manvision/internal/golden"
	"manvision/weights"
)

// Seed is that of the formula in all scripts that make goldens of state_dicts.
const Seed = 1

// Fill gives tensors the values of the goldens by their names: golden.Param's;
// running_mean 0.1u, running_var 1 + 0.3u; counters of batch norm are 7.
func Fill(names []weights.Tensor) []weights.Tensor {
	out := make([]weights.Tensor, 0, len(names))
	for _, w := range names {
		t := weights.Tensor{Name: w.Name, Shape: w.Shape}
		n := golden.Elements(w.Shape)
		scale, shift := 0.0, 0.0
		switch {
		case strings.HasSuffix(w.Name, "num_batches_tracked"):
			t.I64 = []int64{7}
		case strings.HasSuffix(w.Name, "running_mean"):
			scale = 0.1
		case strings.HasSuffix(w.Name, "running_var"):
			scale, shift = 0.3, 1
		default:
			t.Data = make([]float32, n)
			for i, v := range golden.Param(w.Name, w.Shape, Seed) {
				t.Data[i] = float32(v)
			}
		}
		if scale > 0 {
			t.Data = make([]float32, n)
			for i, u := range golden.U(w.Name, Seed, n) {
				t.Data[i] = float32(shift + scale*u)
			}
		}
		out = append(out, t)
	}
	return out
}

// Write writes tensors (F64 none) to a file as torch.save of PyTorch from 1.6 on does
// with a state_dict or, where key is not empty, with a training program's dict that has
// the state_dict under that key. legacy writes the form before 1.6.
func Write(path string, tensors []weights.Tensor, key string, legacy bool) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	w := bufio.NewWriterSize(f, 1<<20)
	if legacy {
		err = writeLegacy(w, tensors, key)
	} else {
		err = writeZip(w, tensors, key)
	}
	if err == nil {
		err = w.Flush()
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return f.Close()
}

const protocol2 = "\x80\x02"

func text(s string) string {
	return "X" + string(binary.LittleEndian.AppendUint32(nil, uint32(len(s)))) + s
}

func number(n int) string { return "J" + string(binary.LittleEndian.AppendUint32(nil, uint32(n))) }

func tuple(items ...string) string { return "(" + strings.Join(items, "") + "t" }

const ordered = "ccollections\nOrderedDict\n)R"

// object is the pickle of the state_dict; storage i is that of tensor i. Legacy storages
// have a sixth entry, the view that they are of.
func object(tensors []weights.Tensor, key string, legacy bool) string {
	var b strings.Builder
	b.WriteString(protocol2)
	if key != "" {
		b.WriteString("}(" + text("epoch") + number(90) + text(key))
	}
	b.WriteString(ordered + "(")
	for i, t := range tensors {
		class, view := "FloatStorage", ""
		if t.I64 != nil {
			class = "LongStorage"
		}
		if legacy {
			view = "N"
		}
		var shape, strides []string
		step := 1
		for d := range t.Shape {
			step = 1
			for _, n := range t.Shape[d+1:] {
				step *= n
			}
			shape, strides = append(shape, number(t.Shape[d])), append(strides, number(step))
		}
		storage := tuple(text("storage"), "ctorch\n"+class+"\n", text(fmt.Sprint(i)), text("cpu"), number(t.Len()), view) + "Q"
		b.WriteString(text(t.Name) + "ctorch._utils\n_rebuild_tensor_v2\n" +
			tuple(storage, number(0), tuple(shape...), tuple(strides...), "\x89", ordered) + "R")
	}
	b.WriteString("u")
	if key != "" {
		b.WriteString("u")
	}
	return b.String() + "."
}

// raw are a tensor's elements in the file.
func raw(t weights.Tensor) []byte {
	var b []byte
	for _, v := range t.I64 {
		b = binary.LittleEndian.AppendUint64(b, uint64(v))
	}
	if t.Data != nil {
		b = make([]byte, 0, 4*len(t.Data))
	}
	for _, v := range t.Data {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
	}
	return b
}

func writeZip(w *bufio.Writer, tensors []weights.Tensor, key string) error {
	z := zip.NewWriter(w)
	add := func(name string, b []byte) error {
		n := uint64(len(b))
		e, err := z.CreateRaw(&zip.FileHeader{Name: "archive/" + name, Method: zip.Store, CRC32: crc32.ChecksumIEEE(b), CompressedSize64: n, UncompressedSize64: n})
		if err == nil {
			_, err = e.Write(b)
		}
		return err
	}
	if err := add("data.pkl", []byte(object(tensors, key, false))); err != nil {
		return err
	}
	for i, t := range tensors {
		if err := add(fmt.Sprint("data/", i), raw(t)); err != nil {
			return err
		}
	}
	if err := add("version", []byte("3\n")); err != nil {
		return err
	}
	return z.Close()
}

// legacyHead is the magic number, the protocol's version 1001 and the writer's machine.
const legacyHead = protocol2 + "\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19." + protocol2 + "M\xe9\x03." + protocol2 + "}(X\x0d\x00\x00\x00little_endian\x88u."

func writeLegacy(w *bufio.Writer, tensors []weights.Tensor, key string) error {
	w.WriteString(legacyHead + object(tensors, key, true) + protocol2 + "](")
	for i := range tensors {
		w.WriteString(text(fmt.Sprint(i)))
	}
	w.WriteString("e.")
	for _, t := range tensors {
		w.Write(binary.LittleEndian.AppendUint64(nil, uint64(t.Len())))
		w.Write(raw(t))
	}
	return nil // Flush tells
}
