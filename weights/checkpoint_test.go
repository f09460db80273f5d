package weights

import (
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func sample(step int64, score float64) *Checkpoint {
	c := &Checkpoint{
		Meta: Meta{
			Identity: Identity{Task: "detection", Backbone: "resnet18", Width: 64, Classes: 5, Strategy: "manpp", Partition: []string{"layer1.1"}},
			Step:     step, Epoch: 3, Metrics: Metrics{"AP50": score, "APl": math.NaN()},
			Sampler: json.RawMessage(`{"position":17}`), RNG: json.RawMessage(`{"seed":18446744073709551615}`), IDMap: json.RawMessage(`[{"id":1,"label":0,"name":"é<&>"}]`),
			Config: "optim:\n  lr: 0.1 # <x>\n",
		},
		Params:    []Tensor{{Name: "conv.weight", Shape: []int{2, 1, 1, 2}, Data: []float32{1, -0.5, float32(math.NaN()), 3e-45}}, {Name: "ema_s.0", Shape: []int{}, Data: []float32{float32(step)}}},
		Buffers:   []Tensor{{Name: "bn.running_mean", Shape: []int{1}, Data: []float32{7}}},
		Optimizer: []Tensor{{Name: "momentum_buffer/conv.weight", Shape: []int{4}, F64: []float64{1, 2, 3, 4}}, {Name: "step", Shape: []int{1}, I64: []int64{9}}},
	}
	if score >= 0 {
		c.Meta.Score = &score
	}
	return c
}

var sameState = cmp.Options{cmpopts.EquateNaNs(), cmpopts.SortSlices(func(a, b Tensor) bool { return a.Name < b.Name })}

func TestCheckpointRoundTrip(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.safetensors")
	want := sample(1200, 0.5)
	if err := Save(path, want); err != nil {
		t.Fatal(err)
	}
	got, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	want.Meta.Format = FormatVersion
	if d := cmp.Diff(want, got, sameState); d != "" {
		t.Error(d)
	}
	for i, x := range want.Params[0].Data { // bit for bit, NaN too
		for _, p := range got.Params {
			if p.Name == want.Params[0].Name && math.Float32bits(p.Data[i]) != math.Float32bits(x) {
				t.Error(i, x, p.Data[i])
			}
		}
	}
	few, err := LoadParams(path)
	if err != nil || len(few.Params) != 2 || len(few.Buffers) != 1 || few.Optimizer != nil || few.Meta.Step != 1200 {
		t.Errorf("%+v %v", few, err)
	}
	var readable Meta
	text, err := os.ReadFile(filepath.Join(filepath.Dir(path), "a.json"))
	if err == nil {
		err = json.Unmarshal(text, &readable)
	}
	if err != nil || readable.Step != 1200 || !strings.Contains(string(text), "\n  \"step\": 1200,\n") {
		t.Error(err, string(text))
	}
	nan := math.NaN()
	want.Meta.Score = &nan
	if err := Save(path, want); err != nil {
		t.Errorf("a NaN score: %v", err)
	}
}

func TestLoadRefuses(t *testing.T) {
	dir := t.TempDir()
	plain, future, broken := filepath.Join(dir, "plain.safetensors"), filepath.Join(dir, "future.safetensors"), filepath.Join(dir, "broken.safetensors")
	for path, meta := range map[string]map[string]string{plain: nil, future: {checkpointKey: `{"format":99}`}, broken: {checkpointKey: `{"format":`}} {
		if err := WriteFile(path, nil, meta); err != nil {
			t.Fatal(err)
		}
	}
	for path, want := range map[string]string{plain: "use the file as model.pretrained", future: "checkpoint format 99", broken: "checkpoint metadata"} {
		if _, err := Load(path); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Error(err)
		}
	}
	if err := Save(filepath.Join(dir, "a.pth"), sample(1, 0)); err == nil {
		t.Error("saves as .pth")
	}
	bad := sample(1, 0)
	bad.Meta.RNG = json.RawMessage("{")
	if err := Save(filepath.Join(dir, "a.safetensors"), bad); err == nil {
		t.Error("saves broken JSON")
	}
}

// limited fails with "no space left on device" after n bytes, and then on Sync.
type limited struct {
	tempFile
	left int
}

func (l *limited) Write(b []byte) (int, error) {
	if len(b) > l.left {
		n, _ := l.tempFile.Write(b[:l.left])
		l.left = 0
		return n, syscall.ENOSPC
	}
	l.left -= len(b)
	return l.tempFile.Write(b)
}

func TestFullDiskKeepsTheOldCheckpoint(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.safetensors")
	if err := Save(path, sample(1, 0.1)); err != nil {
		t.Fatal(err)
	}
	before := snapshot(t, dir)
	real := createTemp
	t.Cleanup(func() { createTemp = real })
	big := sample(2, 0.2)
	big.Params = append(big.Params, Tensor{Name: "big", Shape: []int{1 << 18}, Data: make([]float32, 1<<18)})
	failed := 0
	for _, room := range []int{0, 1, 8, 500, 4096, 1 << 19, 1<<20 + 100, 1 << 30} {
		for _, part := range []string{".safetensors.", ".json."} {
			createTemp = func(p string) (tempFile, error) {
				f, err := real(p)
				if err == nil && strings.Contains(p, part) {
					return &limited{f, room}, nil
				}
				return f, err
			}
			err := Save(path, big)
			if err == nil {
				if room < 1<<20 && part == ".safetensors." {
					t.Errorf("%d bytes of room suffice", room)
				}
				before = snapshot(t, dir)
				continue
			}
			failed++
			if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "no space left on device (what was saved before is untouched)") || !strings.Contains(err.Error(), dir) {
				t.Error(err)
			}
			if d := cmp.Diff(before, snapshot(t, dir)); d != "" {
				t.Errorf("room %d, %s: %s", room, part, d)
			}
		}
	}
	if failed < 8 {
		t.Errorf("only %d saves failed", failed)
	}
	createTemp = func(string) (tempFile, error) { return nil, &os.PathError{Op: "open", Path: "x", Err: syscall.EROFS} }
	if err := Save(path, big); !errors.Is(err, syscall.EROFS) {
		t.Error(err)
	}
}

func snapshot(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		out[e.Name()] = string(b)
	}
	return out
}

func TestSaveIntoMissingFolder(t *testing.T) {
	err := Save(filepath.Join(t.TempDir(), "none", "a.safetensors"), sample(1, 0))
	if !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

func TestFolderKeeps(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "checkpoints")
	f, err := OpenFolder(dir, 2)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := f.Last(); ok {
		t.Error("an empty folder has a last checkpoint")
	}
	names := func() string {
		var out []string
		for n := range snapshot(t, dir) {
			if strings.HasPrefix(n, "step-") && strings.HasSuffix(n, ".safetensors") {
				out = append(out, strings.TrimLeft(strings.TrimSuffix(strings.TrimPrefix(n, "step-"), ".safetensors"), "0"))
			}
		}
		slices.Sort(out)
		return strings.Join(out, " ")
	}
	target := func(link string) string {
		s, err := os.Readlink(filepath.Join(dir, link))
		if err != nil {
			return "none"
		}
		return s
	}
	// A score of -1 stands for none. Expected files by hand: last, best and the
	// keep best of the others.
	for _, s := range []struct {
		step       int64
		score      float64
		keep, best string
	}{
		{1, -1, "1", "none"},
		{2, -1, "1 2", "none"},
		{3, -1, "1 2 3", "none"},
		{4, -1, "2 3 4", "none"},
		{5, 0.5, "3 4 5", stepName(5)}, // last and best are one: the two newest others
	} {
		if _, err := f.Save(sample(s.step, s.score)); err != nil {
			t.Fatal(err)
		}
		if got := names(); got != s.keep || target(BestName) != s.best || target(LastName) != stepName(s.step) {
			t.Errorf("after %d: %s, best %s, last %s; want %s, %s", s.step, got, target(BestName), target(LastName), s.keep, s.best)
		}
	}
	// Another process goes on: scores are read from the files, litter goes.
	litter := filepath.Join(dir, ".step-00000009.safetensors.1"+tempSuffix)
	if err := os.WriteFile(litter, []byte("half"), 0o666); err != nil {
		t.Fatal(err)
	}
	if f, err = OpenFolder(dir, 1); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(litter); err == nil {
		t.Error("half written file stays")
	}
	for _, s := range []struct {
		step  int64
		score float64
		keep  string
	}{{6, 0.4, "4 5 6"}, {7, 0.3, "5 6 7"}, {8, 0.6, "5 8"}, {9, math.NaN(), "5 8 9"}, {8, 0.1, "5 8 9"}} {
		if _, err := f.Save(sample(s.step, s.score)); err != nil {
			t.Fatal(err)
		}
		if got := names(); got != s.keep {
			t.Errorf("after %d: %s, want %s", s.step, got, s.keep)
		}
	}
	if target(BestName) != stepName(5) || target(LastName) != stepName(8) {
		t.Error(target(BestName), target(LastName))
	}
	last, ok := f.Last()
	c, err := Load(last)
	if !ok || err != nil || c.Meta.Step != 8 {
		t.Error(last, err)
	}
	os.Remove(filepath.Join(dir, LastName))
	if last, ok := f.Last(); !ok || last != f.Path(8) && last != f.Path(9) {
		t.Error(last)
	}
	if err := os.WriteFile(filepath.Join(dir, stepName(77)), []byte("damaged"), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenFolder(dir, 1); err == nil || !strings.Contains(err.Error(), "move the file away") {
		t.Error(err)
	}
}

// A disk that is really full: a tmpfs of 1 MB, where the test may mount one.
func TestFullTmpfs(t *testing.T) {
	dir := t.TempDir()
	if runtime.GOOS != "linux" || os.Getuid() != 0 {
		t.Skip("needs root on Linux")
	}
	if err := mountTmpfs(dir); err != nil {
		t.Skipf("cannot mount a tmpfs: %v", err)
	}
	t.Cleanup(func() { unmount(dir) })
	f, err := OpenFolder(dir, 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Save(sample(1, 0.1)); err != nil {
		t.Fatal(err)
	}
	big := sample(2, 0.2)
	big.Params = append(big.Params, Tensor{Name: "big", Shape: []int{1 << 19}, Data: make([]float32, 1<<19)})
	before := snapshot(t, dir)
	if _, err := f.Save(big); !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	if d := cmp.Diff(before, snapshot(t, dir)); d != "" {
		t.Error(d)
	}
	if _, err := f.Save(sample(3, 0.3)); err != nil {
		t.Error(err)
	}
}
