package train

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"manvision/manpp"
	"manvision/report/tensorboard"
	"manvision/weights"
)

// record is one line of a run's log.
type record struct {
	Step      int64     `json:"step"`
	Epoch     int64     `json:"epoch"`
	Loss      float64   `json:"loss"`   // of the final head
	Blocks    []float64 `json:"blocks"` // loss of every block
	Scales    []float64 `json:"s"`      // fusion scalar of every block but the last
	Distances []float64 `json:"lb_ema"` // ‖LB−EMA‖ of every block but the last
	LR        float64   `json:"lr"`
	GradNorm  float64   `json:"grad_norm"`
	Images    float64   `json:"images_per_second"`
	DataWait  float64   `json:"data_wait"` // share of the time, 0 to 1
	Memory    int64     `json:"memory"`    // resident bytes
	Seconds   float64   `json:"seconds"`   // since this process started training
	BlockTime []float64 `json:"block_seconds"`
	// BlockMemory is the planned working memory of every block in bytes.
	BlockMemory []int64 `json:"block_memory"`
	// Skipped counts the steps that train.on_nan skip left out so far.
	Skipped int `json:"skipped_steps"`
}

func (r *record) fill(s *manpp.StepReport) {
	r.Loss, r.LR, r.GradNorm = s.Loss(), s.LR, s.GradNorm
	r.Blocks, r.Scales, r.Distances, r.BlockTime = r.Blocks[:0], r.Scales[:0], r.Distances[:0], r.BlockTime[:0]
	for i, b := range s.Blocks {
		r.Blocks = append(r.Blocks, b.Loss)
		r.BlockTime = append(r.BlockTime, b.Time.Seconds())
		if i < len(s.Blocks)-1 {
			r.Scales = append(r.Scales, b.Scale)
			r.Distances = append(r.Distances, b.Distance)
		}
	}
}

// Names of the logs in a run's output folder.
const (
	logJSON     = "log.jsonl"
	logCSV      = "log.csv"
	metricsJSON = "metrics.jsonl"
)

// logs writes records as JSON lines, as CSV and, if asked for, for TensorBoard. Lines
// of steps after from, left by a run that went on beyond its last checkpoint, are
// dropped first.
type logs struct {
	json, csv, metrics *os.File
	board              *tensorboard.Writer // nil: none
}

func openLogs(dir string, from int64, blocks int, board bool) (_ *logs, err error) {
	l := &logs{}
	defer func() {
		if err != nil {
			l.close()
		}
	}()
	keepJSON := func(line string) bool {
		var r struct{ Step int64 }
		return json.Unmarshal([]byte(line), &r) == nil && r.Step <= from
	}
	keepCSV := func(line string) bool {
		first, _, _ := strings.Cut(line, ",")
		step, err := strconv.ParseInt(first, 10, 64)
		return err == nil && step <= from || first == "step"
	}
	for _, f := range []struct {
		to   **os.File
		name string
		keep func(string) bool
	}{{&l.json, logJSON, keepJSON}, {&l.csv, logCSV, keepCSV}, {&l.metrics, metricsJSON, keepJSON}} {
		if *f.to, err = reopen(filepath.Join(dir, f.name), f.keep, from > 0); err != nil {
			return nil, err
		}
	}
	if st, err := l.csv.Stat(); err == nil && st.Size() == 0 {
		head := []string{"step", "epoch", "loss", "lr", "grad_norm", "images_per_second", "data_wait", "memory", "seconds"}
		for i := range blocks {
			head = append(head, fmt.Sprintf("block%d", i+1))
		}
		for i := range blocks - 1 {
			head = append(head, fmt.Sprintf("s%d", i+1), fmt.Sprintf("lb_ema%d", i+1))
		}
		fmt.Fprintln(l.csv, strings.Join(head, ","))
	}
	if board {
		l.board, err = tensorboard.Create(filepath.Join(dir, boardFolder), from)
	}
	return l, err
}

// reopen opens a log for appending with only the lines that keep accepts. A crash
// leaves the old or the new lines.
func reopen(path string, keep func(string) bool, resume bool) (*os.File, error) {
	fail := func(err error) (*os.File, error) { return nil, fmt.Errorf("log: %w", err) }
	var lines strings.Builder
	if f, err := os.Open(path); err == nil && resume {
		sc := bufio.NewScanner(f)
		sc.Buffer(nil, 1<<20)
		for sc.Scan() {
			if keep(sc.Text()) {
				lines.WriteString(sc.Text() + "\n")
			}
		}
		f.Close()
	}
	if err := weights.ReplaceFile(path, func(w io.Writer) error {
		_, err := io.WriteString(w, lines.String())
		return err
	}); err != nil {
		return fail(err)
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return fail(err)
	}
	return f, nil
}

func (l *logs) write(r *record) error {
	line, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("log: %w", err)
	}
	if _, err := l.json.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("log: %w", err)
	}
	cells := []string{fmt.Sprint(r.Step), fmt.Sprint(r.Epoch)}
	for _, v := range []float64{r.Loss, r.LR, r.GradNorm, r.Images, r.DataWait, float64(r.Memory), r.Seconds} {
		cells = append(cells, strconv.FormatFloat(v, 'g', 7, 64))
	}
	for _, v := range r.Blocks {
		cells = append(cells, strconv.FormatFloat(v, 'g', 7, 64))
	}
	for i := range r.Scales {
		cells = append(cells, strconv.FormatFloat(r.Scales[i], 'g', 7, 64), strconv.FormatFloat(r.Distances[i], 'g', 7, 64))
	}
	if _, err := fmt.Fprintln(l.csv, strings.Join(cells, ",")); err != nil {
		return fmt.Errorf("log: %w", err)
	}
	if l.board != nil {
		return l.board.Add(r.Step, scalars(r))
	}
	return nil
}

func (l *logs) close() {
	for _, f := range []*os.File{l.json, l.csv, l.metrics} {
		if f != nil {
			f.Close()
		}
	}
	if l.board != nil {
		l.board.Close()
	}
}

// evaluated adds an evaluation's numbers after a step.
func (l *logs) evaluated(step int64, m weights.Metrics) error {
	line, err := json.Marshal(map[string]any{"step": step, "metrics": m})
	if err == nil {
		_, err = l.metrics.Write(append(line, '\n'))
	}
	if err != nil {
		return fmt.Errorf("metrics: %w", err)
	}
	if l.board != nil {
		return l.board.Add(step, evaluated(m))
	}
	return nil
}
