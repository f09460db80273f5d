package train

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"manvision/weights"
)

// interrupted trains the tiny recipe for three steps of seven.
func interrupted(t *testing.T, root, out string, sets ...string) {
	t.Helper()
	if _, err := Run(context.Background(), recipe(t, root, out, sets...), Options{Open: openCPU, StopAfter: 3}); !errors.Is(err, ErrInterrupted) {
		t.Fatal(err)
	}
}

func TestResumePolicies(t *testing.T) {
	const group = "optim.groups=[{match: '*', lr_scale: 0.5}]"
	before := recipe(t, "/root", "/out", group)
	data := &dataIdentity{Images: 12, Hash: "a"}
	for _, c := range []struct {
		set   string
		needs ResumePolicy
		line  string
	}{
		{"data.workers=1", ResumeStrict, "data.workers: 2 -> 1"},
		{"train.log_every=1", ResumeStrict, "train.log_every: 2 -> 1"},
		{"train.steps=9", ResumeStrict, "train.steps: 7 -> 9"},
		{"eval.score_threshold=0.5", ResumeStrict, "eval.score_threshold: "},
		{"data.root=/elsewhere", ResumeStrict, "data.root: "},
		{"optim.lr=0.02", ResumeLR, "optim.lr: 0.01 -> 0.02 (--set optim.lr=0.02)"},
		{"schedule.name=constant", ResumeLR, "schedule.name: cosine -> constant"},
		{"optim.groups=[{match: '*', lr_scale: 0.1}]", ResumeLR, "optim.groups: "},
		{"threads=1", ResumeLR, "threads: 2 -> 1"},
		{"manpp.concurrency=2", ResumeLR, "manpp.concurrency: 1 -> 2"},
		{"tune=true", ResumeLR, "tune: false -> true"},
		{"train.accumulate=2", ResumeWeights, "train.accumulate: 1 -> 2 (--set train.accumulate=2)"},
		{"train.batch=2", ResumeWeights, "train.batch: 4 -> 2"},
		{"precision=bf16", ResumeWeights, "precision: f32 -> bf16"},
		{"optim.clip=block", ResumeWeights, "optim.clip: global -> block"},
		{"optim.name=adamw", ResumeWeights, "optim.name: sgd -> adamw"},
		{"optim.groups=[{match: '*', frozen: true}]", ResumeWeights, "optim.groups: "},
		{"data.flip=0.25", ResumeWeights, "data.flip: "},
		{"seed=4", ResumeWeights, "seed: "},
		{"train.weight_ema=0.5", ResumeWeights, "train.weight_ema: 0 -> 0.5"},
	} {
		got := changes(before, recipe(t, "/root", "/out", group, c.set), 2, data, data)
		if len(got) != 1 || got[0].policy != c.needs || !strings.HasPrefix(got[0].String(), c.line) {
			t.Errorf("%s: %v", c.set, got)
		}
	}
	if got := changes(before, before, 2, data, &dataIdentity{Images: 12, Hash: "b"}); len(got) != 1 || got[0].policy != ResumeWeights {
		t.Errorf("other data: %v", got)
	}
	if got := changes(before, before, 4, nil, data); len(got) != 1 || got[0].policy != ResumeLR || got[0].Old != "4" {
		t.Errorf("another machine: %v", got)
	}
	if _, err := ParseResumePolicy("x"); err == nil {
		t.Error("unknown policy taken")
	}
}

// What strict refuses is named with the policy that allows it, and that one does.
func TestResumeWithAnotherRate(t *testing.T) {
	root := t.TempDir()
	out := filepath.Join(root, "run")
	interrupted(t, root, out)
	o := Options{Open: openCPU, Resume: true, StopAfter: 4}
	_, err := Run(context.Background(), recipe(t, root, out, "optim.lr=0.02"), o)
	var refused *PolicyError
	if !errors.As(err, &refused) || refused.Needs != ResumeLR || !strings.Contains(err.Error(), "optim.lr: 0.01 -> 0.02 (--set optim.lr=0.02); allowed by lr") {
		t.Errorf("strict: %v", err)
	}
	o.Policy = ResumeLR
	if res, err := Run(context.Background(), recipe(t, root, out, "optim.lr=0.02"), o); !errors.Is(err, ErrInterrupted) || res.Step != 4 {
		t.Errorf("lr: %v", err)
	}
}

// Other training data is found whatever its folder is called; the same data elsewhere is
// the same.
func TestResumeKnowsItsData(t *testing.T) {
	root := t.TempDir()
	out := filepath.Join(root, "run")
	interrupted(t, root, out)
	moved := filepath.Join(root, "moved")
	if err := os.Rename(filepath.Join(root, "shapes"), moved); err != nil {
		t.Fatal(err)
	}
	o := Options{Open: openCPU, Resume: true, StopAfter: 4}
	if _, err := Run(context.Background(), recipe(t, root, out, "data.root="+moved), o); !errors.Is(err, ErrInterrupted) {
		t.Errorf("moved data: %v", err)
	}
	o.StopAfter = 5
	_, err := Run(context.Background(), recipe(t, root, out, "data.shapes.seed=8"), o)
	var refused *PolicyError
	if !errors.As(err, &refused) || refused.Needs != ResumeWeights || !strings.Contains(err.Error(), "training data: 12 images, ") {
		t.Errorf("other data: %v", err)
	}
}

// More steps on resume: the rate is a function of step and length alone, so a schedule
// that does not follow the length ends as a run that was as long from the start.
func TestResumeExtends(t *testing.T) {
	root := t.TempDir()
	long := []string{"schedule.name=multistep", "schedule.milestones=[5]", "train.steps=9"}
	whole, err := Run(context.Background(), recipe(t, root, filepath.Join(root, "whole"), long...), Options{Open: openCPU})
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(root, "run")
	if _, err := Run(context.Background(), recipe(t, root, out, append(long, "train.steps=4")...), Options{Open: openCPU}); err != nil {
		t.Fatal(err)
	}
	rest, err := Run(context.Background(), recipe(t, root, out, long...), Options{Open: openCPU, Resume: true})
	if err != nil || rest.Step != 9 {
		t.Fatal(rest, err)
	}
	same(t, whole.Checkpoint, rest.Checkpoint)

	// A cosine stretches, and the run says so.
	out = filepath.Join(root, "cosine")
	if _, err := Run(context.Background(), recipe(t, root, out), Options{Open: openCPU}); err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	if _, err := Run(context.Background(), recipe(t, root, out, "train.steps=0", "train.epochs=3"), Options{Open: openCPU, Resume: true, Say: func(s string) { said.WriteString(s) }}); err != nil {
		t.Fatal(err)
	}
	// Half a cosine over the steps 3 to 7 ends at 0, over 3 to 9 it is at
	// 0.01*(1+cos(pi*4/6))/2 = 0.0025.
	if !strings.Contains(said.String(), "the run has 9 steps, was 7: the learning rate of step 8 is 0.0025, was to be 0") {
		t.Error(said.String())
	}
}

func TestResumeAuto(t *testing.T) {
	root := t.TempDir()
	out := filepath.Join(root, "run")
	whole, err := Run(context.Background(), recipe(t, root, filepath.Join(root, "whole")), Options{Open: openCPU})
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Open: openCPU, ResumeAuto: true, StopAfter: 3}
	if res, err := Run(context.Background(), recipe(t, root, out), o); !errors.Is(err, ErrInterrupted) || res.Step != 3 {
		t.Fatal(res, err)
	}
	o.StopAfter = 0
	res, err := Run(context.Background(), recipe(t, root, out), o)
	if err != nil {
		t.Fatal(err)
	}
	same(t, whole.Checkpoint, res.Checkpoint)
	o.Policy = ResumeWeights
	if _, err := Run(context.Background(), recipe(t, root, out), o); err == nil {
		t.Error("weights are taken automatically")
	}
}

// Policy weights is a start at step 0 with the checkpoint's parameters and statistics, of
// auxiliary networks too, and an optimizer without past; the earlier run stays beside.
func TestResumeWeights(t *testing.T) {
	root := t.TempDir()
	out := filepath.Join(root, "run")
	interrupted(t, root, out)
	before, err := weights.Load(filepath.Join(out, checkpointFolder, weights.LastName))
	if err != nil {
		t.Fatal(err)
	}
	// A rate so small that the weights do not move.
	res, err := Run(context.Background(), recipe(t, root, out, "optim.lr=1e-30", "optim.name=adamw", "optim.weight_decay=0", "seed=5", "manpp.ema_momentum=1", "train.steps=4"), Options{Open: openCPU, Resume: true, Policy: ResumeWeights})
	if err != nil || res.Step != 4 {
		t.Fatal(res, err)
	}
	after, err := weights.Load(res.Checkpoint)
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range before.Params {
		if !equal(p.Data, after.Params[i].Data) {
			t.Errorf("%s differs", p.Name)
		}
	}
	earlier := filepath.Join(out, "earlier-1")
	if m, err := weights.LoadMeta(filepath.Join(earlier, checkpointFolder, weights.LastName)); err != nil || m.Step != 3 {
		t.Error(m, err)
	}
	if _, err := os.Stat(filepath.Join(earlier, logJSON)); err != nil {
		t.Error(err)
	}
}
