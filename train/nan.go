package train

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"

	"manvision/data"
	"manvision/manpp"
	"manvision/nn"
	"manvision/weights"
)

// nanFolder is where steps with values that are NaN or infinite leave their images.
const nanFolder = "nan"

// badStep is nan/step-N/report.json.
type badStep struct {
	Step      int64         `json:"step"` // optimizer steps done before it
	Part      int           `json:"part"` // of train.accumulate, from 0
	Epoch     int64         `json:"epoch"`
	Problem   string        `json:"problem"`
	Block     int           `json:"block"`               // from 1, where the first bad value is; 0: not found again
	Op        string        `json:"operation"`           // that reads or made it
	Gradients []string      `json:"gradients,omitempty"` // parameters with bad gradients
	LR        float64       `json:"lr"`
	Images    []data.Sample `json:"images"` // in the order of images.safetensors
}

// diverged looks for the cause of a bad step, saves its images and says all of that.
// The error it returns is errDiverged.
func (r *run) diverged(bad *manpp.NotFinite, s *manpp.Steps, b *data.Batch) error {
	out := badStep{Step: bad.Step, Part: bad.Part, Epoch: b.Epoch, Problem: bad.Error(), LR: bad.LR, Images: b.Samples}
	found, err := r.tr.Locate(s, bad)
	if err != nil {
		return fmt.Errorf("%w: %w; looking for the cause: %w", errDiverged, bad, err)
	}
	where := "the first such value was not found again"
	if found.Block >= 0 {
		where = fmt.Sprintf("first in block %d: %s", found.Block+1, found.Op)
	}
	if len(found.Gradients) > 0 {
		where += fmt.Sprintf("; gradient of %s", found.Gradients[0])
		if n := len(found.Gradients) - 1; n > 0 {
			where += fmt.Sprintf(" and %d more", n)
		}
	}
	out.Block, out.Op, out.Gradients = found.Block+1, found.Op, found.Gradients
	names := make([]string, len(b.Samples))
	for i, sample := range b.Samples {
		names[i] = filepath.Base(sample.File)
	}
	dir := filepath.Join(r.cfg.Output, nanFolder, fmt.Sprintf("step-%d", bad.Step))
	saved := "report and images as the network saw them are in " + dir
	if err := out.save(dir, b); err != nil {
		saved = fmt.Sprintf("saving the images failed: %v", err)
	}
	return fmt.Errorf("%w: images %v: %w; %s; %s", errDiverged, names, bad, where, saved)
}

// save writes report.json and images.safetensors into dir.
func (s *badStep) save(dir string, b *data.Batch) error {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "report.json"), append(text, '\n'), 0o666); err != nil {
		return err
	}
	return weights.ReplaceFile(filepath.Join(dir, "images.safetensors"), func(w io.Writer) error {
		return weights.Write(w, []weights.Tensor{{Name: "images", Shape: []int{b.N, b.H, b.W, b.C}, Data: b.Images}}, nil)
	})
}

// skipStep decides whether the run goes on without a step that err ended.
func (r *run) skipStep(err error) bool {
	var bad *manpp.NotFinite
	if r.statistics == nil || !errors.As(err, &bad) {
		return false
	}
	if r.skipped >= r.cfg.Train.NaNLimit {
		r.say(fmt.Sprintf("%d steps have been skipped, as many as train.nan_limit allows", r.skipped))
		return false
	}
	if err := r.statistics.restore(); err != nil {
		return false
	}
	r.skipped++
	r.say(fmt.Sprintf("skipped a step (%d of at most %d): %v", r.skipped, r.cfg.Train.NaNLimit, err))
	return true
}

// statistics keeps the running statistics from before a step in host memory, so that a
// step can be undone that has not yet updated parameters.
type statistics struct {
	store  *nn.Store
	vars   []*nn.Var
	before [][]float32
}

func newStatistics(store *nn.Store) *statistics {
	s := &statistics{store: store}
	for _, v := range store.Vars() {
		if v.Buffer {
			s.vars = append(s.vars, v)
			s.before = append(s.before, make([]float32, v.Elems()))
		}
	}
	return s
}

// keep reads all in one job: hundreds of small ones, each handed to the device's thread,
// take 3 % of a step.
func (s *statistics) keep() error {
	return s.store.Device().Do(func() error {
		for i, v := range s.vars {
			if err := s.store.Get(v.Name, s.before[i]); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *statistics) restore() error {
	for i, v := range s.vars {
		if err := s.store.Set(v.Name, s.before[i]); err != nil {
			return err
		}
	}
	return nil
}

func finiteNumber(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

// sound says which tensor of a checkpoint has a value that is NaN or infinite.
func sound(c *weights.Checkpoint) error {
	for _, part := range [][]weights.Tensor{c.Params, c.Buffers, c.Optimizer} {
		for _, t := range part {
			for i, x := range t.Data {
				if math.Float32bits(x)&0x7f800000 == 0x7f800000 {
					return fmt.Errorf("%w: %s[%d] is %v after step %d: this state is not saved; go on from the last checkpoint with a lower learning rate (--resume-policy lr), or with optim.clip_norm above 0 from its weights", errDiverged, t.Name, i, x, c.Meta.Step)
				}
			}
		}
	}
	return nil
}
