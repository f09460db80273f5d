package cifar

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"hash/crc32"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"manvision/data/classes"
	"manvision/internal/testdata"
)

// Counts of labels and the CRC-32 of all pixels (R, G, B by pixel) of the real
// files, taken with NumPy 1.24.
func TestRealBinary(t *testing.T) {
	dir := testdata.Shared(t, "cifar10")
	for _, k := range []struct {
		split  string
		counts []int
		first  []int32
		crc    uint32
	}{
		{Train, []int{396, 366, 420, 384, 422, 393, 414, 385, 407, 413}, []int32{6, 9, 9, 4, 1}, 3243769126},
		{Test, []int{103, 89, 100, 103, 90, 86, 112, 102, 106, 109}, []int32{3, 8, 8, 0, 6}, 2245611571},
	} {
		s, err := Open(dir, k.split, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if got := s.Counts(); !reflect.DeepEqual(got, k.counts) || !reflect.DeepEqual(s.Classes[:5], k.first) {
			t.Errorf("%s: %v images a class, first %v; want %v, %v", k.split, got, s.Classes[:5], k.counts, k.first)
		}
		crc := uint32(0)
		for _, px := range s.Pixels {
			crc = crc32.Update(crc, crc32.IEEETable, px)
		}
		if crc != k.crc {
			t.Errorf("%s: pixels have CRC %d, want %d", k.split, crc, k.crc)
		}
		if !reflect.DeepEqual(s.Names, names10) {
			t.Errorf("names %v", s.Names)
		}
		if want := "image 3"; !strings.HasSuffix(s.Files[3], want) {
			t.Errorf("file %q, want it to end in %q", s.Files[3], want)
		}
	}
}

// Counts and the CRC-32 of the first 200 images by name, decoded with Pillow
// 9.4.0.
func TestRealArchiveOfImages(t *testing.T) {
	file := testdata.Shared(t, "cifar10/cifar10_jpeg_test.tar.gz")
	s, err := Open(file, Test, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for class, n := range s.Counts() {
		if n != 1000 {
			t.Errorf("%d images of class %d, want 1000", n, class)
		}
	}
	if !reflect.DeepEqual(s.Names, names10) {
		t.Errorf("names %v", s.Names)
	}
	crc := uint32(0)
	for _, px := range s.Pixels[:200] {
		crc = crc32.Update(crc, crc32.IEEETable, px)
	}
	if crc != 1588704242 {
		t.Errorf("pixels have CRC %d, want Pillow's 1588704242", crc)
	}
	if _, err := Open(file, Train, Options{}); err == nil || !strings.Contains(err.Error(), `nothing of the split "train" in it; it has test/`) {
		t.Errorf("the other split: %v", err)
	}
}

// records are n images of a variant: the labels count up, pixel i of image k is
// k+i+7*plane.
func records(v *variant, n int) []byte {
	var b []byte
	for k := range n {
		for _, l := range v.labels {
			b = append(b, uint8(k%l.classes))
		}
		for plane := range 3 {
			for i := range Side * Side {
				b = append(b, uint8(k+i+7*plane))
			}
		}
	}
	return b
}

func namesOf(n int) []byte {
	var b bytes.Buffer
	for i := range n {
		fmt.Fprintf(&b, "name%d\n", i)
	}
	b.WriteString("\n") // as the official files end
	return b.Bytes()
}

func write(t testing.TB, dir string, files map[string][]byte) string {
	t.Helper()
	for name, b := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, b, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

type member struct {
	name string
	body []byte
	kind byte
}

func tarGz(t testing.TB, members ...member) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for _, m := range members {
		if m.kind == 0 {
			m.kind = tar.TypeReg
		}
		h := &tar.Header{Name: m.name, Mode: 0o644, Size: int64(len(m.body)), Typeflag: m.kind}
		if m.kind == tar.TypeSymlink {
			h.Linkname = "/etc/passwd"
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(m.body); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), z.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestBinaryLayouts(t *testing.T) {
	ten, hundred := &variants[0], &variants[1]
	files10 := map[string][]byte{"data_batch_2.b.bin": records(ten, 4), "data_batch_1.a.bin": records(ten, 3), "test_batch.a.bin": records(ten, 2), "batches.meta.txt": namesOf(10), "readme.html": []byte("x")}
	files100 := map[string][]byte{"train.a.bin": records(hundred, 150), "test.a.bin": records(hundred, 2), "fine_label_names.txt": namesOf(100), "coarse_label_names.txt": namesOf(20)}
	under := func(dir string, files map[string][]byte) map[string][]byte {
		out := map[string][]byte{}
		for name, b := range files {
			out[dir+"/"+name] = b
		}
		return out
	}
	archive := func(files map[string][]byte, order ...string) map[string][]byte {
		var m []member
		for _, name := range order {
			m = append(m, member{name: "top/" + name, body: files[name]})
		}
		return map[string][]byte{"a.tar.gz": tarGz(t, m...)}
	}
	for _, k := range []struct {
		name, path string
		files      map[string][]byte
		o          Options
		images     int
		classes    int
		label      func(i int) int32
	}{
		{"folder", "", files10, Options{}, 7, 10, func(i int) int32 { return []int32{0, 1, 2, 0, 1, 2, 3}[i] }},
		{"unpacked into a folder", "", under("cifar-10-batches-bin", files10), Options{}, 7, 10, nil},
		{"archive", "a.tar.gz", archive(files10, "test_batch.a.bin", "readme.html", "data_batch_2.b.bin", "data_batch_1.a.bin"), Options{}, 7, 10, nil},
		{"fine", "", files100, Options{}, 150, 100, func(i int) int32 { return int32(i % 100) }},
		{"coarse", "", files100, Options{Coarse: true}, 150, 20, func(i int) int32 { return int32(i % 20) }},
		{"archive of CIFAR-100", "a.tar.gz", archive(files100, "train.a.bin", "test.a.bin", "fine_label_names.txt", "coarse_label_names.txt"), Options{}, 150, 100, nil},
	} {
		t.Run(k.name, func(t *testing.T) {
			dir := write(t, t.TempDir(), k.files)
			s, err := Open(filepath.Join(dir, k.path), Train, k.o)
			if err != nil {
				t.Fatal(err)
			}
			if s.Len() != k.images || len(s.Names) != k.classes || s.Width != 32 || s.Height != 32 {
				t.Fatalf("%d images of %d classes, %dx%d", s.Len(), len(s.Names), s.Width, s.Height)
			}
			for i := range s.Classes {
				if k.label != nil && s.Classes[i] != k.label(i) {
					t.Errorf("image %d (%s) has class %d", i, s.Files[i], s.Classes[i])
				}
			}
			// The second file's first image, or image 3.
			at, first := 3, 3
			if k.classes == 10 {
				first = 0
			}
			px := s.Pixels[at]
			if px[0] != uint8(first) || px[1] != uint8(first+7) || px[2] != uint8(first+14) || px[3*33] != uint8(first+33) {
				t.Errorf("%s starts with %v", s.Files[at], px[:6])
			}
			if s, err := Open(filepath.Join(dir, k.path), Test, k.o); err != nil || s.Len() != 2 {
				t.Errorf("test split: %v", err)
			}
		})
	}
}

func pngFile(t testing.TB, w, h int, v uint8) []byte {
	t.Helper()
	img := image.NewNRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			img.Set(x, y, color.NRGBA{v, uint8(x), uint8(y), 255})
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestImageFolders(t *testing.T) {
	files := map[string][]byte{
		"train/b/0.png": pngFile(t, 32, 32, 20), "train/a/1.png": pngFile(t, 32, 32, 11), "train/a/0.png": pngFile(t, 32, 32, 10),
		"test/a/0.png": pngFile(t, 32, 32, 1), "train/a/notes.txt": []byte("x"),
	}
	dir := write(t, t.TempDir(), files)
	var m []member
	for name, b := range files {
		m = append(m, member{name: "./cifar/" + name, body: b})
	}
	write(t, dir, map[string][]byte{"x.tgz": tarGz(t, m...)})
	for _, path := range []string{dir, filepath.Join(dir, "x.tgz")} {
		s, err := Open(path, Train, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(s.Classes, []int32{0, 0, 1}) || !reflect.DeepEqual(s.Names, []string{"a", "b"}) || len(s.Skipped) != 1 {
			t.Errorf("classes %v, names %v, skipped %v", s.Classes, s.Names, s.Skipped)
		}
		for i, want := range []uint8{10, 11, 20} {
			if px := s.Pixels[i]; px[0] != want || px[3*33] != want || px[3*33+1] != 1 || px[3*33+2] != 1 {
				t.Errorf("%s: pixels %v", s.Files[i], px[:3])
			}
		}
	}
}

// Each error names the file, the byte where that says something, and what is
// wrong.
func TestErrors(t *testing.T) {
	ten, hundred := &variants[0], &variants[1]
	good := records(ten, 3)
	badLabel := bytes.Clone(good)
	badLabel[2*3073] = 12
	badFine := records(hundred, 2)
	badFine[3074+1] = 100
	png32 := pngFile(t, 32, 32, 0)
	for _, k := range []struct {
		name  string
		files map[string][]byte
		path  string
		o     Options
		want  string
		at    int64
	}{
		{"no such path", nil, "none", Options{}, "no such file", -1},
		{"empty folder", nil, "", Options{}, "must hold CIFAR's .bin files", -1},
		{"other file", map[string][]byte{"a.zip": {1}}, "a.zip", Options{}, "neither a folder nor", -1},
		{"label", map[string][]byte{"data_batch_x.bin": badLabel}, "", Options{}, "label 12 of image 2, need 0 to 9", 2 * 3073},
		{"fine label", map[string][]byte{"train.x.bin": badFine}, "", Options{}, "fine label 100 of image 1, need 0 to 99", 3075},
		{"rest", map[string][]byte{"data_batch_x.bin": good[:2*3073+5]}, "", Options{}, "5 are left after 2 images", 2 * 3073},
		{"empty file", map[string][]byte{"data_batch_x.bin": {}}, "", Options{}, "the file is empty", -1},
		{"truncated official file", map[string][]byte{"data_batch_1.bin": good}, "", Options{}, "9219 bytes, but data_batch_1.bin of CIFAR-10 has 30730000", -1},
		{"both variants", map[string][]byte{"data_batch_x.bin": good, "train.x.bin": records(hundred, 1)}, "", Options{}, "files of CIFAR-10 and CIFAR-100", -1},
		{"no names", map[string][]byte{"train.x.bin": records(hundred, 1)}, "", Options{}, "fine_label_names.txt with the class names is missing", -1},
		{"too few names", map[string][]byte{"data_batch_x.bin": good, "batches.meta.txt": namesOf(9)}, "", Options{}, "9 class names, need 10", -1},
		{"coarse CIFAR-10", map[string][]byte{"data_batch_x.bin": good}, "", Options{Coarse: true}, "has no superclasses", -1},
		{"both folders", map[string][]byte{"cifar-10-batches-bin/a": {1}, "cifar-100-binary/a": {1}}, "", Options{}, "both in it", -1},
		{"wrong image size", map[string][]byte{"train/a/0.png": pngFile(t, 31, 32, 0)}, "", Options{}, "31x32 pixels, need 32x32", -1},
		{"broken image", map[string][]byte{"train/a/0.png": png32[:len(png32)/2]}, "", Options{}, "0.png: truncated", -1},
		{"no image", map[string][]byte{"train/a/0.jpg": []byte("hello")}, "", Options{}, "neither a JPEG nor a PNG", -1},
		{"empty class", map[string][]byte{"train/a/0.png": png32, "train/b/x.txt": {1}}, "", Options{}, "there is no image in it", -1},
		{"path escape", map[string][]byte{"a.tgz": tarGz(t, member{name: "../data_batch_x.bin", body: good})}, "a.tgz", Options{}, "leads out of the archive", -1},
		{"absolute path", map[string][]byte{"a.tgz": tarGz(t, member{name: "/data_batch_x.bin", body: good})}, "a.tgz", Options{}, "leads out of the archive", -1},
		{"link", map[string][]byte{"a.tgz": tarGz(t, member{name: "data_batch_x.bin", kind: tar.TypeSymlink})}, "a.tgz", Options{}, "not a regular file", -1},
		{"truncated archive", map[string][]byte{"a.tgz": tarGz(t, member{name: "data_batch_x.bin", body: records(ten, 40)})[:200]}, "a.tgz", Options{}, "a.tgz", -2},
		{"not gzip", map[string][]byte{"a.tar.gz": []byte("hello, world")}, "a.tar.gz", Options{}, "damaged", -1},
		{"nothing", map[string][]byte{"a.tar.gz": {}}, "a.tar.gz", Options{}, "nothing in the archive", -1},
		{"bad member", map[string][]byte{"a.tgz": tarGz(t, member{name: "x/data_batch_x.bin", body: badLabel})}, "a.tgz", Options{}, "x/data_batch_x.bin: byte 6146", 2 * 3073},
		{"twice", map[string][]byte{"a.tgz": tarGz(t, member{name: "train/a/0.png", body: png32}, member{name: "train/a/0.png", body: png32})}, "a.tgz", Options{}, "there twice", -1},
		{"two forms", map[string][]byte{"a.tgz": tarGz(t, member{name: "train/a/0.png", body: png32}, member{name: "data_batch_x.bin", body: good})}, "a.tgz", Options{}, "binary files and image files", -1},
	} {
		t.Run(k.name, func(t *testing.T) {
			dir := write(t, t.TempDir(), k.files)
			_, err := Open(filepath.Join(dir, k.path), Train, k.o)
			var in *classes.InputError
			if !errors.As(err, &in) || !strings.Contains(err.Error(), k.want) {
				t.Fatalf("error %v, want one with %q", err, k.want)
			}
			if k.at > -2 && in.Offset != k.at {
				t.Errorf("offset %d, want %d: %v", in.Offset, k.at, err)
			}
			if !strings.Contains(err.Error(), dir) {
				t.Errorf("no path in %v", err)
			}
		})
	}
	if _, err := Open(t.TempDir(), "val", Options{}); err == nil || !strings.Contains(err.Error(), "train and test") {
		t.Errorf("split val: %v", err)
	}
}

// Official names with official sizes: all five batches or none.
func TestOfficialFiles(t *testing.T) {
	if testing.Short() {
		t.Skip("writes 60 MB")
	}
	dir := t.TempDir()
	full := records(&variants[0], 10000)
	write(t, dir, map[string][]byte{"data_batch_1.bin": full, "test_batch.bin": full})
	if s, err := Open(dir, Test, Options{}); err != nil || s.Len() != 10000 {
		t.Errorf("test batch: %v", err)
	}
	if _, err := Open(dir, Train, Options{}); err == nil || !strings.Contains(err.Error(), "data_batch_2.bin is missing") {
		t.Errorf("one batch of five: %v", err)
	}
	write(t, dir, map[string][]byte{"data_batch_1.part.bin": records(&variants[0], 3)})
	if _, err := Open(dir, Train, Options{}); err == nil || !strings.Contains(err.Error(), "may repeat their images") {
		t.Errorf("official and part: %v", err)
	}
}
