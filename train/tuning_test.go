package train

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"manvision/device"
	"manvision/device/ref"
)

// force changes every choice of a file to a way that was timed and not taken.
func force(t *testing.T, path string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var f map[string]any
	if err := json.Unmarshal(b, &f); err != nil {
		t.Fatal(err)
	}
	changed := 0
	for _, c := range f["choices"].([]any) {
		c := c.(map[string]any)
		for _, w := range []string{"blocked", "product", "winograd", "direct"} {
			if _, timed := c["seconds"].(map[string]any)[w]; timed && w != c["way"] {
				c["way"] = w
				changed++
				break
			}
		}
	}
	if b, err = json.Marshal(f); err != nil || changed < 10 {
		t.Fatal(changed, err)
	}
	if err := os.WriteFile(path, b, 0o666); err != nil {
		t.Fatal(err)
	}
}

// Choices of the user's file decide a run, which keeps them: resumed, it equals one that
// was not interrupted, also without the user's file. Without its own it is refused.
func TestTuning(t *testing.T) {
	cache := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", cache)
	root := t.TempDir()
	var said []string
	run := func(name string, o Options, sets ...string) (*Result, error) {
		o.Open = openCPU
		said = nil
		o.Say = func(text string) { said = append(said, text) }
		return Run(context.Background(), recipe(t, root, filepath.Join(root, name), sets...), o)
	}
	choices := func(name string) []byte {
		b, err := os.ReadFile(filepath.Join(root, name, tuningJSON))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	const on = "tune=true"
	if _, err := run("first", Options{StopAfter: 1}, on); !errors.Is(err, ErrInterrupted) {
		t.Fatal(err)
	}
	if all := strings.Join(said, "\n"); !strings.Contains(all, " shapes timed in ") || !strings.Contains(all, "kept in "+cache) {
		t.Error(all)
	}
	files, err := filepath.Glob(filepath.Join(cache, "manvision", "*.json"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	force(t, files[0])
	whole, err := run("whole", Options{}, on)
	if err != nil {
		t.Fatal(err)
	}
	if all := strings.Join(said, "\n"); !strings.Contains(all, "tuning: 0 shapes timed") {
		t.Error(all)
	}
	if bytes.Equal(choices("whole"), choices("first")) {
		t.Error("the file's choices are not used")
	}
	if _, err := run("halves", Options{StopAfter: 3}, on); !errors.Is(err, ErrInterrupted) {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(cache, "manvision")); err != nil {
		t.Fatal(err)
	}
	kept := choices("halves")
	halves, err := run("halves", Options{Resume: true}, on)
	if err != nil {
		t.Fatal(err)
	}
	same(t, whole.Checkpoint, halves.Checkpoint)
	if !bytes.Equal(choices("whole"), choices("halves")) {
		t.Errorf("choices of the whole run\n%s\nand of the resumed one\n%s\nthat began with\n%s", choices("whole"), choices("halves"), kept)
	}

	var refused *PolicyError
	if _, err := run("first", Options{Resume: true, StopAfter: 2}); !errors.As(err, &refused) || refused.Needs != ResumeLR || !strings.Contains(err.Error(), "tune: true -> false") {
		t.Errorf("resumed by rule: %v", err)
	}
	own := filepath.Join(root, "first", tuningJSON)
	if err := os.WriteFile(own, []byte("{"), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := run("first", Options{Resume: true, StopAfter: 2}, on); err == nil || !strings.Contains(err.Error(), own+": no file of choices") {
		t.Errorf("broken choices: %v", err)
	}
	if err := os.Remove(own); err != nil {
		t.Fatal(err)
	}
	if _, err := run("first", Options{Resume: true, StopAfter: 2}, on); !errors.As(err, &refused) || refused.Needs != ResumeLR || !strings.Contains(err.Error(), "tuning.json: the run's choices -> missing") {
		t.Errorf("without its choices: %v", err)
	}
	if _, err := run("first", Options{Resume: true, StopAfter: 2, Policy: ResumeLR}, on); !errors.Is(err, ErrInterrupted) {
		t.Errorf("without its choices, policy lr: %v", err)
	}
}

// A plan keeps what it has timed in the user's file, for the next and for the run.
func TestTuningPlan(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	root := t.TempDir()
	plan := func() *MemoryPlan {
		dev := onCPU(t, 2)
		p, err := Plan(recipe(t, root, filepath.Join(root, "run"), "tune=true"), dev, 3, 2, 64, 64)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	first, second := plan(), plan()
	if strings.Contains(first.Note, "tuning: 0 shapes timed") || !strings.Contains(first.Note, " shapes timed in ") {
		t.Error(first.Note)
	}
	if !strings.Contains(second.Note, "tuning: 0 shapes timed") || first.Recipe.Total != second.Recipe.Total {
		t.Errorf("%s: %d bytes, at first %d", second.Note, second.Recipe.Total, first.Recipe.Total)
	}
}

// A device that knows one way only says so.
func TestTuningRefused(t *testing.T) {
	root := t.TempDir()
	_, err := Run(context.Background(), recipe(t, root, filepath.Join(root, "run"), "tune=true"), Options{
		Open: func(int) (device.Device, error) { return ref.New(), nil }})
	if err == nil || !strings.Contains(err.Error(), "tune: device ref has one algorithm") {
		t.Error(err)
	}
}
