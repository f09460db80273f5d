package tensorboard

import (
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// Writer appends to an event file of its own. Every call is one write to the file, so
// that a killed process leaves whole records.
type Writer struct {
	f   *os.File
	now func() time.Time
}

// Create makes dir and a new event file in it. from is the step after which numbers
// follow: above 0 it tells TensorBoard to drop what earlier files of the folder say of
// later steps, which a run did that was resumed from an earlier step.
func Create(dir string, from int64) (*Writer, error) {
	return create(dir, from, time.Now)
}

func create(dir string, from int64, now func() time.Time) (*Writer, error) {
	fail := func(err error) (*Writer, error) { return nil, fmt.Errorf("tensorboard: %w", err) }
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return fail(err)
	}
	host, err := os.Hostname()
	if err != nil {
		host = "localhost"
	}
	// TensorBoard reads the files of a folder in the order of their names.
	stamp := now()
	for n := 0; ; n++ {
		name := fmt.Sprintf("events.out.tfevents.%010d.%s.%09d.%d", stamp.Unix(), filepath.Base(host), stamp.Nanosecond(), n)
		f, err := os.OpenFile(filepath.Join(dir, name), os.O_WRONLY|os.O_CREATE|os.O_EXCL|os.O_APPEND, 0o666)
		if os.IsExist(err) {
			continue
		}
		if err != nil {
			return fail(err)
		}
		w := &Writer{f, now}
		head := frame(field(event(w.wall(), 0), eventVersion, []byte(fileVersion)))
		if from > 0 {
			head = append(head, frame(field(event(w.wall(), from+1), eventSession, []byte{sessionStatus, sessionStart}))...)
		}
		if _, err := f.Write(head); err != nil {
			f.Close()
			return fail(err)
		}
		return w, nil
	}
}

func (w *Writer) wall() float64 { return float64(w.now().UnixNano()) / 1e9 }

// Add writes the numbers of a step.
func (w *Writer) Add(step int64, list []Scalar) error {
	if _, err := w.f.Write(frame(field(event(w.wall(), step), eventSummary, summary(list)))); err != nil {
		return fmt.Errorf("tensorboard: %w", err)
	}
	return nil
}

// Close closes the file.
func (w *Writer) Close() error { return w.f.Close() }
