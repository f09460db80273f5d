package cifar

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"manvision/data/augment"
	"manvision/data/classes"
)

// checkAny opens a file or folder with given contents: a set that holds what it
// promises, or an InputError.
func checkAny(t *testing.T, path string, o Options) {
	t.Helper()
	for _, split := range []string{Train, Test} {
		s, err := Open(path, split, o)
		if err != nil {
			var in *classes.InputError
			if !errors.As(err, &in) {
				t.Fatalf("%T: %v", err, err)
			}
			continue
		}
		if s.Len() == 0 {
			t.Fatal("an empty set")
		}
		if err := s.Validate(); err != nil {
			t.Fatal(err)
		}
	}
}

// corpus are small whole archives and what goes wrong with them.
func corpus(t testing.TB) [][]byte {
	ten, hundred := &variants[0], &variants[1]
	return [][]byte{
		tarGz(t, member{name: "data_batch_x.bin", body: records(ten, 3)}, member{name: "test_batch.x.bin", body: records(ten, 1)}, member{name: "batches.meta.txt", body: namesOf(10)}),
		tarGz(t, member{name: "a/train.x.bin", body: records(hundred, 2)}, member{name: "a/fine_label_names.txt", body: namesOf(100)}, member{name: "a/coarse_label_names.txt", body: namesOf(20)}),
		tarGz(t, member{name: "train/a/0.png", body: pngFile(t, 32, 32, 1)}, member{name: "test/a/0.png", body: pngFile(t, 32, 32, 1)}),
		tarGz(t), {}, {0x1f, 0x8b}, make([]byte, 1024),
	}
}

func FuzzArchive(f *testing.F) {
	for _, b := range corpus(f) {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		path := filepath.Join(t.TempDir(), "a.tar.gz")
		if err := os.WriteFile(path, b, 0o666); err != nil {
			t.Fatal(err)
		}
		checkAny(t, path, Options{})
	})
}

func FuzzBinary(f *testing.F) {
	for i := range variants {
		b := records(&variants[i], 2)
		f.Add(b, i == 1, int64(len(b)))
		f.Add(b[:len(b)-1], i == 1, int64(len(b)))
		f.Add([]byte{}, i == 1, int64(1)<<40)
	}
	f.Fuzz(func(t *testing.T, b []byte, hundred bool, size int64) {
		v := &variants[0]
		if hundred {
			v = &variants[1]
		}
		p, err := readPart(v, Train, "x", "x.bin", max(size, 0), bytes.NewReader(b))
		if err != nil {
			var in *classes.InputError
			if !errors.As(err, &in) {
				t.Fatalf("%T: %v", err, err)
			}
			return
		}
		if n := len(p.labels[0]); n == 0 || len(p.pixels) != n*Side*Side*3 || int64(n*v.record()) != size {
			t.Fatalf("%d labels, %d bytes of pixels of a file of %d", n, len(p.pixels), size)
		}
	})
}

// Random changes to whole files, for two seconds: what FuzzArchive and FuzzBinary
// check, wherever the tests run.
func TestMutations(t *testing.T) {
	seeds := corpus(t)
	// Unpacked forms, so that changes get past the gzip checksum.
	plain := map[string][]byte{"data_batch_x.bin": records(&variants[0], 2), "batches.meta.txt": namesOf(10), "train/a/0.png": pngFile(t, 32, 32, 9)}
	dir := t.TempDir()
	r := augment.NewRandom(2)
	mutate := func(b []byte) []byte {
		b = bytes.Clone(b)
		for range 1 + r.Intn(4) {
			if len(b) == 0 {
				return []byte{uint8(r.Uint64())}
			}
			switch at := r.Intn(len(b)); r.Intn(4) {
			case 0:
				b[at] = uint8(r.Uint64())
			case 1:
				b = b[:at]
			case 2:
				b = append(b[:at:at], b[min(len(b), at+1+r.Intn(600)):]...)
			case 3:
				b = append(b, b[at:min(len(b), at+3073)]...)
			}
		}
		return b
	}
	n := 0
	for end := time.Now().Add(2 * time.Second); time.Now().Before(end); n++ {
		path := filepath.Join(dir, "a.tar.gz")
		if n%2 == 0 {
			if err := os.WriteFile(path, mutate(seeds[r.Intn(len(seeds))]), 0o666); err != nil {
				t.Fatal(err)
			}
			checkAny(t, path, Options{})
			continue
		}
		for name, b := range plain {
			sub := filepath.Join(dir, "folder")
			write(t, sub, map[string][]byte{name: mutate(b)})
			checkAny(t, sub, Options{})
			if err := os.RemoveAll(sub); err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Logf("%d changed files", n)
}

// A file whose archive says it is huge costs no memory that it does not fill, and
// every truncation is an error.
func TestTruncations(t *testing.T) {
	whole := corpus(t)[0]
	path := filepath.Join(t.TempDir(), "a.tar.gz")
	for percent := range 100 {
		if err := os.WriteFile(path, whole[:len(whole)*percent/100], 0o666); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(path, Train, Options{}); err == nil {
			t.Errorf("the first %d %% of the archive are taken for the whole", percent)
		}
	}
	b := records(&variants[0], 2)
	if allocated := testing.Benchmark(func(b2 *testing.B) {
		b2.ReportAllocs()
		for range b2.N {
			if _, err := readPart(&variants[0], Train, "x", "x.bin", 3073*(1<<20), bytes.NewReader(b)); err == nil {
				b2.Fatal("no error")
			}
		}
	}).AllocedBytesPerOp(); allocated > 4<<20 {
		t.Errorf("%d bytes allocated for a file of 6 kB that claims 3 GB", allocated)
	}
}
