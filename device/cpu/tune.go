package cpu

import (
	"fmt"
	"sync"

	"manvision/device"
)

var _ device.Tuner = (*Device)(nil)

// tuning chooses the ways of convolutions by timing. Convolutions on bf16 activations and
// those whose filters are prepared go by rule all the same.
type tuning struct {
	mu    sync.Mutex // held while timing, too: one convolution at a time
	file  string     // of the user's choices
	given map[id]choice
	first []choice      // given, in order
	kept  map[id]choice // the file's
	used  map[id]choice
	order []id // of use
	fresh []choice
	spent float64 // seconds of timing
	notes []string
	rooms [][]constant // memory to time on: inputs, outputs
	clock func(w way, run func() error) (float64, error)
}

// id is a convolution on a number of threads.
type id struct {
	conv    string
	threads int
}

// choice is the way of one of them.
type choice struct {
	Conv    string          `json:"conv"`
	Threads int             `json:"threads"`
	Way     way             `json:"way"`
	Rule    way             `json:"rule"`
	Seconds map[way]float64 `json:"seconds"` // medians of those that were timed
}

func (c choice) id() id { return id{c.Conv, c.Threads} }

// convName describes all of a convolution that its time may depend on.
func convName(c device.Conv, dir direction) string {
	s := fmt.Sprintf("%s %dx%dx%d %d>%d %dx%d stride %dx%d pad %dx%d", [...]string{"forward", "data gradient", "weight gradient"}[dir],
		c.N, c.H, c.W, c.IC, c.OC, c.KH, c.KW, c.SH, c.SW, c.PH, c.PW)
	if c.DH != 1 || c.DW != 1 {
		s += fmt.Sprintf(" dilation %dx%d", c.DH, c.DW)
	}
	if c.Groups != 1 {
		s += fmt.Sprintf(" groups %d", c.Groups)
	}
	for _, f := range []struct {
		is   bool
		name string
	}{{c.Bias && dir != backwardData, " bias"}, {c.ReLU, " relu"}, {c.Sum, " sum"}} {
		if f.is {
			s += f.name
		}
	}
	return s
}

// Tune implements device.Tuner. The user's choices lie in manvision/ of
// os.UserCacheDir(), in a file for the processor, its instruction sets and oneDNN's
// version; it holds choices for every number of threads.
func (d *Device) Tune(given []byte) error {
	if d.tuning != nil && given == nil {
		return nil
	}
	path, err := tuningPath()
	if err != nil {
		return err
	}
	return d.tune(path, given)
}

func (d *Device) tune(path string, given []byte) error {
	t := &tuning{file: path, given: map[id]choice{}, used: map[id]choice{}, rooms: make([][]constant, 2), clock: stopwatch}
	if given != nil {
		f, err := parseTuning(given)
		if err != nil {
			return err
		}
		if f.Machine != machine() || f.Library != library() {
			t.notes = append(t.notes, fmt.Sprintf("choices of %s with %s are used as they are", f.Machine, f.Library))
		}
		for _, c := range f.Choices {
			t.given[c.id()] = c
		}
		t.first = f.Choices
	}
	var note string
	var err error
	if t.kept, note, err = readTuning(path); err != nil {
		return err
	}
	if note != "" {
		t.notes = append(t.notes, note)
	}
	d.tuning = t
	return nil
}

// Choices implements device.Tuner.
func (d *Device) Choices() int {
	if d.tuning == nil {
		return 0
	}
	d.tuning.mu.Lock()
	defer d.tuning.mu.Unlock()
	return len(d.tuning.order)
}

// Tuned implements device.Tuner.
func (d *Device) Tuned() (device.Tuned, error) {
	t := d.tuning
	if t == nil {
		return device.Tuned{}, fmt.Errorf("cpu device: does not tune")
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.freeRooms()
	if err := keepTuning(t.file, t.fresh); err != nil {
		return device.Tuned{}, err
	}
	f := tuningFile{Version: tuningVersion, Machine: machine(), Library: library()}
	other := 0
	for _, i := range t.order {
		c := t.used[i]
		f.Choices = append(f.Choices, c)
		if c.Way != c.Rule {
			other++
		}
	}
	for _, c := range t.first { // that nothing has asked for yet
		if _, ok := t.used[c.id()]; !ok {
			f.Choices = append(f.Choices, c)
		}
	}
	timed := len(t.fresh)
	text := fmt.Sprintf("tuning: %d shapes timed in %.1f s, %d known before; %d of %d choose another way than the rule; kept in %s",
		timed, t.spent, len(t.order)-timed, other, len(t.order), t.file)
	for _, n := range t.notes {
		text += "; " + n
	}
	b, err := f.bytes()
	return device.Tuned{Choices: b, Text: text}, err
}

// wayOf chooses a convolution's way, on the device's thread.
func (d *Device) wayOf(c device.Conv, dir direction) (way, error) {
	t := d.tuning
	if t == nil {
		return ruleFor(c, dir), nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	i := id{convName(c, dir), d.threads}
	got, ok := t.used[i]
	if ok {
		return got.Way, nil
	}
	from := "the choices of the run"
	if got, ok = t.given[i]; !ok {
		from = t.file
		got, ok = t.kept[i]
	}
	switch {
	case ok && !d.can(got.Way, c, dir):
		return "", fmt.Errorf("cpu device: %s compute %q by %q, which this device cannot: remove that choice", from, i.conv, got.Way)
	case !ok:
		var err error
		if got, err = t.choose(d, c, dir); err != nil {
			return "", err
		}
		t.fresh = append(t.fresh, got)
	}
	got.Rule = ruleFor(c, dir)
	t.used[i] = got
	t.order = append(t.order, i)
	return got.Way, nil
}
