package tensorboard

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// crcByBits is CRC-32C by its definition: the reflected polynomial 0x82f63b78, bit by bit.
func crcByBits(b []byte) uint32 {
	c := ^uint32(0)
	for _, x := range b {
		c ^= uint32(x)
		for range 8 {
			c = c>>1 ^ 0x82f63b78*(c&1)
		}
	}
	return ^c
}

// unmask inverts TensorFlow's masking of a checksum.
func unmask(m uint32) uint32 {
	r := m - 0xa282ead8
	return r>>17 | r<<15
}

// records splits an event file into its records and checks both checksums of each.
func records(t *testing.T, path string) [][]byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var out [][]byte
	for len(b) > 0 {
		n := int(binary.LittleEndian.Uint64(b))
		if got, want := unmask(binary.LittleEndian.Uint32(b[8:])), crcByBits(b[:8]); got != want {
			t.Fatalf("checksum of the length %x, want %x", got, want)
		}
		data := b[12 : 12+n]
		if got, want := unmask(binary.LittleEndian.Uint32(b[12+n:])), crcByBits(data); got != want {
			t.Fatalf("checksum of the data %x, want %x", got, want)
		}
		out = append(out, data)
		b = b[16+n:]
	}
	return out
}

// The bytes of the messages are those that protoc's field numbers and wire types give,
// by hand. 0xe3069283 is the check value of CRC-32C in the catalogue of CRCs, and RFC
// 3720 B.4 has 0x8a9136aa for 32 zeros.
func TestFraming(t *testing.T) {
	if crcByBits([]byte("123456789")) != 0xe3069283 || crcByBits(make([]byte, 32)) != 0x8a9136aa {
		t.Fatal("the test's own checksum is wrong")
	}
	dir := t.TempDir()
	w, err := create(dir, 0, func() time.Time { return time.Unix(1, 5e8) })
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Add(300, []Scalar{{"a/b", 1}, {"c", -2}}); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	files, _ := filepath.Glob(filepath.Join(dir, "events.out.tfevents.0000000001.*"))
	if len(files) != 1 {
		t.Fatal(files)
	}
	wall := "\x09\x00\x00\x00\x00\x00\x00\xf8\x3f" // 1.5
	want := []string{
		wall + "\x1a\x0dbrain.Event:2",
		wall + "\x10\xac\x02" + "\x2a\x16" + "\x0a\x0a\x0a\x03a/b\x15\x00\x00\x80\x3f" + "\x0a\x08\x0a\x01c\x15\x00\x00\x00\xc0",
	}
	got := records(t, files[0])
	if len(got) != len(want) {
		t.Fatalf("%d records", len(got))
	}
	for i := range want {
		if string(got[i]) != want[i] {
			t.Errorf("record %d is %q, want %q", i, got[i], want[i])
		}
	}
}

// TensorBoard's own reader sees what was written, and drops what a first run wrote
// beyond the step from which a second went on.
func TestReadByTensorBoard(t *testing.T) {
	python := os.Getenv("MANVISION_TENSORBOARD_PYTHON")
	if python == "" {
		python = "python3"
	}
	if err := exec.Command(python, "-c", "import tensorboard").Run(); err != nil {
		t.Skipf("%s has no tensorboard (MANVISION_TENSORBOARD_PYTHON names one that has): %v", python, err)
	}
	dir := t.TempDir()
	value := func(run, step int) float64 { return float64(run) + 1/float64(step) }
	for run, steps := range [][]int{{1, 2, 3, 4, 5}, {4, 5, 6}} {
		w, err := Create(dir, int64(steps[0]-1))
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range steps {
			if err := w.Add(int64(s), []Scalar{{"loss/block1", value(run, s)}, {"train/lr", 0.5}}); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(python, "testdata/read_events.py", dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var got map[string][][2]float64
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	want := map[string][][2]float64{}
	for s := 1; s <= 6; s++ {
		run := 0
		if s >= 4 {
			run = 1
		}
		want["loss/block1"] = append(want["loss/block1"], [2]float64{float64(s), value(run, s)})
		want["train/lr"] = append(want["train/lr"], [2]float64{float64(s), 0.5})
	}
	near := cmp.Comparer(func(a, b float64) bool { return math.Abs(a-b) <= 1e-6 })
	if d := cmp.Diff(want, got, near); d != "" {
		t.Error(d)
	}
}
