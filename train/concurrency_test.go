package train

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"manvision/config"
)

// A run with two blocks at once on two threads has the bits of one with one block at a
// time on one thread, also when it was interrupted; going on with another number of
// blocks at once is refused.
func TestConcurrency(t *testing.T) {
	root := t.TempDir()
	run := func(name string, o Options, sets ...string) (*Result, error) {
		o.Open = openCPU
		return Run(context.Background(), recipe(t, root, filepath.Join(root, name), sets...), o)
	}
	const two = "manpp.concurrency=2"
	one, err := run("one", Options{}, "threads=1")
	if err != nil {
		t.Fatal(err)
	}
	whole, err := run("two", Options{}, two)
	if err != nil {
		t.Fatal(err)
	}
	same(t, one.Checkpoint, whole.Checkpoint)
	if _, err := run("halves", Options{StopAfter: 3}, two); !errors.Is(err, ErrInterrupted) {
		t.Fatal(err)
	}
	_, err = run("halves", Options{Resume: true})
	var refused *PolicyError
	if !errors.As(err, &refused) || refused.Needs != ResumeLR || !strings.Contains(err.Error(), "manpp.concurrency: 2 -> 1") {
		t.Errorf("resumed one by one: %v", err)
	}
	halves, err := run("halves", Options{Resume: true}, two)
	if err != nil {
		t.Fatal(err)
	}
	same(t, whole.Checkpoint, halves.Checkpoint)
	// Evaluation takes a little beside the plan of a step, in both runs alike.
	if m, o := whole.Memory, one.Memory; m.Allocated-m.Planned > o.Allocated-o.Planned || m.Planned <= o.Planned {
		t.Errorf("%d bytes allocated, %d planned; one by one %d and %d", m.Allocated, m.Planned, o.Allocated, o.Planned)
	}
}

// What blocks at once do not go with is an error of the recipe.
func TestConcurrencyRefused(t *testing.T) {
	for _, c := range []struct{ sets, want string }{
		{"manpp.concurrency=3 threads=2", "at most one block a thread"},
		{"manpp.concurrency=2 manpp.strategy=e2e", "strategy e2e has one block"},
		{"manpp.concurrency=2 optim.clip_norm=1 optim.clip=block", "set optim.clip to global"},
		{"manpp.concurrency=2 manpp.partition=balanced manpp.blocks=0 manpp.memory_limit=1GiB", "manpp.memory_limit"},
		{"manpp.concurrency=0", "manpp.concurrency"},
	} {
		_, err := config.Parse("tiny.yaml", []byte(tiny), append(strings.Fields(c.sets), "data.root=/x", "output=/y"))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.sets, err)
		}
	}
	out := filepath.Join(t.TempDir(), "out")
	_, err := Run(context.Background(), recipe(t, t.TempDir(), out, "manpp.concurrency=8", "threads=8"), Options{Open: openCPU})
	if err == nil || !strings.Contains(err.Error(), "8 blocks at once of ") {
		t.Errorf("more than blocks: %v", err)
	}
}
