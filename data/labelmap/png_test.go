package labelmap

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"manvision/internal/testdata"
)

func save(t testing.TB, path string, m image.Image) string {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	return saveBytes(t, path, b.Bytes())
}

func saveBytes(t testing.TB, path string, b []byte) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestWriteAndRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.png")
	want := make([]uint8, 37*5)
	for i := range want {
		want[i] = uint8(i * 7)
	}
	if err := WritePNG(path, want, 37, 5); err != nil {
		t.Fatal(err)
	}
	buf := make([]uint8, 4000)
	got, w, h, err := ReadPNG(path, buf)
	if err != nil || w != 37 || h != 5 || !slices.Equal(got, want) {
		t.Fatalf("%dx%d, %v, equal %v", w, h, err, slices.Equal(got, want))
	}
	if &got[0] != &buf[0] {
		t.Error("the buffer was not used")
	}
	if head, err := ReadHeader(path); err != nil || head != (Header{Width: 37, Height: 5, Depth: 8}) {
		t.Error(head, err)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".*")); len(left) > 0 {
		t.Error("left behind:", left)
	}
	if err := WritePNG(filepath.Join(path, "no", "b.png"), want, 37, 5); err == nil || !strings.Contains(err.Error(), "b.png") {
		t.Error(err)
	}
}

func TestWrongFormats(t *testing.T) {
	dir := t.TempDir()
	r := image.Rect(0, 0, 4, 2)
	opaque := func(m interface {
		image.Image
		Set(x, y int, c color.Color)
	}) image.Image {
		for i := range 8 {
			m.Set(i%4, i/4, color.RGBA{uint8(i), 2, 3, 255})
		}
		return m
	}
	palette := image.NewPaletted(r, color.Palette{color.Black, color.White, color.RGBA{9, 9, 9, 255}})
	palette.Pix[5] = 2
	var b bytes.Buffer
	if err := png.Encode(&b, opaque(image.NewGray(image.Rect(0, 0, 300, 200)))); err != nil {
		t.Fatal(err)
	}
	good := b.Bytes()
	flipped := bytes.Clone(good)
	flipped[50] ^= 0x10
	huge := bytes.Clone(good)
	binary.BigEndian.PutUint32(huge[16:], 16000)
	binary.BigEndian.PutUint32(huge[20:], 16000)
	binary.BigEndian.PutUint32(huge[29:], crc32.ChecksumIEEE(huge[12:29]))
	vast := bytes.Clone(good)
	binary.BigEndian.PutUint32(vast[16:], 1<<30)
	for _, c := range []struct {
		path, want string
		kind       Kind
	}{
		{save(t, dir+"/rgb.png", opaque(image.NewRGBA(r))), "the file is RGB of 8 bits a channel where a label map is 8-bit grey; a picture of colours", WrongFormat},
		{save(t, dir+"/rgba.png", image.NewNRGBA(r)), "the file is RGBA of 8 bits a channel where a label map is 8-bit grey", WrongFormat},
		{save(t, dir+"/16.png", image.NewGray16(r)), "the file is grey of 16 bits where a label map is 8-bit grey", WrongFormat},
		{save(t, dir+"/p.png", palette), "the file is a palette image of 2 bits where a label map is 8-bit grey; save the indices", WrongFormat},
		{saveBytes(t, dir+"/j.png", []byte("\xff\xd8\xff\xe0 and so on, a JPEG of some length it seems")), "a JPEG where a PNG belongs", WrongFormat},
		{saveBytes(t, dir+"/empty.png", nil), "the file is empty", Broken},
		{saveBytes(t, dir+"/text.png", []byte("this is not a picture at all, just some words")), "not a PNG file", Broken},
		{saveBytes(t, dir+"/short.png", good[:20]), "a PNG file that ends after 20 bytes", Broken},
		{saveBytes(t, dir+"/cut.png", good[:len(good)-30]), "broken PNG: the file is cut off", Broken},
		{saveBytes(t, dir+"/flip.png", flipped), "broken PNG: the checksum of a part (\"IDAT\") is wrong", Broken},
		{saveBytes(t, dir+"/huge.png", huge), "bytes cannot hold 16000x16000 pixels", Broken},
		{saveBytes(t, dir+"/vast.png", vast), "1073741824x200 pixels; files have 1 to 268435456", Broken},
		{dir + "/none.png", "cannot read the file: no such file or directory", Unreadable},
	} {
		_, _, _, err := ReadPNG(c.path, nil)
		var bad *InputError
		if !errors.As(err, &bad) || bad.Kind != c.kind || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.path, err, c.want)
		}
		if !strings.HasPrefix(err.Error(), c.path+": ") {
			t.Errorf("%v does not name the file", err)
		}
		if _, _, _, err := ReadPNG16(c.path, nil); err == nil && filepath.Base(c.path) != "16.png" {
			t.Errorf("%s was read with 16 bits", c.path)
		}
	}
	v, w, h, err := ReadIndices(dir+"/p.png", nil)
	if err != nil || w != 4 || h != 2 || !slices.Equal(v, []uint8{0, 0, 0, 0, 0, 2, 0, 0}) {
		t.Error(v, w, h, err)
	}
	if _, _, _, err := ReadIndices(dir+"/rgb.png", nil); err == nil || !strings.Contains(err.Error(), "RGB") {
		t.Error(err)
	}
}

// Damage anywhere is an error or the right pixels, never a panic.
func TestDamagedFiles(t *testing.T) {
	m := image.NewGray(image.Rect(0, 0, 60, 40))
	for i := range m.Pix {
		m.Pix[i] = uint8(i / 60)
	}
	dir := t.TempDir()
	good, err := os.ReadFile(save(t, dir+"/a.png", m))
	if err != nil {
		t.Fatal(err)
	}
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 0x81
		v, w, h, err := ReadPNG(saveBytes(t, dir+"/b.png", bad), nil)
		if err == nil && (w != 60 || h != 40 || !bytes.Equal(v, m.Pix)) {
			t.Errorf("byte %d changed: other pixels", i)
		}
		if _, _, _, err := ReadPNG(saveBytes(t, dir+"/b.png", good[:i]), nil); err == nil && i < len(good)-12 {
			t.Errorf("the first %d bytes are a whole file", i)
		}
	}
}

func BenchmarkReadPNG(b *testing.B) {
	dir := testdata.Shared(b, "miou-oracle")
	for _, kind := range []string{"gtFine_labelIds", "pred_labelIds", "gtFine_instanceIds"} {
		b.Run(kind, func(b *testing.B) {
			path := filepath.Join(dir, "frankfurt_000000_000576_"+kind+".png")
			var v []uint8
			var v16 []uint16
			var err error
			for b.Loop() {
				if kind == "gtFine_instanceIds" {
					v16, _, _, err = ReadPNG16(path, v16)
				} else {
					v, _, _, err = ReadIndices(path, v)
				}
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
