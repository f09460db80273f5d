package imagenet

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"manvision/data/classes"
)

func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

var tree = map[string]string{
	"train/n02/x.JPEG": "", "train/n01/b.JPEG": "", "train/n01/a.JPEG": "", "train/n03/a.JPEG": "", "train/n03/notes.txt": "",
	"val/n01/v1.JPEG": "", "val/n03/v2.JPEG": "", "val/n02/v3.JPEG": "",
	"LOC_synset_mapping.txt": "n01 tench, Tinca tinca\nn03 a \"third\"\nn02 goldfish\n",
	"flat/1.JPEG":            "", "flat/2.JPEG": "", "flat/10.JPEG": "", "flat/list.txt": "",
	"gt/names.txt": "2.JPEG 2\n10.JPEG 0\n1.JPEG 1\n",
	"gt/bare.txt":  "3\n1\n2\n", // for 1.JPEG, 10.JPEG, 2.JPEG
	"gt/ids.txt":   "n03 1 third\nn01 2 tench\nn02 3 goldfish\nn99 4 not here\n",
}

func base(s *classes.Set) []string {
	var out []string
	for i, f := range s.Files {
		out = append(out, filepath.Base(f)+" "+s.Folders[s.Classes[i]])
	}
	return out
}

func TestFolders(t *testing.T) {
	root := write(t, tree)
	s, err := Open(root, "train", Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := base(s), []string{"a.JPEG n01", "b.JPEG n01", "x.JPEG n02", "a.JPEG n03"}; !reflect.DeepEqual(got, want) {
		t.Errorf("train is %q, want %q", got, want)
	}
	if want := []string{"tench, Tinca tinca", "goldfish", `a "third"`}; !reflect.DeepEqual(s.Names, want) || len(s.Skipped) != 1 {
		t.Errorf("names %q, want %q; skipped %q", s.Names, want, s.Skipped)
	}
	if s, err = Open(root, "val", Options{Classes: []string{"n03", "n01", "n02"}}); err != nil || !reflect.DeepEqual(s.Classes, []int32{0, 1, 2}) {
		t.Errorf("classes of a list: %v, %v", s.Classes, err)
	}
}

// A class that validation lacks does not renumber those after it.
func TestClassesComeFromTraining(t *testing.T) {
	root := write(t, tree)
	if err := os.RemoveAll(filepath.Join(root, "val/n01")); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(root, "val", Options{}); err == nil || !strings.Contains(err.Error(), "n01: the folder of a class is missing") {
		t.Errorf("a missing class: %v", err)
	}
	s, err := Open(root, "val", Options{AllowEmpty: true})
	if err != nil || !reflect.DeepEqual(base(s), []string{"v3.JPEG n02", "v2.JPEG n03"}) || !reflect.DeepEqual(s.Classes, []int32{1, 2}) {
		t.Errorf("%q, classes %v, %v", base(s), s.Classes, err)
	}
	if err := os.Mkdir(filepath.Join(root, "val/n77"), 0o777); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(root, "val", Options{AllowEmpty: true}); err == nil || !strings.Contains(err.Error(), "none of the 3 classes") {
		t.Errorf("a class that training lacks: %v", err)
	}
}

func TestFlat(t *testing.T) {
	root := write(t, tree)
	s, err := Open(root, "flat", Options{GroundTruth: filepath.Join(root, "gt/names.txt")})
	if want := []string{"2.JPEG n03", "10.JPEG n01", "1.JPEG n02"}; err != nil || !reflect.DeepEqual(base(s), want) {
		t.Fatalf("file names and classes: %q, want %q (%v)", base(s), want, err)
	}
	s, err = Open(root, "flat", Options{GroundTruth: filepath.Join(root, "gt/bare.txt"), IDs: filepath.Join(root, "gt/ids.txt")})
	if want := []string{"1.JPEG n02", "10.JPEG n03", "2.JPEG n01"}; err != nil || !reflect.DeepEqual(base(s), want) {
		t.Fatalf("ids: %q, want %q (%v)", base(s), want, err)
	}
	if len(s.Skipped) != 1 {
		t.Errorf("skipped %q", s.Skipped)
	}
}

func TestErrors(t *testing.T) {
	for _, k := range []struct {
		name, split string
		change      map[string]string
		o           Options
		want        string
	}{
		{"no split", "test", nil, Options{}, "no such folder"},
		{"empty class", "val", map[string]string{"train/n04/a.JPEG": "", "val/n04/x.txt": "", "LOC_synset_mapping.txt": "n01 a\nn02 b\nn03 c\nn04 d"}, Options{}, "there is no image in it"},
		{"split path", "../val", nil, Options{}, "not the name of a folder"},
		{"flat without classes", "flat", nil, Options{}, "3 images lie in it without class folders"},
		{"name missing", "train", map[string]string{"LOC_synset_mapping.txt": "n01 a\nn02 b"}, Options{}, "no line for class folder n03"},
		{"name empty", "train", map[string]string{"LOC_synset_mapping.txt": "n01 a\nn02\nn03 c"}, Options{}, "line 2 is \"n02\""},
		{"name twice", "train", map[string]string{"LOC_synset_mapping.txt": "n01 a\nn02 b\nn01 c"}, Options{}, "line 3 names class folder n01 again"},
		{"names file missing", "train", nil, Options{Names: "none.txt"}, "none.txt: no such file"},
		{"bare without ids", "flat", nil, Options{GroundTruth: "gt/bare.txt"}, "not in the order of the class folders"},
		{"bare count", "flat", map[string]string{"gt/bare.txt": "1\n2\n"}, Options{GroundTruth: "gt/bare.txt", IDs: "gt/ids.txt"}, "2 lines for 3 images"},
		{"bare id", "flat", map[string]string{"gt/bare.txt": "1\n2\n4\n"}, Options{GroundTruth: "gt/bare.txt", IDs: "gt/ids.txt"}, "line 3: id 4 is not in"},
		{"ids twice", "flat", map[string]string{"gt/ids.txt": "n01\nn01\n"}, Options{GroundTruth: "gt/bare.txt", IDs: "gt/ids.txt"}, "both n01"},
		{"class range", "flat", map[string]string{"gt/names.txt": "1.JPEG 3\n"}, Options{GroundTruth: "gt/names.txt"}, "line 1: class 3, need 0 to 2"},
		{"no number", "flat", map[string]string{"gt/names.txt": "1.JPEG x\n"}, Options{GroundTruth: "gt/names.txt"}, "is no number"},
		{"three fields", "flat", map[string]string{"gt/names.txt": "1.JPEG 1 2\n"}, Options{GroundTruth: "gt/names.txt"}, "must be a file name"},
		{"image missing", "flat", map[string]string{"gt/names.txt": "2.JPEG 2\n10.JPEG 0\n1.JPEG 1\n3.JPEG 1"}, Options{GroundTruth: "gt/names.txt"}, "3.JPEG: no such image; line 4"},
		{"line missing", "flat", map[string]string{"gt/names.txt": "2.JPEG 2\n10.JPEG 0\n"}, Options{GroundTruth: "gt/names.txt"}, "1.JPEG: there is no line"},
		{"line twice", "flat", map[string]string{"gt/names.txt": "2.JPEG 2\n2.JPEG 0\n"}, Options{GroundTruth: "gt/names.txt"}, "again, as in line 1"},
		{"empty text", "flat", map[string]string{"gt/names.txt": "\n"}, Options{GroundTruth: "gt/names.txt"}, "the file is empty"},
	} {
		t.Run(k.name, func(t *testing.T) {
			files := map[string]string{}
			for name, text := range tree {
				files[name] = text
			}
			for name, text := range k.change {
				files[name] = text
			}
			root := write(t, files)
			for _, p := range []*string{&k.o.GroundTruth, &k.o.IDs, &k.o.Names} {
				if *p != "" {
					*p = filepath.Join(root, *p)
				}
			}
			_, err := Open(root, k.split, k.o)
			if err == nil || !strings.Contains(err.Error(), k.want) {
				t.Fatalf("error %v, want one with %q", err, k.want)
			}
			var in *classes.InputError
			if k.name != "split path" && !errors.As(err, &in) {
				t.Errorf("%T", err)
			}
		})
	}
	root := write(t, tree)
	if err := os.RemoveAll(filepath.Join(root, "train")); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(root, "flat", Options{GroundTruth: filepath.Join(root, "gt/names.txt")}); err == nil || !strings.Contains(err.Error(), "are not known") {
		t.Errorf("no class list: %v", err)
	}
	if s, err := Open(root, "val", Options{}); err != nil || s.Len() != 3 {
		t.Errorf("validation alone: %v", err)
	}
}
