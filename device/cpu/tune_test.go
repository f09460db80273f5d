package cpu

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"manvision/device"
	"manvision/device/devicetest"
)

// tuned returns a device that keeps choices in path and for which the way fast takes half
// of the others' time; asked counts what is timed.
func tuned(t testing.TB, path string, fast way, asked *int) *Device {
	t.Helper()
	d := newDevice(t, 2)
	if err := d.tune(path, nil); err != nil {
		t.Fatal(err)
	}
	d.tuning.clock = func(w way, _ func() error) (float64, error) {
		*asked++
		if w == fast {
			return 0.5, nil
		}
		return 1, nil
	}
	return d
}

// prepare makes kernels of some of ResNet-50's convolutions.
func prepare(t testing.TB, d *Device) {
	t.Helper()
	for _, c := range []device.Conv{square(1, 14, 14, 64, 128, 1, 1), square(1, 14, 14, 64, 64, 3, 1)} {
		for dir := forward; dir <= backwardWeights; dir++ {
			k, err := d.Prepare(operation(c, dir))
			if err != nil {
				t.Fatal(err)
			}
			k.Close()
		}
	}
}

// Every way of computing a convolution passes the conformance tests wherever it is chosen.
// What the rule takes is in TestConformance.
func TestConformanceOfWays(t *testing.T) {
	asked := 0
	devs := map[string]device.Device{}
	for _, w := range []way{brgemm, blocked, tiles, byProduct} {
		devs[string(w)] = tuned(t, filepath.Join(t.TempDir(), "choices.json"), w, &asked)
	}
	devicetest.RunKinds(t, devs, devicetest.Float32(), "conv", "conv.backward_data", "conv.backward_weights")
	for name, dev := range devs {
		n, all := 0, dev.(*Device).tuning.used
		for _, c := range all {
			if c.Way == way(name) {
				n++
			}
		}
		if n < 10 {
			t.Errorf("%s is chosen for %d of %d convolutions", name, n, len(all))
		}
	}
}

// Choices are kept, used by the next device without timing, by its lanes too where they
// have the threads, and said in words.
func TestChoicesAreKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "manvision", "choices.json")
	asked := 0
	d := tuned(t, path, blocked, &asked)
	prepare(t, d)
	if asked == 0 || d.Choices() != 6 {
		t.Fatalf("%d timings, %d choices", asked, d.Choices())
	}
	first, err := d.Tuned()
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(first.Text, "tuning: 6 shapes timed in ") || !strings.Contains(first.Text, "6 of 6 choose another way than the rule; kept in "+path) {
		t.Error(first.Text)
	}
	for _, c := range d.tuning.used {
		if c.Way != blocked || c.Seconds[blocked] != 0.5 || c.Seconds[c.Rule] != 1 {
			t.Errorf("%+v", c)
		}
	}
	asked = 0
	again := tuned(t, path, direct, &asked)
	prepare(t, again)
	second, err := again.Tuned()
	if err != nil || asked != 0 || string(second.Choices) != string(first.Choices) {
		t.Errorf("%v, %d timings, choices %s, before %s", err, asked, second.Choices, first.Choices)
	}
	// Choices of a run hold without the file.
	given := newDevice(t, 2)
	if err := given.tune(filepath.Join(t.TempDir(), "none.json"), first.Choices); err != nil {
		t.Fatal(err)
	}
	given.tuning.clock = again.tuning.clock
	lanes, err := given.Lanes(1, 2)
	if err != nil {
		t.Fatal(err)
	}
	defer lanes.Close()
	prepare(t, lanes.(*Device))
	third, err := given.Tuned()
	if err != nil || asked != 0 || given.Choices() != 6 || string(third.Choices) != string(first.Choices) {
		t.Errorf("%v, %d timings, %d choices", err, asked, given.Choices())
	}
	// What the run has not asked for yet stays among its choices.
	unused := newDevice(t, 2)
	if err := unused.tune(filepath.Join(t.TempDir(), "none.json"), first.Choices); err != nil {
		t.Fatal(err)
	}
	if all, err := unused.Tuned(); err != nil || string(all.Choices) != string(first.Choices) {
		t.Errorf("%v: %s", err, all.Choices)
	}
}

// A way is chosen only where it is clearly faster and takes a bounded scratch.
func TestChoiceIsFaster(t *testing.T) {
	d := newDevice(t, 2)
	c := square(1, 14, 14, 64, 128, 1, 1)
	for _, m := range []struct {
		seconds float64
		want    way
	}{{0.96, direct}, {0.94, byProduct}, {2, direct}} {
		tn := &tuning{rooms: make([][]constant, 2), clock: func(w way, _ func() error) (float64, error) {
			if w == byProduct {
				return m.seconds, nil
			}
			return 1, nil
		}}
		var got choice
		err := d.Do(func() (err error) {
			got, err = tn.choose(d, c, forward)
			tn.freeRooms()
			return err
		})
		if err != nil || got.Way != m.want || got.Rule != direct {
			t.Errorf("%v of the rule's time: %+v, %v", m.seconds, got, err)
		}
	}
	large := square(64, 56, 56, 64, 64, 1, 1)
	tn := &tuning{rooms: make([][]constant, 2), clock: func(w way, _ func() error) (float64, error) {
		if w == blocked {
			return 0.1, nil
		}
		return 1, nil
	}}
	if err := d.Do(func() error {
		got, err := tn.choose(d, large, forward)
		tn.freeRooms()
		if got.Way == blocked {
			t.Errorf("%+v: its reordered activations are above the bound", got)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

// A file that is no list of this machine's choices is put aside, and that is said; choices
// of a run that cannot be read, or name ways that do not exist, are errors.
func TestBrokenChoices(t *testing.T) {
	other := fmt.Sprintf(`{"version": %d, "machine": "abacus", "library": "none", "choices": []}`, tuningVersion)
	for _, text := range []string{"{", "", "[]", `{"version": 99}`, other, `{"version": 1, "choices": [{}]}`} {
		path := filepath.Join(t.TempDir(), "choices.json")
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		asked := 0
		d := tuned(t, path, blocked, &asked)
		prepare(t, d)
		got, err := d.Tuned()
		if err != nil || asked == 0 || !strings.Contains(got.Text, path+" was not usable (") || !strings.HasSuffix(got.Text, "is now "+path+".bad") {
			t.Errorf("%q: %v, %q", text, err, got.Text)
		}
		if b, err := os.ReadFile(path + ".bad"); err != nil || string(b) != text {
			t.Errorf("%q: put aside as %q, %v", text, b, err)
		}
		if text != other {
			if err := newDevice(t, 2).tune(path, []byte(text)); err == nil {
				t.Errorf("%q taken as a run's choices", text)
			}
		}
	}
	d := newDevice(t, 2)
	c := square(1, 14, 14, 64, 128, 1, 1)
	for _, w := range []way{tiles, "abacus"} {
		f := tuningFile{Version: tuningVersion, Choices: []choice{{Conv: convName(c, forward), Threads: 2, Way: w}}}
		b, err := f.bytes()
		if err != nil {
			t.Fatal(err)
		}
		if err := d.tune(filepath.Join(t.TempDir(), "none.json"), b); err != nil {
			t.Fatal(err)
		}
		if _, err := d.Prepare(c); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("by %q", w)) {
			t.Errorf("1x1 convolution by %s: %v", w, err)
		}
	}
}

// Programs that keep choices at the same time lose none, and one that is there stays.
func TestChoicesOfManyWriters(t *testing.T) {
	path := filepath.Join(t.TempDir(), "choices.json")
	var writers sync.WaitGroup
	for w := range 8 {
		writers.Go(func() {
			for i := range 10 {
				list := []choice{{Conv: fmt.Sprintf("conv %d of %d", i, w), Threads: 1, Way: direct}, {Conv: "all", Threads: w/4 + 1, Way: direct}}
				if err := keepTuning(path, list); err != nil {
					t.Error(err)
				}
			}
		})
	}
	writers.Wait()
	kept, note, err := readTuning(path)
	if err != nil || note != "" || len(kept) != 82 {
		t.Errorf("%d choices, %q, %v", len(kept), note, err)
	}
	if err := keepTuning(path, []choice{{Conv: "all", Threads: 1, Way: jit}}); err != nil {
		t.Fatal(err)
	}
	if kept, _, _ := readTuning(path); kept[id{"all", 1}].Way != direct {
		t.Error("a choice was changed")
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestWaysOf(t *testing.T) {
	d := newDevice(t, 1)
	if err := d.Do(func() error {
		for _, m := range []struct {
			c        device.Conv
			dir      direction
			has, not way
		}{
			{square(1, 14, 14, 64, 128, 1, 1), forward, byProduct, tiles}, {square(1, 14, 14, 64, 128, 1, 2), forward, direct, byProduct},
			{square(1, 14, 14, 64, 64, 3, 1), backwardData, tiles, byProduct}, {square(1, 14, 14, 64, 45, 3, 1), backwardData, direct, tiles},
		} {
			if list := d.waysOf(m.c, m.dir); list[0] != ruleFor(m.c, m.dir) || !slices.Contains(list, m.has) || slices.Contains(list, m.not) {
				t.Errorf("%s, direction %d: %v", name(m.c), m.dir, list)
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}
