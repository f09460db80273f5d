package weights

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"manvision/internal/testdata"
)

// Written by the reference library: testdata/gen_types.py has the numbers.
func TestReadsReferenceLibrary(t *testing.T) {
	f, err := Open("testdata/types.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	inf := float32(math.Inf(1))
	for _, want := range []Tensor{
		{Name: "f64", Shape: []int{2, 2}, F64: []float64{1.0 / 3, -2.5, 1e300, 0}},
		{Name: "f32", Shape: []int{1, 1, 3}, Data: []float32{0.1, -7, 3e38}},
		{Name: "f16", Shape: []int{8}, Data: []float32{1, -2, 65504, 0x1p-24, 0x1p-14, inf, 0.333251953125, 0}},
		{Name: "i64", Shape: []int{2}, I64: []int64{math.MinInt64, math.MaxInt64}},
		{Name: "i32", Shape: []int{2}, I64: []int64{math.MinInt32, 5}},
		{Name: "u8", Shape: []int{3}, I64: []int64{0, 255, 7}},
		{Name: "scalar", Shape: []int{}, Data: []float32{1.5}},
		{Name: "empty", Shape: []int{0, 3}, Data: []float32{}},
	} {
		got, err := f.Read(want.Name)
		if err != nil {
			t.Error(err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
	}
	if d := cmp.Diff(map[string]string{"source": "safetensors for Python", "quote": `a "b" é`}, f.Metadata()); d != "" {
		t.Error(d)
	}
	if _, err := f.Read("bits"); err == nil || !strings.Contains(err.Error(), "U16") {
		t.Error(err)
	}
	if _, err := f.Read("gone"); err == nil || !strings.Contains(err.Error(), `no tensor "gone"`) {
		t.Error(err)
	}
}

func TestHalfAndBfloat(t *testing.T) {
	// Values by the formats' definitions.
	for bits, want := range map[uint16]float32{0x3F80: 1, 0xC049: -3.140625, 0x8000: float32(math.Copysign(0, -1)), 0x0001: 0x1p-133} {
		if got := bfloat(bits); math.Float32bits(got) != math.Float32bits(want) {
			t.Errorf("bfloat %04x: %g, want %g", bits, got, want)
		}
	}
	for bits, want := range map[uint16]float32{0x3C00: 1, 0x8001: -0x1p-24, 0x03FF: 0x3FFp-24, 0xFC00: float32(math.Inf(-1)), 0x8000: float32(math.Copysign(0, -1))} {
		if got := half(bits); math.Float32bits(got) != math.Float32bits(want) {
			t.Errorf("half %04x: %g, want %g", bits, got, want)
		}
	}
	if x := half(0x7E00); x == x {
		t.Error("NaN is lost")
	}
}

func TestReadsRealWeights(t *testing.T) {
	// data/README: 269,722 parameters; the rest are batch norm's buffers.
	ts, _, err := ReadAll(testdata.Shared(t, "cifar10-resnet20/resnet20-12fca82f.derived.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, x := range ts {
		if !strings.Contains(x.Name, "running_") && !strings.Contains(x.Name, "num_batches") {
			n += x.Len()
		}
	}
	if n != 269722 {
		t.Errorf("%d parameters", n)
	}
}

func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var in []Tensor
		for i := range rapid.IntRange(0, 6).Draw(t, "tensors") {
			shape := rapid.SliceOfN(rapid.IntRange(0, 4), 0, 4).Draw(t, "shape")
			n, err := elements(shape)
			if err != nil {
				t.Fatal(err)
			}
			x := Tensor{Name: fmt.Sprint(rapid.String().Draw(t, "name"), i), Shape: append([]int{}, shape...)}
			switch rapid.IntRange(0, 2).Draw(t, "type") {
			case 0:
				x.Data = append([]float32{}, rapid.SliceOfN(rapid.Float32(), int(n), int(n)).Draw(t, "x")...)
			case 1:
				x.F64 = append([]float64{}, rapid.SliceOfN(rapid.Float64(), int(n), int(n)).Draw(t, "x")...)
			case 2:
				x.I64 = append([]int64{}, rapid.SliceOfN(rapid.Int64(), int(n), int(n)).Draw(t, "x")...)
			}
			in = append(in, x)
		}
		meta := map[string]string{"k": rapid.String().Draw(t, "meta")}
		var b, again bytes.Buffer
		if err := Write(&b, in, meta); err != nil {
			t.Fatal(err)
		}
		if err := Write(&again, in, meta); err != nil || !bytes.Equal(b.Bytes(), again.Bytes()) {
			t.Fatal("equal input gives other bytes", err)
		}
		f, err := NewFile(bytes.NewReader(b.Bytes()), int64(b.Len()), "mem")
		if err != nil {
			t.Fatal(err)
		}
		if len(f.Tensors()) != len(in) || f.Metadata()["k"] != meta["k"] {
			t.Fatal(f.Tensors(), f.Metadata())
		}
		for _, want := range in {
			got, err := f.Read(want.Name)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(want, got, cmpopts.EquateNaNs()); d != "" {
				t.Fatal(d)
			}
			if info, _ := f.Info(want.Name); (f.data+info.begin)%dtypeBytes[info.DType] != 0 {
				t.Fatal("not aligned", info)
			}
		}
	})
}

func TestWriteRefuses(t *testing.T) {
	one := []float32{1}
	for i, ts := range [][]Tensor{
		{{Name: "a", Data: one}, {Name: "a", Data: one}},
		{{Name: "", Data: one}},
		{{Name: metaKey, Data: one}},
		{{Name: "\xff", Data: one}},
		{{Name: "a", Shape: []int{2}, Data: one}},
		{{Name: "a", Shape: []int{-1}, Data: one}},
		{{Name: "a", Shape: []int{math.MaxInt, math.MaxInt}, Data: one}},
		{{Name: "a", Data: one, I64: []int64{1}}},
	} {
		if err := Write(&bytes.Buffer{}, ts, nil); err == nil {
			t.Errorf("case %d is written", i)
		}
	}
}

// file builds a safetensors file of a header and n bytes of elements.
func file(header string, n int) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(b, header...), make([]byte, n)...)
}

func TestHostileFiles(t *testing.T) {
	length := func(n uint64) []byte { return binary.LittleEndian.AppendUint64(nil, n) }
	cases := []struct {
		name string
		b    []byte
		want string
	}{
		{"empty", nil, "0 bytes long"},
		{"short", []byte("abc"), "3 bytes long"},
		{"length beyond the file", length(1 << 40), "header of 1099511627776 bytes in a file of 8"},
		{"length overflow", append(length(math.MaxUint64), '{', '}'), "header of 18446744073709551615 bytes"},
		{"length -8", append(length(math.MaxUint64-7), '{', '}'), "in a file of 10"},
		{"header bomb", append(length(maxHeader+1), make([]byte, maxHeader+1)...), "larger than"},
		{"longer than the file", append(length(1<<20), []byte(" and more bytes")...), "another format"},
		{"no JSON", file("hello", 0), "invalid character"},
		{"array", file("[]", 0), "found [ where { must stand"},
		{"null", file("null", 0), "where { must stand"},
		{"unfinished", file(`{"a":{"dtype":"F32"`, 0), "unexpected EOF"},
		{"text behind", file(`{} {}`, 0), "behind the object"},
		{"UTF-8", file("{\"\xff\":1}", 0), "not UTF-8"},
		{"twice", file(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}`, 2), `name "a" stands twice`},
		{"metadata twice", file(`{"__metadata__":{},"__metadata__":{}}`, 0), "stands twice"},
		{"metadata key twice", file(`{"__metadata__":{"a":"1","a":"2"}}`, 0), `metadata "a" stands twice`},
		{"metadata number", file(`{"__metadata__":{"a":1}}`, 0), "where text must stand"},
		{"field twice", file(`{"a":{"dtype":"U8","dtype":"F32","shape":[1],"data_offsets":[0,1]}}`, 1), `"dtype" stands twice`},
		{"field missing", file(`{"a":{"dtype":"U8","shape":[1]}}`, 1), "needs dtype, shape and data_offsets"},
		{"field unknown", file(`{"a":{"Dtype":"U8","shape":[1],"data_offsets":[0,1]}}`, 1), `unknown field "Dtype"`},
		{"type unknown", file(`{"a":{"dtype":"F3","shape":[1],"data_offsets":[0,1]}}`, 1), `element type "F3"`},
		{"negative size", file(`{"a":{"dtype":"U8","shape":[-1],"data_offsets":[0,1]}}`, 1), "-1 is not a whole number"},
		{"negative offset", file(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[-1,0]}}`, 1), "-1 is not a whole number"},
		{"fraction", file(`{"a":{"dtype":"U8","shape":[1.5],"data_offsets":[0,1]}}`, 1), "1.5 is not a whole number"},
		{"huge offset", file(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[9223372036854775806,9223372036854775807]}}`, 1), "lie outside"},
		{"larger than 63 bits", file(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,18446744073709551617]}}`, 1), "not a whole number"},
		{"backwards", file(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[1,0]}}`, 1), "lie outside"},
		{"three offsets", file(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1,2]}}`, 1), "more than 2 numbers"},
		{"one offset", file(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0]}}`, 1), "1 data_offsets"},
		{"rank", file(`{"a":{"dtype":"U8","shape":[`+strings.Repeat("1,", 16)+`1],"data_offsets":[0,1]}}`, 1), "more than 16 numbers"},
		{"shape overflow", file(`{"a":{"dtype":"F64","shape":[4294967296,4294967296],"data_offsets":[0,8]}}`, 8), "too large"},
		{"shape overflow to 0", file(`{"a":{"dtype":"F64","shape":[2305843009213693952,8],"data_offsets":[0,0]}}`, 0), "too large"},
		{"size", file(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}`, 4), "needs 8 bytes, the file gives it 4"},
		{"overlap", file(`{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}`, 3), `tensors "a" and "b" overlap`},
		{"same bytes", file(`{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}`, 2), "overlap"},
		{"hole", file(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}`, 2), `1 bytes before tensor "a" belong to none`},
		{"tail", file(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}`, 9), "8 bytes at the end"},
		{"deep", file(`{"a":{"dtype":`+strings.Repeat("[", 1<<20), 0), "where text must stand"},
		{"deep metadata", file(`{"__metadata__":`+strings.Repeat(`{"a":`, 1<<18), 0), "where text must stand"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := NewFile(bytes.NewReader(c.b), int64(len(c.b)), "x.safetensors")
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "x.safetensors: not a safetensors file: ") {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
}

func TestManyTensorsAreRefusedSoon(t *testing.T) {
	var b strings.Builder
	b.WriteString("{")
	for i := range maxTensors + 1 {
		fmt.Fprintf(&b, `"%d":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},`, i)
	}
	start := time.Now()
	x := file(b.String(), 0)
	if _, err := NewFile(bytes.NewReader(x), int64(len(x)), "x"); err == nil || !strings.Contains(err.Error(), "more than") {
		t.Error(err)
	}
	if d := time.Since(start); d > 20*time.Second {
		t.Error(d)
	}
}

func TestTruncatedEverywhere(t *testing.T) {
	whole, err := os.ReadFile("testdata/types.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		b := whole[:len(whole)*i/100]
		if _, err := NewFile(bytes.NewReader(b), int64(len(b)), "x"); err == nil {
			t.Errorf("%d %% of the file are taken for all of it", i)
		}
	}
	// Cut after it was opened: reading says so.
	path := filepath.Join(t.TempDir(), "a.safetensors")
	if err := os.WriteFile(path, whole, 0o666); err != nil {
		t.Fatal(err)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := os.Truncate(path, f.data); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Read("f64"); err == nil || !strings.Contains(err.Error(), `tensor "f64": unexpected EOF`) {
		t.Error(err)
	}
}

func TestOpenFaults(t *testing.T) {
	dir := t.TempDir()
	if _, err := Open(filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), dir) {
		t.Error(err)
	}
	if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Error(err)
	}
}
