package data

import (
	"errors"
	"fmt"
	"io"
	"sort"
	"sync"
	"time"

	"manvision/data/augment"
)

// BadPolicy says what happens when an image, or the label map that goes with it,
// cannot be read or decoded.
type BadPolicy int

const (
	// FailOnBad makes Next return the image's error.
	FailOnBad BadPolicy = iota
	// SkipBad puts another image in its place: of the indices after it
	// (cyclically, in the Source's order) the first that can be read and, resized
	// by its own random numbers, fits the batch's canvas; if none fits, the first
	// that can be read, shrunk to fit. Stats lists what was skipped;
	// Sample.Replaces marks the substitute.
	SkipBad
)

// LoaderConfig sets up a Loader. Its zero value reads batches of one, in order,
// without end, on one worker.
type LoaderConfig struct {
	Batch   int    // images a batch; 0: 1
	Shuffle bool   // a new order each epoch
	Last    Last   // what becomes of an incomplete last batch
	Seed    uint64 // of order and augmentation
	Epochs  int64  // Next returns io.EOF after so many; 0: endless
	Augment augment.Config

	// Labels fills Batch.Labels. The source must be a LabelSource. Evaluation does
	// without: it wants the label map as it is, from LabelSource.Labels.
	Labels bool

	// MinBox drops boxes that are narrower or lower on the canvas, in pixels; 0:
	// 1 pixel.
	MinBox float32
	// Canvases bounds the shapes batches can have: each batch gets the smallest
	// that fits its images. Empty: the size of the crop or random part, or without
	// them the images' bounding size, rounded up to Multiple.
	Canvases []Canvas
	Multiple int // every canvas side is a multiple of it; 0: 32
	// GroupOrientation makes batches of upright images and batches of others
	// (wide or square), so that less of each canvas is padding.
	GroupOrientation bool

	Workers int // decoding threads; 0: 1
	// KeepPriority runs the workers at normal priority instead of nice 19. At
	// normal priority they slow a training step far beyond their own share,
	// because its threads wait for each other at barriers.
	KeepPriority bool
	// PrefetchBytes bounds the memory of batches made ahead of Next; one batch is
	// always allowed. 0: 128 MiB.
	PrefetchBytes int64
	OnBad         BadPolicy
}

// Skip is an image that SkipBad left out.
type Skip struct {
	Index int
	Err   error
}

// Stats are a Loader's counters since it was made.
type Stats struct {
	Batches, Images int64
	Boxes           int64         // handed out
	DroppedBoxes    int64         // below MinBox on the canvas
	Wait            time.Duration // Next blocked for so long
	Elapsed         time.Duration // from the first call of Next to the end of the last
	Work            augment.Times // of all workers together
	Skipped         []Skip        // unreadable images, each once, by index
}

// WaitShare is the share of the elapsed time that Next blocked, in [0,1].
func (s Stats) WaitShare() float64 {
	if s.Elapsed <= 0 {
		return 0
	}
	return float64(s.Wait) / float64(s.Elapsed)
}

// ErrClosed is returned by Next and SeekStep after Close.
var ErrClosed = errors.New("data: the loader is closed")

// Loader makes batches ahead of use on worker threads. Next, SeekStep, Recycle and
// Close are for one goroutine; Stats is for any.
type Loader struct {
	src      Source
	labels   LabelSource // nil without LoaderConfig.Labels
	classes  int         // of a ClassSource; 0 for others
	cfg      LoaderConfig
	sampler  *Sampler
	canvases canvases
	largest  []Canvas
	pool     batchPool

	next   int64 // step the next Next returns
	cur    *pipeline
	err    error // of the last Next, kept until SeekStep
	closed bool

	mu      sync.Mutex
	stats   Stats
	started time.Time
	bad     map[int]error
}

// NewLoader checks the settings against the data set (every image must fit a
// canvas) and returns a loader at step 0. Workers start with the first Next.
func NewLoader(src Source, cfg LoaderConfig) (*Loader, error) {
	defaults(&cfg.Batch, 1)
	defaults(&cfg.Workers, 1)
	if cfg.MinBox == 0 {
		cfg.MinBox = 1
	}
	if cfg.PrefetchBytes == 0 {
		cfg.PrefetchBytes = 128 << 20
	}
	switch {
	case cfg.Workers < 1 || cfg.Workers > 1024:
		return nil, fmt.Errorf("loader: %d workers, need 1 to 1024", cfg.Workers)
	case cfg.PrefetchBytes < 0:
		return nil, fmt.Errorf("loader: prefetch of %d bytes is negative", cfg.PrefetchBytes)
	case cfg.Epochs < 0:
		return nil, fmt.Errorf("loader: %d epochs is negative", cfg.Epochs)
	case !(cfg.MinBox >= 0):
		return nil, fmt.Errorf("loader: smallest box %v is negative", cfg.MinBox)
	case cfg.OnBad != FailOnBad && cfg.OnBad != SkipBad:
		return nil, fmt.Errorf("loader: unknown rule %d for bad images", cfg.OnBad)
	}
	if err := cfg.Augment.Validate(); err != nil {
		return nil, fmt.Errorf("loader: %w", err)
	}
	l := &Loader{src: src, cfg: cfg, bad: map[int]error{}}
	if cfg.Labels {
		var ok bool
		if l.labels, ok = src.(LabelSource); !ok {
			return nil, fmt.Errorf("loader: label maps are asked for, but the data set (%T) has none", src)
		}
	} else if cfg.Augment.Crop.Limited() {
		return nil, fmt.Errorf("loader: a crop that bounds the share of one class (%v) needs label maps", cfg.Augment.Crop.MaxShare)
	}
	if cfg.Labels && cfg.Augment.Crop.Outside() {
		return nil, errors.New("loader: a padded or central crop has no label maps")
	}
	if cs, ok := src.(ClassSource); ok {
		if l.classes = len(cs.ClassNames()); l.classes == 0 {
			return nil, fmt.Errorf("loader: the data set (%T) has no classes", src)
		}
	}
	var err error
	if l.canvases, err = newCanvases(cfg.Canvases, cfg.Multiple, cfg.Augment); err != nil {
		return nil, fmt.Errorf("loader: %w", err)
	}
	groups, err := l.survey()
	if err != nil {
		return nil, err
	}
	if l.sampler, err = NewSampler(src.Len(), cfg.Batch, cfg.Shuffle, cfg.Last, cfg.Seed, groups); err != nil {
		return nil, err
	}
	return l, nil
}

func defaults(v *int, d int) {
	if *v == 0 {
		*v = d
	}
}

// survey looks at every image's recorded size: does any size it can be resized
// to fit a canvas, which group is it in, what is the largest batch.
func (l *Loader) survey() ([]uint8, error) {
	n := l.src.Len()
	var groups []uint8
	if l.cfg.GroupOrientation {
		groups = make([]uint8, n)
	}
	var worst [2]Canvas // largest sides in each group
	a := l.cfg.Augment
	for i := 0; i < n; i++ {
		w, h := l.src.Size(i)
		if w == UnknownSize && h == UnknownSize {
			if err := l.unknown(i); err != nil {
				return nil, err
			}
			w, h, _ = a.Window()
		}
		if w < 1 || h < 1 {
			return nil, fmt.Errorf("loader: image %d (%s) has size %dx%d in its annotations", l.src.Item(i).ImageID, l.src.Item(i).Path, w, h)
		}
		g := uint8(0)
		if l.cfg.GroupOrientation && h > w {
			g, groups[i] = 1, 1
		}
		for k := 0; k < a.Resize.Choices(); k++ {
			iw, ih := a.MaxSize(w, h, k)
			if _, ok := l.canvases.fit(ih, iw); !ok {
				return nil, fmt.Errorf("loader: image %d (%s) is up to %dx%d after resizing (height x width) and fits none of the canvases %v; add a larger one, bound the long side or crop", l.src.Item(i).ImageID, l.src.Item(i).Path, ih, iw, l.canvases.list)
			}
			worst[g].H, worst[g].W = max(worst[g].H, ih), max(worst[g].W, iw)
		}
	}
	for _, k := range worst {
		if k.H == 0 {
			continue
		}
		c, ok := l.canvases.fit(k.H, k.W)
		if !ok {
			return nil, fmt.Errorf("loader: images of up to %d rows and of up to %d columns can meet in one batch and fit none of the canvases %v; add a larger one or group images by orientation", k.H, k.W, l.canvases.list)
		}
		if len(l.largest) == 0 || l.largest[0] != c {
			l.largest = append(l.largest, c)
		}
	}
	sort.Slice(l.largest, func(i, j int) bool { return l.largest[i].H*l.largest[i].W > l.largest[j].H*l.largest[j].W })
	return groups, nil
}

// unknown says whether an image whose size nobody knows can be used.
func (l *Loader) unknown(i int) error {
	why := ""
	if _, _, ok := l.cfg.Augment.Window(); !ok {
		why = "without a crop or random part there is no bound on it"
	}
	if l.cfg.GroupOrientation {
		why = "images cannot be grouped by orientation"
	}
	if l.labels != nil {
		why = "a label map needs it"
	}
	if why == "" {
		return nil
	}
	return fmt.Errorf("loader: the size of image %d (%s) is not known before its file is read, and %s", l.src.Item(i).ImageID, l.src.Item(i).Path, why)
}

// Canvases returns the canvases batches can have, largest first: the list of
// the settings without those larger than needed, or, if that was empty, the
// largest for each group of images (smaller ones occur then, too).
func (l *Loader) Canvases() []Canvas {
	if len(l.canvases.list) == 0 {
		return append([]Canvas(nil), l.largest...)
	}
	var out []Canvas
	for _, k := range l.canvases.list {
		if k.H*k.W <= l.largest[0].H*l.largest[0].W {
			out = append([]Canvas{k}, out...)
		}
	}
	return out
}

// StepsPerEpoch is the number of batches in an epoch.
func (l *Loader) StepsPerEpoch() int64 { return l.sampler.StepsPerEpoch() }

// SeekStep makes the next batch that of a global step. Whatever was made ahead is
// thrown away; the cost does not depend on the distance.
func (l *Loader) SeekStep(step int64) error {
	if l.closed {
		return ErrClosed
	}
	if step < 0 {
		return fmt.Errorf("loader: step %d is negative", step)
	}
	l.halt()
	l.next, l.err = step, nil
	return nil
}

// Step is the global step of the batch that Next will return.
func (l *Loader) Step() int64 { return l.next }

// Next returns the next batch and blocks until it is ready. It returns io.EOF
// after the last epoch and otherwise an *augment.ImageError where an image is
// unusable or the LabelSource's error where a label map is; an error stays until
// SeekStep. The batch belongs to the caller until Recycle.
func (l *Loader) Next() (*Batch, error) {
	if l.closed {
		return nil, ErrClosed
	}
	if l.err != nil {
		return nil, l.err
	}
	start := time.Now()
	l.mu.Lock()
	if l.started.IsZero() {
		l.started = start
	}
	l.mu.Unlock()
	if l.cur == nil {
		l.cur = l.start(l.next)
	}
	b, err := l.cur.take()
	now := time.Now()
	l.mu.Lock()
	l.stats.Wait += now.Sub(start)
	l.stats.Elapsed = now.Sub(l.started)
	if err == nil {
		l.stats.Batches++
		l.stats.Images += int64(len(b.Samples))
		for i := range b.Samples {
			l.stats.Boxes += int64(len(b.Samples[i].Boxes))
			l.stats.DroppedBoxes += int64(b.Samples[i].Dropped)
		}
	}
	l.mu.Unlock()
	if err != nil {
		l.halt()
		if err != io.EOF {
			err = fmt.Errorf("loader: step %d: %w", l.next, err)
		}
		l.err = err
		return nil, err
	}
	l.next++
	return b, nil
}

// Recycle gives a batch's memory back for reuse. The batch and its slices must
// not be used afterwards. Batches that are never recycled are left to the
// garbage collector.
func (l *Loader) Recycle(b *Batch) {
	if b != nil && !l.closed {
		l.pool.put(b)
	}
}

// Stats returns the counters so far.
func (l *Loader) Stats() Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.stats
	s.Skipped = make([]Skip, 0, len(l.bad))
	for i, err := range l.bad {
		s.Skipped = append(s.Skipped, Skip{i, err})
	}
	sort.Slice(s.Skipped, func(i, j int) bool { return s.Skipped[i].Index < s.Skipped[j].Index })
	return s
}

// Close stops the workers and frees their images. It may be called twice.
func (l *Loader) Close() {
	l.halt()
	l.closed = true
	l.pool.drop()
}

func (l *Loader) halt() {
	if l.cur != nil {
		l.cur.stop()
		l.cur = nil
	}
}
