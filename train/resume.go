package train

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"manvision/config"
	"manvision/weights"
)

// ResumePolicy says what may differ between a recipe and the one of the checkpoint that
// a run goes on from.
type ResumePolicy string

// Policies, each allowing more than the one before it. Settings that change no bit of
// the weights, such as data.workers or train.log_every, may differ under all of them, and
// so may the length of the run: more steps or epochs stretch a schedule that follows it.
const (
	// ResumeStrict, the default, wants all other settings and the training data equal:
	// the resumed run ends with the bits of one that was never stopped.
	ResumeStrict ResumePolicy = "strict"
	// ResumeLR lets the learning rate, its schedule, the number of threads, that of
	// blocks at once and whether algorithms are timed change.
	ResumeLR ResumePolicy = "lr"
	// ResumeWeights takes the weights alone, of an equal network, and begins at step 0
	// with a fresh optimizer. What the earlier run left moves to OUTPUT/earlier-N.
	ResumeWeights ResumePolicy = "weights"
)

// ParseResumePolicy reads a policy's name; "" is strict.
func ParseResumePolicy(name string) (ResumePolicy, error) {
	switch p := ResumePolicy(name); p {
	case "":
		return ResumeStrict, nil
	case ResumeStrict, ResumeLR, ResumeWeights:
		return p, nil
	}
	return "", fmt.Errorf("resume policy %q is not one of strict, lr, weights", name)
}

// harmless are keys, and sections that end in a dot, that change no bit of the weights
// that a training step makes, or that something else compares: the cuts and the training
// data are parts of a checkpoint.
var harmless = []string{
	"name", "output", "expect", "eval.", "model.pretrained", "model.pretrained_share",
	"manpp.partition", "manpp.published", "manpp.stem", "manpp.cuts", "manpp.blocks", "manpp.memory_limit",
	"data.root", "data.train.", "data.val.", "data.shapes.", "data.workers", "data.prefetch", "data.prefetch_mib", "data.on_bad_image", "data.skip_bad_boxes",
	"data.classification.ground_truth", "data.classification.ids", "data.classification.names",
	"train.steps", "train.epochs", "train.eval_every", "train.checkpoint_every", "train.log_every", "train.keep",
	"train.on_nan", "train.nan_limit", "train.tensorboard",
}

// rates are the keys of the learning rate, how threads are shared out, and whether
// algorithms are timed.
var rates = []string{"optim.lr", "schedule.", "manpp.concurrency", "tune"}

func isOf(keys []string, key string) bool {
	return slices.ContainsFunc(keys, func(k string) bool {
		return key == k || strings.HasSuffix(k, ".") && strings.HasPrefix(key, k)
	})
}

// change is a setting that differs from the checkpoint's, and the least policy that
// allows it.
type change struct {
	config.Change
	policy ResumePolicy
}

// changes compares a recipe with the one of a checkpoint. threads and data are what that
// run had, "" where the checkpoint does not tell.
func changes(before, after *config.Config, threads int, oldData, newData *dataIdentity) []change {
	var out []change
	for _, c := range config.Diff(before, after) {
		policy := ResumeWeights
		switch {
		case isOf(harmless, c.Key):
			policy = ResumeStrict
		case c.Key == "threads":
			continue
		case isOf(rates, c.Key), c.Key == "optim.groups" && onlyRates(before.Optim.Groups, after.Optim.Groups):
			policy = ResumeLR
		}
		out = append(out, change{c, policy})
	}
	if threads == 0 {
		threads = Threads(before)
	}
	if now := Threads(after); now != threads {
		out = append(out, change{config.Change{Key: "threads", Old: fmt.Sprint(threads), New: fmt.Sprint(now), Source: after.Source("threads")}, ResumeLR})
	}
	if oldData != nil && *oldData != *newData {
		out = append(out, change{config.Change{Key: "training data", Old: oldData.String(), New: newData.String(), Source: after.Source("data.root")}, ResumeWeights})
	}
	return out
}

// onlyRates reports whether groups differ in nothing but the factor of the rate.
func onlyRates(a, b []config.Group) bool {
	strip := func(list []config.Group) []byte {
		list = slices.Clone(list)
		for i := range list {
			list[i].LRScale = nil
		}
		text, _ := json.Marshal(list)
		return text
	}
	return string(strip(a)) == string(strip(b))
}

// allows reports whether p allows what needs at least least.
func (p ResumePolicy) allows(least ResumePolicy) bool {
	order := []ResumePolicy{ResumeStrict, ResumeLR, ResumeWeights}
	return slices.Index(order, p) >= slices.Index(order, least)
}

// PolicyError says that settings changed which the policy does not allow.
type PolicyError struct {
	Path   string
	Policy ResumePolicy
	Needs  ResumePolicy // the least policy that allows all of them
	// Changes are lines "optim.lr: 0.01 -> 0.02 (recipe.yaml:9); allowed by lr".
	Changes []string
}

// Error lists the changes and what to do.
func (e *PolicyError) Error() string {
	how := "--resume-policy lr goes on from the checkpoint with them"
	if e.Needs == ResumeWeights {
		how = "--resume-policy weights takes the checkpoint's weights and begins at step 0 with a fresh optimizer"
	}
	return fmt.Sprintf("%s: settings are no longer those of the checkpoint, and policy %s does not allow these to change:\n  %s\ntake them back, or %s",
		e.Path, e.Policy, strings.Join(e.Changes, "\n  "), how)
}

// runState is what a checkpoint keeps beside weights and optimizer (Meta.Extra["run"]).
type runState struct {
	Threads int           `json:"threads"` // that the run had, all cores counted
	Skipped int           `json:"skipped_steps"`
	Data    *dataIdentity `json:"data"`
}

// scheduleState is Meta.Schedule.
type scheduleState struct {
	Steps int64 `json:"steps"` // length of the run
}

// resume goes on from the checkpoint at path as the policy says.
func (r *run) resume(path string) error {
	policy, err := ParseResumePolicy(string(r.o.Policy))
	if err != nil {
		return err
	}
	n := r.model.Net()
	c, err := weights.Load(path)
	if err != nil {
		return err
	}
	if err := c.Meta.Identity.CheckResume(path, n.Identity()); err != nil {
		return err
	}
	if err := n.checkClasses(path, c.Meta.IDMap); err != nil {
		return err
	}
	var state runState
	if raw, ok := c.Meta.Extra["run"]; ok {
		if err := json.Unmarshal(raw, &state); err != nil {
			return fmt.Errorf("%s: state of the run: %w", path, err)
		}
	}
	before, err := config.Parse(path, []byte(c.Meta.Config), nil)
	switch {
	case err != nil && policy != ResumeWeights:
		return fmt.Errorf("%s: the recipe in the checkpoint: %w; --resume-policy weights takes its weights alone", path, err)
	case err == nil:
		if err := r.compare(path, policy, before, state); err != nil {
			return err
		}
	}
	report, err := n.setAll(path, append(append([]weights.Tensor{}, c.Params...), c.Buffers...), "")
	if err != nil {
		return err
	}
	r.o.Say(fmt.Sprintf("%s:\n%s", path, report))
	if policy == ResumeWeights {
		r.o.Say(fmt.Sprintf("weights of step %d of %s; the optimizer begins afresh at step 0", c.Meta.Step, path))
		if err := r.archive(); err != nil {
			return err
		}
		return r.startAverage()
	}
	if r.average, err = n.restore(r.tr, path, c); err != nil {
		return err
	}
	r.step, r.skipped = c.Meta.Step, state.Skipped
	r.saved, r.path = r.step, path
	r.o.Say(fmt.Sprintf("resumed after step %d from %s", r.step, path))
	return r.stretch(before, c.Meta.Schedule)
}

// compare says what changed since the checkpoint, and refuses what the policy does not
// allow.
func (r *run) compare(path string, policy ResumePolicy, before *config.Config, state runState) error {
	refused := &PolicyError{Path: path, Policy: policy, Needs: ResumeLR}
	var allowed []string
	list := changes(before, r.cfg, state.Threads, state.Data, r.data)
	if before.Tune && r.cfg.Tune && r.choices == nil {
		list = append(list, change{config.Change{Key: tuningJSON, Old: "the run's choices", New: "missing", Source: r.cfg.Source("tune")}, ResumeLR})
	}
	for _, c := range list {
		switch {
		case policy.allows(c.policy):
			allowed = append(allowed, c.String())
		default:
			refused.Changes = append(refused.Changes, fmt.Sprintf("%s; allowed by %s", c.Change, c.policy))
			if c.policy == ResumeWeights {
				refused.Needs = ResumeWeights
			}
		}
	}
	if refused.Changes != nil {
		return refused
	}
	if allowed != nil {
		r.o.Say("changed since the checkpoint:\n  " + strings.Join(allowed, "\n  "))
	}
	if state.Data == nil {
		r.o.Say("the checkpoint does not tell its training data, which is not compared")
	}
	return nil
}

// stretch says what another length of the run makes of the learning rate.
func (r *run) stretch(before *config.Config, raw json.RawMessage) error {
	var s scheduleState
	if raw == nil || json.Unmarshal(raw, &s) != nil || s.Steps == r.total {
		return nil
	}
	was, err := before.LRSchedule(int(s.Steps))
	if err != nil {
		return err
	}
	now := r.tr.Opt.Schedule
	r.o.Say(fmt.Sprintf("the run has %d steps, was %d: the learning rate of step %d is %.4g, was to be %.4g", r.total, s.Steps, r.step+1, now.LR(r.step), was.LR(r.step)))
	return nil
}

// archive moves everything that an earlier run left in the output folder into a new
// folder earlier-N of it, the checkpoints last.
func (r *run) archive() error {
	dir, err := newFolder(r.cfg.Output, "earlier-")
	if err != nil {
		return err
	}
	for _, name := range []string{logJSON, logCSV, metricsJSON, boardFolder, nanFolder, tuningJSON, "loss.png", "result.json", "config.yaml", checkpointFolder} {
		if err := os.Rename(filepath.Join(r.cfg.Output, name), filepath.Join(dir, name)); err != nil && !os.IsNotExist(err) {
			return fmt.Errorf("move the earlier run away: %w", err)
		}
	}
	r.o.Say(fmt.Sprintf("the earlier run is in %s", dir))
	r.folder, err = weights.OpenFolder(filepath.Join(r.cfg.Output, checkpointFolder), r.cfg.Train.Keep)
	return err
}

// newFolder makes the first folder prefix1, prefix2 ... in dir that does not exist.
func newFolder(dir, prefix string) (string, error) {
	for i := 1; ; i++ {
		path := filepath.Join(dir, fmt.Sprint(prefix, i))
		err := os.Mkdir(path, 0o777)
		if err == nil || !os.IsExist(err) {
			return path, err
		}
	}
}
