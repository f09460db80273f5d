package weights

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Names of the pointers to the newest checkpoint and the one with the greatest
// score.
const (
	LastName = "last.safetensors"
	BestName = "best.safetensors"
)

// Folder keeps the checkpoints of one run: step-00001200.safetensors and so on,
// with last.safetensors and best.safetensors as links to two of them. One process
// writes to a folder.
type Folder struct {
	dir   string
	keep  int
	saved []saved // by step
}

type saved struct {
	step  int64
	score *float64
}

// OpenFolder opens or makes the folder and removes what an interrupted process
// left half written. Beside the last and the best, the keep (at least 0)
// checkpoints with the greatest scores stay; those without a score rank behind,
// newer ones first. A checkpoint that cannot be read is an error: it is neither
// counted nor deleted in silence.
func OpenFolder(dir string, keep int) (*Folder, error) {
	if err := makeDir(dir); err != nil {
		return nil, fmt.Errorf("checkpoint folder %s: %w", dir, cause(err))
	}
	if err := removePartials(dir); err != nil {
		return nil, fmt.Errorf("checkpoint folder %s: %w", dir, cause(err))
	}
	f := &Folder{dir: dir, keep: max(keep, 0)}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("checkpoint folder %s: %w", dir, cause(err))
	}
	for _, e := range entries {
		digits, ok := strings.CutPrefix(e.Name(), "step-")
		if digits, ok = strings.CutSuffix(digits, ".safetensors"); !ok {
			continue
		}
		step, err := strconv.ParseInt(digits, 10, 64)
		if err != nil || stepName(step) != e.Name() {
			continue
		}
		m, err := LoadMeta(filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, fmt.Errorf("%w; move the file away to go on without it", err)
		}
		f.saved = append(f.saved, saved{step, m.Score})
	}
	slices.SortFunc(f.saved, func(a, b saved) int { return cmp.Compare(a.step, b.step) })
	return f, nil
}

// Path returns where the checkpoint of a step lies or would lie.
func (f *Folder) Path(step int64) string { return filepath.Join(f.dir, stepName(step)) }

func stepName(step int64) string { return fmt.Sprintf("step-%08d.safetensors", step) }

// Save writes the checkpoint of c.Meta.Step, points last (and best, where its
// score is the greatest) to it and deletes what is not kept any more. Saving a
// step again replaces it. After an error last and best are as before, or already
// name the complete new file.
func (f *Folder) Save(c *Checkpoint) (path string, err error) {
	path = f.Path(c.Meta.Step)
	if err := Save(path, c); err != nil {
		return "", err
	}
	f.saved = slices.DeleteFunc(f.saved, func(s saved) bool { return s.step == c.Meta.Step })
	f.saved = append(f.saved, saved{c.Meta.Step, finite(c.Meta.Score)})
	if err := f.point(LastName, c.Meta.Step); err != nil {
		return "", err
	}
	if best, ok := f.best(); ok {
		if err := f.point(BestName, best); err != nil {
			return "", err
		}
	}
	return path, f.prune(c.Meta.Step)
}

// Last returns the path of the newest checkpoint; false where there is none.
func (f *Folder) Last() (string, bool) {
	path := filepath.Join(f.dir, LastName)
	if _, err := os.Stat(path); err == nil {
		return path, true
	}
	if len(f.saved) == 0 {
		return "", false
	}
	return f.Path(f.saved[len(f.saved)-1].step), true
}

// ranked orders by score, the greatest first, then by step, the newest first.
func (f *Folder) ranked() []saved {
	out := slices.Clone(f.saved)
	slices.SortFunc(out, func(a, b saved) int {
		switch {
		case (a.score == nil) != (b.score == nil):
			if a.score != nil {
				return -1
			}
			return 1
		case a.score != nil && *a.score != *b.score:
			return cmp.Compare(*b.score, *a.score)
		}
		return cmp.Compare(b.step, a.step)
	})
	return out
}

func (f *Folder) best() (int64, bool) {
	r := f.ranked()
	if len(r) == 0 || r[0].score == nil {
		return 0, false
	}
	return r[0].step, true
}

// point makes name a link to the checkpoint of a step, replacing it atomically.
func (f *Folder) point(name string, step int64) error {
	temp := filepath.Join(f.dir, "."+name+tempSuffix)
	os.Remove(temp)
	err := os.Symlink(stepName(step), temp)
	if err == nil {
		err = os.Rename(temp, filepath.Join(f.dir, name))
	}
	if err == nil {
		err = syncDir(f.dir)
	}
	if err != nil {
		os.Remove(temp)
		return fmt.Errorf("cannot point %s to %s: %w", filepath.Join(f.dir, name), stepName(step), cause(err))
	}
	return nil
}

func (f *Folder) prune(last int64) error {
	keep := map[int64]bool{last: true}
	if best, ok := f.best(); ok {
		keep[best] = true
	}
	room := f.keep
	for _, s := range f.ranked() {
		if !keep[s.step] && room > 0 {
			keep[s.step] = true
			room--
		}
	}
	var faults []error
	f.saved = slices.DeleteFunc(f.saved, func(s saved) bool {
		if keep[s.step] {
			return false
		}
		for _, p := range []string{f.Path(s.step), strings.TrimSuffix(f.Path(s.step), ".safetensors") + ".json"} {
			if err := os.Remove(p); err != nil && !os.IsNotExist(err) {
				faults = append(faults, fmt.Errorf("cannot delete old checkpoint %s: %w", p, cause(err)))
			}
		}
		return true
	})
	return errors.Join(faults...)
}
