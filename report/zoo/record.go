// Package zoo keeps what is worth knowing of finished trainings in small records, and
// makes a table of them.
package zoo

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"manvision/report/page"
	"manvision/weights"
)

// Record is a finished training: what was run, where, and what came of it. It holds no
// paths but those that were typed.
type Record struct {
	Name     string `json:"name"` // of the record and its file, such as "detection-demo-shapes"
	Recipe   string `json:"recipe"`
	Command  string `json:"command"`
	Date     string `json:"date"` // of the start, YYYY-MM-DD, UTC
	Program  string `json:"program,omitempty"`
	Task     string `json:"task"`
	Backbone string `json:"backbone"`
	Width    int    `json:"width,omitempty"`
	Head     string `json:"head,omitempty"`

	Strategy  string `json:"strategy"`
	Blocks    int    `json:"blocks"`
	Precision string `json:"precision,omitempty"`
	Seed      string `json:"seed"`

	Data        string `json:"data"` // its format
	TrainImages int    `json:"train_images"`
	ValImages   int    `json:"val_images"`

	Steps     int64   `json:"steps"`
	FirstStep int64   `json:"first_step,omitempty"` // of the last process, where the run was resumed
	Batch     int     `json:"batch"`                // images a step
	Seconds   float64 `json:"seconds"`              // of the last process, with evaluation and checkpoints

	Planned   int64 `json:"planned_bytes"`
	Allocated int64 `json:"allocated_bytes"` // at most, on the device
	Resident  int64 `json:"resident_bytes"`  // at most, of the process, with images; 0: unknown

	Metrics map[string]float64 `json:"metrics"` // of the weights in the file
	// Note is what else a reader should know, in one line; whoever records the run
	// gives it.
	Note string `json:"note,omitempty"`

	Weights File    `json:"weights"`
	Machine Machine `json:"machine"`
}

// File is a file of weights, known again by its hash.
type File struct {
	Name   string `json:"name"`
	Step   int64  `json:"step"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

// Machine is what a training ran on.
type Machine struct {
	CPU     string `json:"cpu"`
	Device  string `json:"device"`
	Threads int    `json:"threads"`
	Cores   int    `json:"cores"`
	Memory  int64  `json:"memory_bytes"`
}

// headline are the metrics that a record keeps, in the order of the table.
var headline = []struct{ key, title string }{
	{"AP", "AP"}, {"AP50", "AP50"}, {"AP75", "AP75"},
	{"mIoU", "mIoU"}, {"pixel_accuracy", "pixel accuracy"},
	{"top1", "top-1"}, {"top5", "top-5"},
}

var nameRule = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9._-]{0,99}$`)

// Of makes the record of the training in a folder. Its name is the task and the run's
// name. A run that has not ended, missed what its recipe expects, or was trained by a
// program that did not note where it came from is an error, as is one without
// checkpoints.
func Of(dir string) (*Record, error) {
	run, err := page.Open(dir)
	if err != nil {
		return nil, err
	}
	res := run.Result
	switch {
	case res == nil || res.Outline == nil:
		return nil, fmt.Errorf("%s has no result.json: the run goes on, or was killed; end it with --resume", dir)
	case res.Status != "done":
		return nil, fmt.Errorf("%s: the run's status is %q, not \"done\": %s", dir, res.Status, res.Error)
	case res.Origin == nil || res.Origin.Command == "":
		return nil, fmt.Errorf("%s: result.json does not tell the command: train it again with this version", dir)
	case len(res.Origin.Started) < len("2006-01-02"):
		return nil, fmt.Errorf("%s: result.json does not tell the date", dir)
	}
	o := res.Outline
	r := &Record{Recipe: recipePath(res.Origin.Recipe), Command: res.Origin.Command, Date: res.Origin.Started[:10], Program: res.Origin.Program,
		Task: run.Setting("task"), Backbone: o.Backbone, Width: o.Width, Head: o.Head,
		Strategy: o.Strategy, Blocks: o.Blocks, Precision: run.Setting("precision"), Seed: run.Setting("seed"),
		Data: run.Setting("data.format"), TrainImages: o.TrainImages, ValImages: o.ValImages,
		Steps: res.Step, FirstStep: o.FirstStep, Batch: o.Batch, Seconds: res.Seconds,
		Planned: res.Memory.Planned, Allocated: res.Memory.Allocated, Resident: res.Memory.Resident,
		Machine: Machine{res.Origin.Machine.CPU, o.Device, o.Threads, res.Origin.Machine.Cores, res.Origin.Machine.Memory}}
	r.Name = r.Task + "-" + run.Name
	if err := r.weights(filepath.Join(dir, "checkpoints")); err != nil {
		return nil, err
	}
	return r, r.check()
}

// recipePath is a recipe's path in the repository, from "configs/" on, where it lies
// there.
func recipePath(typed string) string {
	if i := strings.LastIndex("/"+typed, "/configs/"); i >= 0 {
		return typed[i:]
	}
	return filepath.Base(typed)
}

// weights describes the best checkpoint, or the last where none was scored.
func (r *Record) weights(dir string) error {
	path := filepath.Join(dir, weights.BestName)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		path = filepath.Join(dir, weights.LastName)
	}
	m, err := weights.LoadMeta(path)
	if err != nil {
		return err
	}
	r.Metrics = map[string]float64{}
	for _, h := range headline {
		if v, ok := m.Metrics[h.key]; ok && !math.IsNaN(v) && v != -1 {
			r.Metrics[h.key] = v
		}
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	sum := sha256.New()
	n, err := io.Copy(sum, f)
	if err != nil {
		return err
	}
	r.Weights = File{filepath.Base(path), m.Step, n, hex.EncodeToString(sum.Sum(nil))}
	return nil
}

// check reports what a record must hold and this one does not.
func (r *Record) check() error {
	sum, err := hex.DecodeString(r.Weights.SHA256)
	switch {
	case !nameRule.MatchString(r.Name):
		return fmt.Errorf("record %q: the name must be letters, digits, \".\", \"_\" and \"-\"", r.Name)
	case err != nil || len(sum) != sha256.Size:
		return fmt.Errorf("record %q: weights.sha256 is no SHA-256 sum: %q", r.Name, r.Weights.SHA256)
	case r.Recipe == "" || r.Command == "" || r.Task == "" || r.Strategy == "":
		return fmt.Errorf("record %q: recipe, command, task or strategy is missing", r.Name)
	case len(r.Metrics) == 0:
		return fmt.Errorf("record %q: no metric was measured at its weights' step", r.Name)
	case r.Steps < 1 || r.Batch < 1 || r.Blocks < 1 || r.Seconds <= 0:
		return fmt.Errorf("record %q: steps, batch, blocks and seconds must be positive", r.Name)
	}
	return nil
}

// Rename gives the record another name: letters, digits, ".", "_" and "-".
func (r *Record) Rename(name string) error {
	r.Name = name
	return r.check()
}

// Path is where a record lies in a folder of records.
func (r *Record) Path(dir string) string { return filepath.Join(dir, r.Name+".json") }

// Load reads the records of a folder, every *.json in it, in the table's order: by task,
// then name. A file that is no record is an error.
func Load(dir string) ([]*Record, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("records: %w", err)
	}
	var out []*Record
	for _, e := range entries {
		if e.IsDir() || filepath.Ext(e.Name()) != ".json" || strings.HasPrefix(e.Name(), ".") {
			continue
		}
		path := filepath.Join(dir, e.Name())
		b, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		var r Record
		d := json.NewDecoder(strings.NewReader(string(b)))
		d.DisallowUnknownFields()
		if err := d.Decode(&r); err != nil {
			return nil, fmt.Errorf("%s is no record of a run: %w", path, err)
		}
		if err := r.check(); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		if r.Path(dir) != path {
			return nil, fmt.Errorf("%s: the record's name is %q: name the file %s.json", path, r.Name, r.Name)
		}
		out = append(out, &r)
	}
	slices.SortStableFunc(out, func(a, b *Record) int {
		return strings.Compare(a.Task+"\x00"+a.Name, b.Task+"\x00"+b.Name)
	})
	return out, nil
}
