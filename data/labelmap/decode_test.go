package labelmap

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/color"
	"image/png"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"manvision/internal/testdata"
)

// encode writes rows of n bytes with the given filter types as a PNG of several
// data parts.
func encode(w, h, depth, colour int, rows []byte, filters []byte) []byte {
	bpp := depth / 8
	n := w * bpp
	var raw []byte
	for y := range h {
		f := filters[y%len(filters)]
		raw = append(raw, f)
		for x := range n {
			at := func(x, y int) int {
				if x < 0 || y < 0 {
					return 0
				}
				return int(rows[y*n+x])
			}
			a, b, c := at(x-bpp, y), at(x, y-1), at(x-bpp, y-1)
			p := [...]int{0, a, b, (a + b) / 2, 0}[f]
			if f == 4 {
				// PNG specification, 9.4: ties go to left, then above.
				v := a + b - c
				p = a
				for _, o := range []int{b, c} {
					if abs(v-o) < abs(v-p) {
						p = o
					}
				}
			}
			raw = append(raw, byte(at(x, y)-p))
		}
	}
	var z bytes.Buffer
	zw := zlib.NewWriter(&z)
	zw.Write(raw)
	zw.Close()
	var out bytes.Buffer
	part := func(name string, b []byte) {
		binary.Write(&out, binary.BigEndian, uint32(len(b)))
		body := append([]byte(name), b...)
		out.Write(body)
		binary.Write(&out, binary.BigEndian, crc32.ChecksumIEEE(body))
	}
	out.WriteString(signature)
	head := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, uint32(w)), uint32(h))
	part("IHDR", append(head, byte(depth), byte(colour), 0, 0, 0))
	if colour == 3 {
		part("PLTE", make([]byte, 3*256))
	}
	for b := z.Bytes(); len(b) > 0; {
		k := min(len(b), 1+len(b)/3)
		part("IDAT", b[:k])
		b = b[k:]
	}
	part("IEND", nil)
	return out.Bytes()
}

func abs(v int) int { return max(v, -v) }

// content makes rows as label maps have them: runs, repeated rows, some noise.
func content(r *rand.Rand, n, h int) []byte {
	b := make([]byte, n*h)
	for y := range h {
		row := b[y*n:][:n]
		if y > 0 && r.IntN(3) > 0 {
			copy(row, b[(y-1)*n:])
		}
		for range r.IntN(4) {
			from := r.IntN(n)
			to := from + r.IntN(n-from) + 1
			v := byte(r.IntN(256))
			for x := from; x < to; x++ {
				row[x] = v
				if r.IntN(40) == 0 {
					row[x] = byte(r.IntN(256))
				}
			}
		}
	}
	return b
}

// Rows of every filter type come back as they went in, and as image/png has them.
func TestFilters(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	path := filepath.Join(t.TempDir(), "a.png")
	for k := range 300 {
		w, h := 1+r.IntN(60), 1+r.IntN(12)
		filters := [][]byte{{0}, {1}, {2}, {3}, {4}, {4, 1, 2, 3, 0}}[k%6]
		for _, form := range []struct{ depth, colour int }{{8, 0}, {16, 0}, {8, 3}} {
			want := content(r, w*form.depth/8, h)
			saveBytes(t, path, encode(w, h, form.depth, form.colour, want, filters))
			var got []byte
			if form.depth == 16 {
				v, gw, gh, err := ReadPNG16(path, nil)
				if err != nil || gw != w || gh != h {
					t.Fatal(gw, gh, err)
				}
				for _, x := range v {
					got = binary.BigEndian.AppendUint16(got, x)
				}
			} else {
				v, gw, gh, err := ReadIndices(path, nil)
				if err != nil || gw != w || gh != h {
					t.Fatal(gw, gh, err)
				}
				got = v
			}
			if !slices.Equal(got, want) {
				t.Fatalf("%dx%d, %v, filters %v: other values", w, h, form, filters)
			}
			if theirs := reference(t, path); !slices.Equal(got, theirs) {
				t.Fatalf("%dx%d, %v, filters %v: image/png has other values", w, h, form, filters)
			}
		}
	}
}

// reference returns the bytes of a grey or palette image as image/png reads it.
func reference(t *testing.T, path string) []byte {
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	m, err := png.Decode(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	switch m := m.(type) {
	case *image.Gray:
		return m.Pix
	case *image.Gray16:
		return m.Pix
	case *image.Paletted:
		return m.Pix
	}
	t.Fatalf("%T", m)
	return nil
}

func TestRealFilesAsImagePNG(t *testing.T) {
	files, _ := filepath.Glob(testdata.Shared(t, "miou-oracle") + "/*.png")
	if len(files) != 6 {
		t.Fatal(files)
	}
	for _, path := range files {
		want := reference(t, path)
		if got, _, _, err := ReadIndices(path, nil); err == nil {
			if !slices.Equal(got, want) {
				t.Errorf("%s: other values", path)
			}
			continue
		}
		v, _, _, err := ReadPNG16(path, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i, x := range v {
			if x != binary.BigEndian.Uint16(want[2*i:]) {
				t.Fatalf("%s: other values", path)
			}
		}
	}
}

// Palettes of few bits go through image/png.
func TestFewBits(t *testing.T) {
	m := image.NewPaletted(image.Rect(0, 0, 5, 3), color.Palette{color.Black, color.White, color.RGBA{9, 9, 9, 255}, color.RGBA{1, 2, 3, 0}})
	for i := range m.Pix {
		m.Pix[i] = uint8(i % 4)
	}
	path := save(t, filepath.Join(t.TempDir(), "a.png"), m)
	v, w, h, err := ReadIndices(path, make([]uint8, 100))
	if err != nil || w != 5 || h != 3 || !slices.Equal(v, m.Pix) {
		t.Error(v, w, h, err)
	}
}

func FuzzReadIndices(f *testing.F) {
	f.Add(encode(5, 3, 8, 0, make([]byte, 15), []byte{4, 1}))
	f.Add(encode(5, 3, 8, 3, make([]byte, 15), []byte{3, 2}))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 33 && binary.BigEndian.Uint32(b[16:]) > 1<<12 {
			return
		}
		path := saveBytes(t, filepath.Join(t.TempDir(), "a.png"), b)
		v, w, h, err := ReadIndices(path, nil)
		if err == nil && len(v) != w*h {
			t.Error(len(v), w, h)
		}
		ReadPNG16(path, nil)
	})
}
