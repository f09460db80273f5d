package stl

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"manvision/data/classes"
)

// images are n pictures in the layout: R is the column, G the row, B the number.
func images(n int) []byte {
	var b []byte
	for k := range n {
		for plane := range 3 {
			for x := range Side {
				for y := range Side {
					b = append(b, []uint8{uint8(x), uint8(y), uint8(k)}[plane])
				}
			}
		}
	}
	return b
}

func write(t *testing.T, files map[string][]byte) string {
	t.Helper()
	dir := t.TempDir()
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

func TestOpen(t *testing.T) {
	for _, sub := range []string{"", "stl10_binary/"} {
		root := write(t, map[string][]byte{
			sub + "train_X.bin": images(3), sub + "train_y.bin": {10, 1, 7},
			sub + "test_X.bin": images(1), sub + "test_y.bin": {2},
			sub + "class_names.txt": []byte(strings.Join(names, "\n") + "\n"),
		})
		s, err := Open(root, "train")
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Validate(); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(s.Classes, []int32{9, 0, 6}) || s.Names[9] != "truck" {
			t.Errorf("classes %v of %v", s.Classes, s.Names)
		}
		for _, at := range [][2]int{{0, 0}, {5, 80}, {95, 1}} {
			px := s.Pixels[2][3*(at[1]*Side+at[0]):]
			if px[0] != uint8(at[0]) || px[1] != uint8(at[1]) || px[2] != 2 {
				t.Errorf("pixel %v is %v", at, px[:3])
			}
		}
		if s, err := Open(root, "test"); err != nil || s.Len() != 1 || s.Classes[0] != 1 {
			t.Errorf("test: %v", err)
		}
	}
}

func TestErrors(t *testing.T) {
	good := map[string][]byte{"train_X.bin": images(2), "train_y.bin": {10, 1}}
	for want, change := range map[string]map[string][]byte{
		"byte 1: label 11 of image 1": {"train_y.bin": {10, 11}},
		"byte 0: label 0 of image 0":  {"train_y.bin": {0, 1}},
		"the file is empty":           {"train_y.bin": {}},
		"55295 bytes, but there are labels for 2 images of 27648 bytes, 55296 in all": {"train_X.bin": images(2)[1:]},
		"55296 bytes, but there are labels for 3 images":                              {"train_y.bin": {10, 1, 1}},
		"1 class names, need 10": {"class_names.txt": []byte("x")},
		"unpacked into":          {"train_y.bin": nil},
	} {
		files := map[string][]byte{}
		for name, b := range good {
			files[name] = b
		}
		for name, b := range change {
			if files[name] = b; b == nil {
				delete(files, name)
			}
		}
		_, err := Open(write(t, files), "train")
		var in *classes.InputError
		if !errors.As(err, &in) || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
	if _, err := Open(t.TempDir(), "unlabeled"); err == nil || !strings.Contains(err.Error(), "train and test") {
		t.Errorf("unlabelled: %v", err)
	}
}
