package page

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Run is what a training left in its output folder, as far as it is there.
type Run struct {
	Dir  string
	Name string // the recipe's
	// Label tells the run from others on the page; Open sets it to Name.
	Label string

	Log         []Line       // by step
	Evaluations []Evaluation // by step
	Result      *Result      // nil: the run goes on, or was killed
	Config      []Setting    // in the order of the file
	ConfigText  string       // as it stands in config.yaml

	// Galleries are pictures to show, Curves a detector's precision by recall; the
	// caller may set both.
	Galleries []Gallery
	Curves    []PR
	// Notes are what a reader should know: lines skipped, files missing.
	Notes []string
}

// Line is one line of log.jsonl.
type Line struct {
	Step      int64     `json:"step"`
	Epoch     int64     `json:"epoch"`
	Loss      *float64  `json:"loss"`
	Blocks    []float64 `json:"blocks"`
	Scales    []float64 `json:"s"`
	Distances []float64 `json:"lb_ema"`
	LR        *float64  `json:"lr"`
	GradNorm  *float64  `json:"grad_norm"`
	Images    *float64  `json:"images_per_second"`
	DataWait  *float64  `json:"data_wait"`
	Memory    *float64  `json:"memory"`
	Seconds   *float64  `json:"seconds"`
	BlockTime []float64 `json:"block_seconds"`
}

// Evaluation is one line of metrics.jsonl. What could not be measured is missing or,
// of COCO's numbers, -1.
type Evaluation struct {
	Step    int64              `json:"step"`
	Metrics map[string]float64 `json:"metrics"`
}

// Result is result.json.
type Result struct {
	Name       string          `json:"name"`
	Status     string          `json:"status"`
	Error      string          `json:"error"`
	Step       int64           `json:"step"`
	Checkpoint string          `json:"checkpoint"`
	Metrics    json.RawMessage `json:"metrics"`
	Seconds    float64         `json:"seconds"`
	Train      float64         `json:"training_seconds"`
	Eval       float64         `json:"evaluation_seconds"`
	Save       float64         `json:"checkpoint_seconds"`
	Images     float64         `json:"images_per_second"`
	DataWait   float64         `json:"data_wait"`
	Skipped    int             `json:"skipped_images"`
	Memory     struct {
		Planned   int64 `json:"planned"`
		Allocated int64 `json:"allocated"`
		Resident  int64 `json:"resident"`
	} `json:"memory"`
	Origin  *Origin  `json:"origin"` // nil of runs of older programs
	Outline *Outline `json:"outline"`
}

// Origin is how, when and where a run was started.
type Origin struct {
	Command string `json:"command"` // as typed
	Recipe  string `json:"recipe"`  // as typed
	Started string `json:"started"` // RFC 3339, UTC
	Program string `json:"program"` // commit the program was built from
	Machine struct {
		CPU    string `json:"cpu"`
		Cores  int    `json:"cores"`
		Memory int64  `json:"memory"` // bytes
	} `json:"machine"`
}

// Outline is what a run said it was going to do.
type Outline struct {
	Device              string   `json:"device"`
	Threads             int      `json:"threads"`
	Backbone            string   `json:"backbone"`
	Width               int      `json:"width"`
	Strategy            string   `json:"strategy"`
	Blocks              int      `json:"blocks"`
	Cuts                []string `json:"cuts"`
	Classes             int      `json:"classes"`
	Head                string   `json:"head"`
	InferenceParameters int      `json:"inference_parameters"`
	TrainingParameters  int      `json:"training_parameters"`
	Input               []int    `json:"input"`
	Memory              Plan     `json:"memory"`
	TrainImages         int      `json:"train_images"`
	TrainObjects        int      `json:"train_objects"`
	ValImages           int      `json:"val_images"`
	ValObjects          int      `json:"val_objects"`
	FirstStep           int64    `json:"first_step"`
	Steps               int64    `json:"steps"`
	StepsPerEpoch       int64    `json:"steps_per_epoch"`
	Batch               int      `json:"batch"`
	LR                  float64  `json:"lr"`
	Schedule            string   `json:"schedule"`
}

// Plan is the planned memory of a training step, in bytes. The blocks take turns in
// the working memory.
type Plan struct {
	Blocks     []int64 `json:"blocks"`
	Working    int64   `json:"working"`
	Boundary   int64   `json:"boundary"`
	Parameters int64   `json:"parameters"`
	Optimizer  int64   `json:"optimizer_state"`
	Gradients  int64   `json:"gradients"`
}

// PR is precision at recalls from 0 to 1 in equal steps.
type PR struct {
	Name      string
	Precision []float64
	Class     bool // of one class, not of all
}

// The files of a run.
const (
	logFile     = "log.jsonl"
	metricsFile = "metrics.jsonl"
	resultFile  = "result.json"
	configFile  = "config.yaml"
)

// Open reads a run's folder. Lines of a log that were cut off or are no JSON are left
// out and noted, and so is a result or recipe that cannot be read, or is missing. A
// folder with none of a run's files is an error.
func Open(dir string) (*Run, error) {
	st, err := os.Stat(dir)
	if err != nil {
		return nil, fmt.Errorf("%s: no such run: %w", dir, errors.Unwrap(err))
	}
	if !st.IsDir() {
		return nil, fmt.Errorf("%s is a file; name the run's folder, such as %s", dir, filepath.Dir(dir))
	}
	r := &Run{Dir: dir}
	files := 0
	for _, f := range []struct {
		name string
		read func([]byte) error
	}{{logFile, r.readLog}, {metricsFile, r.readMetrics}, {resultFile, r.readResult}, {configFile, r.readConfig}} {
		b, err := os.ReadFile(filepath.Join(dir, f.name))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			r.Notes = append(r.Notes, missing(f.name))
			continue
		case err != nil:
			return nil, err
		}
		files++
		if err := f.read(b); err != nil {
			r.Notes = append(r.Notes, fmt.Sprintf("%s cannot be read and is left out: %v", f.name, err))
		}
	}
	if files == 0 {
		return nil, noRun(dir)
	}
	if r.Name == "" && r.Result != nil {
		r.Name = r.Result.Name
	}
	if r.Name == "" {
		r.Name = filepath.Base(absolute(dir))
	}
	r.Label = r.Name
	return r, nil
}

func missing(name string) string {
	switch name {
	case resultFile:
		return name + " is missing: the run goes on, or was killed; its numbers are those of the logs"
	case metricsFile:
		return name + " is missing: nothing has been evaluated"
	}
	return name + " is missing"
}

// noRun says what is wrong with a folder, and which of those in it are runs.
func noRun(dir string) error {
	text := fmt.Sprintf("%s is no run: it holds none of %s, %s, %s and %s; name the folder that training wrote to (the recipe's output)", dir, logFile, metricsFile, resultFile, configFile)
	found, _ := filepath.Glob(filepath.Join(dir, "*", logFile))
	if len(found) > 0 {
		var names []string
		for _, f := range found[:min(3, len(found))] {
			names = append(names, filepath.Dir(f))
		}
		text += fmt.Sprintf("; runs in it: %s", strings.Join(names, ", "))
		if len(found) > 3 {
			text += fmt.Sprintf(" and %d more", len(found)-3)
		}
	}
	return errors.New(text)
}

func absolute(dir string) string {
	if abs, err := filepath.Abs(dir); err == nil {
		return abs
	}
	return dir
}

// Relabel gives runs of one name labels that differ: their folders' names, where those
// differ, else numbers.
func Relabel(runs []*Run) {
	same := func(of func(*Run) string) bool {
		seen := map[string]bool{}
		for _, r := range runs {
			if seen[of(r)] {
				return true
			}
			seen[of(r)] = true
		}
		return false
	}
	if !same(func(r *Run) string { return r.Name }) {
		return
	}
	for _, r := range runs {
		r.Label = filepath.Base(absolute(r.Dir))
	}
	if same(func(r *Run) string { return r.Label }) {
		for i, r := range runs {
			r.Label = fmt.Sprintf("%s (%d)", r.Label, i+1)
		}
	}
}
