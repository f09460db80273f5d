package svhn

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"manvision/data/augment"
	"manvision/data/classes"
)

// The files come from testdata/gen_mat.py (scipy 1.11.4).
func load(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func open(b []byte) (*classes.Set, error) {
	return read("x.mat", bytes.NewReader(b), int64(len(b)))
}

func TestRead(t *testing.T) {
	for name, n := range map[string]int{"compressed.mat": 5, "double.mat": 5, "plain.mat": 2, "one.mat": 1} {
		s, err := open(load(t, name))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if err := s.Validate(); err != nil {
			t.Fatal(err)
		}
		if want := []int32{0, 1, 9, 0, 5}[:n]; !reflect.DeepEqual(s.Classes, want) {
			t.Errorf("%s: classes %v, want %v (label 10 is class 0)", name, s.Classes, want)
		}
		for k, px := range s.Pixels {
			for i, v := range px {
				row, col, c := i/3/32, i/3%32, i%3
				if want := uint8(3*row + 5*col + 7*c + 11*k); v != want {
					t.Fatalf("%s: image %d, row %d, column %d, colour %d is %d, want %d", name, k, row, col, c, v, want)
				}
			}
		}
	}
}

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "test_32x32.mat"), load(t, "compressed.mat"), 0o666); err != nil {
		t.Fatal(err)
	}
	if s, err := Open(dir, "test"); err != nil || s.Len() != 5 || len(s.Names) != 10 {
		t.Errorf("%v", err)
	}
	if _, err := Open(dir, "train"); err == nil || !strings.Contains(err.Error(), "train_32x32.mat") || !strings.Contains(err.Error(), "cropped digits") {
		t.Errorf("missing file: %v", err)
	}
	if _, err := Open(dir, "val"); err == nil || !strings.Contains(err.Error(), "train, test and extra") {
		t.Errorf("split val: %v", err)
	}
}

// bigEndian is a file as a machine of the other byte order writes it, by hand
// after the format's description: uncompressed, y in a small element.
func bigEndian() []byte {
	var b bytes.Buffer
	u32 := func(v ...uint32) { binary.Write(&b, binary.BigEndian, v) }
	b.WriteString("MATLAB 5.0 MAT-file" + strings.Repeat(" ", 124-19))
	b.WriteString("\x01\x00MI")
	array := func(class uint32, dims []uint32, name string, body func(), bytes uint32) {
		u32(miMatrix, bytes, miUint32, 8, class, 0, miInt32, uint32(4*len(dims)))
		u32(dims...)
		u32(1<<16|miInt8, uint32(name[0])<<24)
		body()
	}
	array(mxUint8, []uint32{32, 32, 3, 1}, "X", func() {
		u32(miUint8, 3072)
		for i := range 3072 {
			c, col, row := i/1024, i/32%32, i%32
			b.WriteByte(uint8(3*row + 5*col + 7*c))
		}
	}, 16+8+16+8+8+3072)
	array(mxDouble, []uint32{1, 1}, "y", func() { u32(2<<16|miUint16, 10<<16) }, 16+8+8+8+8)
	return b.Bytes()
}

func TestBigEndian(t *testing.T) {
	s, err := open(bigEndian())
	if err != nil || s.Len() != 1 || s.Classes[0] != 0 {
		t.Fatal(err)
	}
	if px := s.Pixels[0]; px[3*(32*2+1)] != 3*2+5 || px[3*(32*2+1)+1] != 3*2+5+7 {
		t.Errorf("pixels %v", px[:6])
	}
}

func TestErrors(t *testing.T) {
	patched := func(name string, at int, v ...byte) []byte {
		b := bytes.Clone(load(t, name))
		copy(b[at:], v)
		return b
	}
	plain := load(t, "plain.mat")
	for _, k := range []struct {
		want string
		b    []byte
	}{
		{"variable X is single of 32x32x3x1, need uint8", load(t, "wrong_class.mat")},
		{"3 images in X but 2 labels in y", load(t, "wrong_count.mat")},
		{"label 11 of image 1", load(t, "wrong_label.mat")},
		{"label 2.5 of image 1", load(t, "half_label.mat")},
		{`no variable y in it; it has "X", "labels"`, load(t, "no_labels.mat")},
		{"y is not an array of real numbers", load(t, "complex.mat")},
		{"header of 128 bytes", nil},
		{"header of 128 bytes", plain[:100]},
		{"not a MATLAB file", patched("plain.mat", 124, 0, 7)},
		{"not a MATLAB file", patched("plain.mat", 126, 'X', 'X')},
		{"MATLAB 7.3", patched("plain.mat", 0, []byte("MATLAB 7.3 MAT-file")...)},
		{"no variable X", plain[:128]},
		{"within variable X", plain[:2000]},
		{"checksum", patched("compressed.mat", lastOfFirst(load(t, "compressed.mat")), 1, 2, 3, 4)},
		{"an element of 3221225472 bytes", bomb(0xc0000000)},
	} {
		_, err := open(k.b)
		var in *classes.InputError
		if !errors.As(err, &in) || !strings.Contains(err.Error(), k.want) {
			t.Errorf("error %v, want one with %q", err, k.want)
		}
	}
}

// lastOfFirst is where the checksum of the first compressed element is.
func lastOfFirst(b []byte) int { return 136 + int(binary.LittleEndian.Uint32(b[132:])) - 4 }

// bomb is a compressed element that claims to hold n bytes.
func bomb(n uint32) []byte {
	b := []byte("MATLAB 5.0 MAT-file" + strings.Repeat(" ", 124-19) + "\x00\x01IM")
	inner := binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(nil, miMatrix), n)
	// One stored block and no checksum: the claim is met before it.
	z := append([]byte{0x78, 0x01, 0x01, uint8(len(inner)), 0, ^uint8(len(inner)), 0xff}, inner...)
	b = binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(b, miCompressed), uint32(len(z)))
	return append(b, z...)
}

func checkAny(t *testing.T, b []byte) {
	t.Helper()
	s, err := open(b)
	if err != nil {
		var in *classes.InputError
		if !errors.As(err, &in) {
			t.Fatalf("%T: %v", err, err)
		}
		return
	}
	if err := s.Validate(); err != nil || s.Len() == 0 {
		t.Fatalf("%d images, %v", s.Len(), err)
	}
}

func FuzzRead(f *testing.F) {
	for _, name := range []string{"compressed.mat", "double.mat", "plain.mat", "one.mat", "no_labels.mat"} {
		f.Add(load(f, name))
	}
	f.Add(bigEndian())
	f.Add(bomb(1 << 30))
	f.Fuzz(func(t *testing.T, b []byte) { checkAny(t, b) })
}

// Random changes to whole files, for a second, wherever the tests run; then every
// hundredth of each file.
func TestMutations(t *testing.T) {
	seeds := [][]byte{load(t, "plain.mat"), bigEndian(), load(t, "compressed.mat"), load(t, "double.mat")}
	r := augment.NewRandom(4)
	n := 0
	for end := time.Now().Add(time.Second); time.Now().Before(end); n++ {
		b := bytes.Clone(seeds[r.Intn(len(seeds))])
		for range 1 + r.Intn(3) {
			at := r.Intn(len(b))
			if r.Intn(2) == 0 {
				at = 124 + r.Intn(120) // where the structure is
			}
			switch r.Intn(3) {
			case 0:
				b[at%len(b)] = uint8(r.Uint64())
			case 1:
				b[at%len(b)] ^= 1 << r.Intn(8)
			case 2:
				b = append(b[:at%len(b)+1], b[min(len(b), at+1+r.Intn(40)):]...)
			}
		}
		checkAny(t, b)
	}
	t.Logf("%d changed files", n)
	for i, b := range seeds {
		for percent := range 100 {
			if _, err := open(b[:len(b)*percent/100]); err == nil {
				t.Errorf("%d %% of file %d are taken for the whole", percent, i)
			}
		}
	}
}
