package augment

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"hash/crc32"
	"os"
	"path/filepath"
	"testing"
	"time"

	"gocv.io/x/gocv"

	"manvision/internal/testdata"
)

func chunk(b *bytes.Buffer, kind string, body []byte) {
	binary.Write(b, binary.BigEndian, uint32(len(body)))
	at := b.Len()
	b.WriteString(kind)
	b.Write(body)
	binary.Write(b, binary.BigEndian, crc32.ChecksumIEEE(b.Bytes()[at:]))
}

// randomPNG is a file whose filtered bytes are random: any such bytes are an image.
func randomPNG(w, h int, r *Random, filter func() byte) []byte {
	var raw, packed bytes.Buffer
	for range h {
		raw.WriteByte(filter())
		for range 3 * w {
			raw.WriteByte(byte(r.Uint64()))
		}
	}
	z := zlib.NewWriter(&packed)
	z.Write(raw.Bytes())
	z.Close()
	var b bytes.Buffer
	b.Write(pngMagic)
	head := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, uint32(w)), uint32(h))
	chunk(&b, "IHDR", append(head, 8, 2, 0, 0, 0))
	chunk(&b, "tEXt", []byte("Comment\x00none"))
	p := packed.Bytes()
	chunk(&b, "IDAT", p[:len(p)/2])
	chunk(&b, "IDAT", nil)
	chunk(&b, "IDAT", p[len(p)/2:])
	chunk(&b, "IEND", nil)
	return b.Bytes()
}

func samePixels(t *testing.T, name string, d pngDecoder, a, b *gocv.Mat, file []byte) {
	t.Helper()
	if !d.decode(*a, file) {
		t.Fatalf("%s: left to OpenCV", name)
	}
	if err := decodeInto(*b, file, int(gocv.IMReadColor)); err != nil {
		t.Fatalf("%s: OpenCV: %v", name, err)
	}
	if a.Cols() != b.Cols() || a.Rows() != b.Rows() || !bytes.Equal(a.ToBytes(), b.ToBytes()) {
		t.Errorf("%s: pixels differ from OpenCV's", name)
	}
}

// Both ways to decode a PNG give the same pixels, whatever the rows' filters.
func TestPNGEqualsOpenCV(t *testing.T) {
	d, a, b := newPNGDecoder(), gocv.NewMat(), gocv.NewMat()
	defer d.close()
	defer a.Close()
	defer b.Close()
	r := NewRandom(1)
	for w := 1; w <= 40; w++ {
		for f := byte(0); f <= 4; f++ {
			samePixels(t, "one filter", d, &a, &b, randomPNG(w, 5, &r, func() byte { return f }))
		}
		samePixels(t, "mixed filters", d, &a, &b, randomPNG(w, 12, &r, func() byte { return byte(r.Intn(5)) }))
	}
	files, _ := filepath.Glob(filepath.Join(testdata.Shared(t, "cityscapes"), "leftImg8bit/*/*/*.png"))
	if len(files) == 0 {
		t.Fatal("no frames")
	}
	for _, path := range files {
		file, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		samePixels(t, path, d, &a, &b, file)
	}
}

// What is unusual or damaged is left to OpenCV.
func TestPNGLeftToOpenCV(t *testing.T) {
	d, m := newPNGDecoder(), gocv.NewMat()
	defer d.close()
	defer m.Close()
	for _, name := range []string{"palette.png", "grey16.png", "alpha.png"} {
		file, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		if d.decode(m, file) {
			t.Errorf("%s was decoded", name)
		}
	}
	r := NewRandom(2)
	if file := randomPNG(9, 7, &r, func() byte { return 5 }); d.decode(m, file) {
		t.Error("filter 5 was decoded")
	}
	file := randomPNG(9, 7, &r, func() byte { return 4 })
	if !d.decode(m, file) {
		t.Fatal("the whole file was not decoded")
	}
	for i := range file {
		if i > 0 && d.decode(m, file[:i]) {
			t.Fatalf("%d of %d bytes were decoded", i, len(file))
		}
		damaged := bytes.Clone(file)
		damaged[i] ^= 1 << r.Intn(8)
		if i >= len(pngMagic) && d.decode(m, damaged) { // the magic is ReadHeader's
			t.Fatalf("byte %d changed, yet decoded", i)
		}
	}
	d.close()
	if d.decode(m, file) {
		t.Error("decoded after close")
	}
}

// BenchmarkPNG decodes one CityScapes frame by either way, in turn, so that both
// meet the same load.
func BenchmarkPNG(b *testing.B) {
	files, _ := filepath.Glob(filepath.Join(testdata.Shared(b, "cityscapes"), "leftImg8bit/*/*/*.png"))
	d, m := newPNGDecoder(), gocv.NewMat()
	defer d.close()
	defer m.Close()
	var ours, theirs time.Duration
	n := 0
	for b.Loop() {
		file, err := os.ReadFile(files[n%len(files)])
		if err != nil {
			b.Fatal(err)
		}
		t0 := time.Now()
		if !d.decode(m, file) {
			b.Fatal("left to OpenCV")
		}
		t1 := time.Now()
		if err := decodeInto(m, file, int(gocv.IMReadColor)); err != nil {
			b.Fatal(err)
		}
		ours, theirs = ours+t1.Sub(t0), theirs+time.Since(t1)
		n++
	}
	b.ReportMetric(ours.Seconds()*1e3/float64(n), "ours-ms")
	b.ReportMetric(theirs.Seconds()*1e3/float64(n), "opencv-ms")
}
