package weights

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The invariants of a file that opens: every tensor that can be read has the
// announced number of elements, and none is larger than the file allows.
func consistent(t *testing.T, b []byte) {
	f, err := NewFile(bytes.NewReader(b), int64(len(b)), "fuzz")
	if err != nil {
		return
	}
	var total int64
	for _, info := range f.Tensors() {
		total += info.Bytes()
		x, err := f.Read(info.Name)
		if err != nil {
			continue
		}
		if n, err := elements(info.Shape); err != nil || int64(x.Len()) != n || n*dtypeBytes[info.DType] != info.Bytes() {
			t.Fatalf("%+v has %d elements", info, x.Len())
		}
	}
	if f.Format() == "safetensors" && total != int64(len(b))-f.data {
		t.Fatal("bytes that belong to no tensor")
	}
	if limit := maxShares*int64(len(b)) + smallView; total > limit {
		t.Fatalf("%d bytes of tensors in a file of %d", total, len(b))
	}
}

// seeds returns the files of testdata whose names fit the pattern.
func seeds(t testing.TB, pattern string) [][]byte {
	names, err := filepath.Glob("testdata/" + pattern)
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	var out [][]byte
	for _, n := range names {
		b, err := os.ReadFile(n)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, b)
	}
	return out
}

// pickles returns the objects of the zip files in testdata and of the hostile
// ones, without checksum.
func pickles(t testing.TB) [][]byte {
	files := seeds(t, "*_zip*.pth")
	for _, h := range hostileFiles() {
		if len(h.b) < 1<<13 {
			files = append(files, h.b)
		}
	}
	var out [][]byte
	for _, b := range files {
		z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			continue
		}
		for _, e := range z.File {
			if !strings.HasSuffix(e.Name, "data.pkl") || e.Method != zip.Store {
				continue
			}
			r, err := e.Open()
			if err != nil {
				continue
			}
			if p, err := io.ReadAll(r); err == nil {
				out = append(out, p)
			}
		}
	}
	return out
}

// wrap makes an archive of a pickle and storages for its likely keys.
func wrap(pickle []byte) []byte {
	parts := []zipPart{{name: "a/data.pkl", data: string(pickle)}}
	for i, n := range []int{16, 32, 12, 96, 8, 24} {
		parts = append(parts, zipPart{name: "a/data/" + string(rune('0'+i)), data: strings.Repeat("\x01", n)})
	}
	return makeZip(parts, nil)
}

// go test -fuzz FuzzSafetensors ./weights
func FuzzSafetensors(f *testing.F) {
	for _, b := range seeds(f, "*.safetensors") {
		f.Add(b)
	}
	f.Add(file(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}`, 1))
	f.Fuzz(consistent)
}

// go test -fuzz FuzzPyTorch$ ./weights
func FuzzPyTorch(f *testing.F) {
	for _, b := range seeds(f, "*.pth") {
		f.Add(b)
	}
	for _, h := range hostileFiles() {
		if len(h.b) < 1<<13 {
			f.Add(h.b)
		}
	}
	f.Fuzz(consistent)
}

// go test -fuzz FuzzPickle ./weights: the objects of the zip form, which behind
// their checksum the other target does not reach.
func FuzzPickle(f *testing.F) {
	for _, b := range pickles(f) {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) { consistent(t, wrap(b)) })
}

// mutate changes a few places of a file.
func mutate(r *rand.Rand, b, other []byte) []byte {
	b = bytes.Clone(b)
	extremes := []uint64{0, 1, 0x7f, 0x80, 0xff, 0x7fffffff, 0x80000000, 0xffffffff, 1 << 40, 1<<63 - 1, 1 << 63, 1<<64 - 1}
	for range 1 + r.IntN(4) {
		if len(b) < 9 {
			return b
		}
		at := r.IntN(len(b) - 8)
		switch r.IntN(7) {
		case 0:
			b[at] ^= 1 << r.IntN(8)
		case 1:
			b[at] = byte(r.Uint32())
		case 2: // a number
			var n [8]byte
			binary.LittleEndian.PutUint64(n[:], extremes[r.IntN(len(extremes))])
			copy(b[at:], n[:1<<r.IntN(4)])
		case 3: // cut out
			b = append(b[:at], b[min(len(b), at+1+r.IntN(16)):]...)
		case 4: // twice
			n := min(len(b)-at, 1+r.IntN(64))
			b = append(b[:at+n:at+n], b[at:]...)
		case 5: // a piece of another file
			if len(other) > 0 {
				from := r.IntN(len(other))
				copy(b[at:], other[from:min(len(other), from+1+r.IntN(64))])
			}
		case 6: // the end
			if r.IntN(8) == 0 {
				b = b[:at]
			}
		}
	}
	return b
}

// A bounded search that runs with the other tests: from a fixed seed, as many
// mutations as fit into two seconds, each within the limits of hostile files.
func TestMutatedFiles(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, c := range []struct {
		name  string
		seeds [][]byte
		wrap  func([]byte) []byte
	}{
		{"safetensors", seeds(t, "*.safetensors"), bytes.Clone},
		{"zip", seeds(t, "*_zip*.pth"), bytes.Clone},
		{"legacy", seeds(t, "*_legacy*.pth"), bytes.Clone},
		{"pickle", pickles(t), wrap},
	} {
		n, slowest := 0, time.Duration(0)
		for start := time.Now(); time.Since(start) < 500*time.Millisecond; n++ {
			b := c.wrap(mutate(r, c.seeds[r.IntN(len(c.seeds))], c.seeds[r.IntN(len(c.seeds))]))
			from := time.Now()
			consistent(t, b)
			slowest = max(slowest, time.Since(from))
		}
		if slowest > hostileTime {
			t.Errorf("%s: a file took %v", c.name, slowest)
		}
		t.Logf("%s: %d files, at most %v", c.name, n, slowest)
	}
}
