package train

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"manvision/config"
	"manvision/device"
	"manvision/weights"
)

const (
	// mostAtOnce is the greatest number of blocks at once that manpp.concurrency auto tries.
	mostAtOnce = 8
	// noise is how much faster more blocks at once must be than fewer, as a share.
	noise = 0.05
)

// pace is how long a training step takes, in seconds, as the median of so many.
type pace struct {
	seconds float64
	steps   int
}

// pacer measures steps with fewer and with more blocks at once, in turn.
type pacer func(fewer, more int) (a, b pace, err error)

// atOnce lists the numbers of blocks at once, rising, that manpp.concurrency auto chooses
// from for a network of so many blocks; where that is one alone, why says what is against
// others.
func atOnce(cfg *config.Config, dev device.Device, blocks int) (numbers []int, why string) {
	numbers = []int{1}
	if why = cfg.OneAtATime(); why != "" {
		return numbers, why
	}
	most := min(dev.Threads(), blocks, mostAtOnce)
	_, ok := dev.(device.Laner)
	switch {
	case !ok:
		return numbers, fmt.Sprintf("device %s runs one block at a time", dev.Name())
	case dev.Threads() < 2:
		return numbers, "there is one thread"
	case blocks < 2:
		return numbers, "there is one block"
	}
	for n := 2; n <= most; n *= 2 {
		numbers = append(numbers, n)
	}
	return numbers, ""
}

// choose takes the first of the numbers of blocks at once behind which the next is no
// faster beyond noise, and says how in words. Where a number cannot be measured those
// below it are what there is to choose from; the error is for a cancelled context.
func choose(numbers []int, measure pacer) (n int, how string, err error) {
	var said []string
	n = numbers[0]
	for _, more := range numbers[1:] {
		a, b, err := measure(n, more)
		if errors.Is(err, context.Canceled) {
			return 0, "", fmt.Errorf("manpp.concurrency auto: stopped while measuring, before the first step: %w", err)
		}
		if err != nil {
			said = append(said, fmt.Sprintf("%d at once: %v", more, err))
			break
		}
		said = append(said, fmt.Sprintf("a step takes %.3g s with %d, %.3g s with %d (medians of %d)", a.seconds, n, b.seconds, more, b.steps))
		if b.seconds >= a.seconds*(1-noise) {
			break
		}
		n = more
	}
	return n, strings.Join(said, "; "), nil
}

// decide puts a number in place of the recipe's manpp.concurrency auto: the one of the
// checkpoint that the run goes on from, else what a measurement says.
func (r *run) decide(ctx context.Context, task Task) error {
	n, how, err := r.blocksAtOnce(ctx, task)
	if err != nil {
		return err
	}
	r.cfg = r.cfg.WithConcurrency(n, how)
	what := "one block at a time"
	if n > 1 {
		what = fmt.Sprintf("%d blocks at once", n)
	}
	r.o.Say(fmt.Sprintf("manpp.concurrency auto: %s: %s", what, how))
	return nil
}

func (r *run) blocksAtOnce(ctx context.Context, task Task) (n int, how string, err error) {
	if why := r.cfg.OneAtATime(); why != "" {
		return 1, why, nil
	}
	if r.folder, err = r.openFolder(); err != nil {
		return 0, "", err
	}
	last, err := r.begins()
	if err != nil {
		return 0, "", err
	}
	if last != "" && r.o.Policy != ResumeWeights {
		return stored(last, Threads(r.cfg))
	}
	start := time.Now()
	s, numbers, why, err := r.newStage(task)
	if err != nil {
		return 0, "", err
	}
	defer s.close()
	if why != "" {
		return 1, why, nil
	}
	measure := r.o.pacer
	if measure == nil {
		r.o.Say("manpp.concurrency auto: measuring steps of the network on made-up images, for some seconds")
		measure = func(fewer, more int) (a, b pace, err error) { return s.compare(ctx, fewer, more) }
	}
	n, how, err = choose(numbers, measure)
	return n, fmt.Sprintf("%s; %.1f s of measuring", how, time.Since(start).Seconds()), err
}

// stored is the number of blocks at once of the checkpoint at path, but at most threads.
func stored(path string, threads int) (n int, how string, err error) {
	meta, err := weights.LoadMeta(path)
	if err != nil {
		return 0, "", err
	}
	before, err := config.Parse(path, []byte(meta.Config), nil)
	if err != nil {
		return 0, "", fmt.Errorf("%s: the recipe in the checkpoint: %w; --resume-policy weights takes its weights alone", path, err)
	}
	return max(1, min(int(before.MANPP.Concurrency), threads)), "as in the checkpoint that the run goes on from", nil
}

// openFolder opens the run's folder of checkpoints.
func (r *run) openFolder() (*weights.Folder, error) {
	if r.folder != nil {
		return r.folder, nil
	}
	return weights.OpenFolder(filepath.Join(r.cfg.Output, checkpointFolder), r.cfg.Train.Keep)
}
