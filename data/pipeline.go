package data

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"manvision/data/augment"
	"manvision/data/labelmap"
)

// pipeline is one uninterrupted run of a loader: a planner that decides each
// batch's indices, random parameters and canvas, and workers that draw one
// sample at a time straight into the batch.
type pipeline struct {
	l      *Loader
	jobs   chan job
	ready  chan *pending // in step order
	quit   chan struct{}
	wg     sync.WaitGroup
	budget budget
}

// pending is a batch being made.
type pending struct {
	batch *Batch
	bytes int64
	plans []planned    // by slot
	left  atomic.Int32 // slots to draw
	done  chan struct{}

	mu   sync.Mutex
	slot int // of err
	err  error
}

// planned is what is decided about a slot before any file is read.
type planned struct {
	index  int
	params augment.Params
}

// job is the slots [from, to) of a batch.
type job struct {
	p        *pending
	from, to int
}

// Pixels a job has at least, where the batch has so many: to wake a worker costs
// more than to draw a small image.
const jobPixels = 1 << 15

// Batches in the making at once, however small they are.
const maxAhead = 64

func (l *Loader) start(step int64) *pipeline {
	p := &pipeline{
		l:     l,
		jobs:  make(chan job, l.cfg.Workers),
		ready: make(chan *pending, maxAhead),
		quit:  make(chan struct{}),
	}
	p.budget.limit = l.cfg.PrefetchBytes
	p.budget.cond.L = &p.budget.mu
	p.wg.Add(1 + l.cfg.Workers)
	go p.plan(step)
	for i := 0; i < l.cfg.Workers; i++ {
		go p.work()
	}
	return p
}

// take waits for the next batch; io.EOF when there is none.
func (p *pipeline) take() (*Batch, error) {
	pd, ok := <-p.ready
	if !ok {
		return nil, io.EOF
	}
	<-pd.done
	p.budget.release(pd.bytes)
	if pd.err != nil {
		p.l.pool.put(pd.batch)
		return nil, pd.err
	}
	return pd.batch, nil
}

func (p *pipeline) stop() {
	close(p.quit)
	p.budget.stop()
	// The planner may be waiting to hand over a batch nobody takes any more.
	go func() {
		for range p.ready {
		}
	}()
	p.wg.Wait()
}

func (p *pipeline) plan(step int64) {
	defer p.wg.Done()
	defer close(p.jobs)
	defer close(p.ready)
	l := p.l
	for ; ; step++ {
		if l.cfg.Epochs > 0 && step >= l.cfg.Epochs*l.sampler.StepsPerEpoch() {
			return
		}
		epoch, indices := l.sampler.Batch(step)
		h, w := 0, 0
		plans := make([]planned, len(indices))
		for i, index := range indices {
			params := l.plan(epoch, int(index))
			plans[i] = planned{int(index), params}
			h, w = max(h, params.InH), max(w, params.InW)
		}
		c, ok := l.canvases.fit(h, w)
		if !ok {
			// NewLoader surveyed every size, so the Source changed its answer.
			panic(fmt.Sprintf("data: a batch of %dx%d fits no canvas", h, w))
		}
		n := l.cfg.Batch
		if l.cfg.Last == LastShort {
			n = len(indices)
		}
		pixel := int64(3 * 4)
		if l.labels != nil {
			pixel++
		}
		bytes := int64(n) * int64(c.H) * int64(c.W) * pixel
		if !p.budget.acquire(bytes) {
			return
		}
		pd := &pending{batch: l.pool.get(n, c, len(indices), l.labels != nil, l.classes > 0), bytes: bytes, plans: plans, done: make(chan struct{}), slot: n}
		pd.batch.Epoch, pd.batch.Step = epoch, step
		clear(pd.batch.Images[len(indices)*c.H*c.W*3:])
		if l.labels != nil {
			rest := pd.batch.Labels[len(indices)*c.H*c.W:]
			for i := range rest {
				rest[i] = labelmap.Ignore
			}
		}
		if l.classes > 0 {
			for i := len(indices); i < n; i++ {
				pd.batch.Classes[i] = -1
			}
		}
		pd.left.Store(int32(len(indices)))
		select {
		case p.ready <- pd:
		case <-p.quit:
			return
		}
		share := 1 + (jobPixels-1)/(c.H*c.W)
		for from := 0; from < len(plans); from += share {
			select {
			case p.jobs <- job{pd, from, min(from+share, len(plans))}:
			case <-p.quit:
				return
			}
		}
	}
}

// plan draws the parameters of one image in one epoch. Of an image of unknown size
// they say only how large it is on the canvas at most.
func (l *Loader) plan(epoch int64, index int) augment.Params {
	w, h := l.src.Size(index)
	if w == UnknownSize {
		p := augment.Params{SrcW: w, SrcH: h}
		p.InW, p.InH, _ = l.cfg.Augment.Window()
		return p
	}
	return l.planSized(epoch, index, w, h)
}

func (l *Loader) planSized(epoch int64, index, w, h int) augment.Params {
	r := augment.NewRandom(l.cfg.Seed, uint64(epoch), uint64(index), sampleStream)
	return l.cfg.Augment.Plan(&r, w, h)
}

func (p *pipeline) work() {
	defer p.wg.Done()
	// Locked and never unlocked: a thread's priority cannot be raised again, so it
	// must end with this goroutine.
	runtime.LockOSThread()
	if !p.l.cfg.KeepPriority {
		lowerPriority()
	}
	r, err := augment.NewRenderer(p.l.cfg.Augment)
	if err != nil {
		// The same settings passed Validate in NewLoader.
		panic(err)
	}
	defer r.Close()
	w := &worker{Renderer: r}
	for j := range p.jobs {
		for slot := j.from; slot < j.to; slot++ {
			select {
			case <-p.quit:
				return
			default:
			}
			if err := p.l.draw(w, j.p, slot); err != nil {
				j.p.fail(slot, err)
			}
		}
		p.l.mu.Lock()
		p.l.stats.Work.Add(r.Times)
		p.l.mu.Unlock()
		r.Times = augment.Times{}
		if j.p.left.Add(int32(j.from-j.to)) == 0 {
			close(j.p.done)
		}
	}
}

// worker is what one worker keeps from image to image.
type worker struct {
	*augment.Renderer
	labels []uint8 // of the image, at its own size
}

// fail keeps the error of the batch's first bad slot, whoever met its own first.
func (pd *pending) fail(slot int, err error) {
	pd.mu.Lock()
	defer pd.mu.Unlock()
	if slot < pd.slot {
		pd.slot, pd.err = slot, err
	}
}

// draw makes one sample of a batch, or its substitute.
func (l *Loader) draw(w *worker, pd *pending, slot int) error {
	b, wanted := pd.batch, &pd.plans[slot]
	item, err := l.try(w, wanted.index, &wanted.params, b, slot)
	if err == nil {
		l.target(b, slot, wanted.index, item, wanted.params, -1)
		return nil
	}
	if l.cfg.OnBad == FailOnBad {
		return err
	}
	// First the images that fit as they are, then the others, shrunk.
	for _, shrink := range []bool{false, true} {
		for n, offset := l.src.Len(), 1; offset < n; offset++ {
			index := (wanted.index + offset) % n
			params := l.plan(b.Epoch, index)
			if fits := params.InH <= b.H && params.InW <= b.W; fits == shrink {
				continue
			}
			if shrink {
				params.Shrink(b.W, b.H)
			}
			if item, err := l.try(w, index, &params, b, slot); err == nil {
				l.target(b, slot, index, item, params, wanted.index)
				return nil
			}
		}
	}
	return fmt.Errorf("no image of the data set can be read in its place: %w", err)
}

// try draws one image, and its label map, into a slot of a batch; a bad one is
// remembered. The label map may move p's window; p of an image of unknown size is
// drawn when its file is read.
func (l *Loader) try(w *worker, index int, p *augment.Params, b *Batch, slot int) (Item, error) {
	if err := l.knownBad(index); err != nil {
		return Item{}, err
	}
	item := l.src.Item(index)
	err := l.drawLabels(w, index, item, p, b, slot)
	if err == nil {
		size := b.H * b.W * b.C
		err = l.render(w, index, item, p, b, b.Images[slot*size:(slot+1)*size])
		var other *augment.SizeError
		if errors.As(err, &other) && item.LabelPath != "" {
			err = fmt.Errorf("%w; the label map is %s", err, item.LabelPath)
		}
	}
	if err == nil && l.classes > 0 && (item.Class < 0 || int(item.Class) >= l.classes) {
		err = fmt.Errorf("%s: class %d, need 0 to %d", item.Path, item.Class, l.classes-1)
	}
	if err != nil {
		err = fmt.Errorf("image %d: %w", item.ImageID, err)
		if l.cfg.OnBad == SkipBad {
			l.markBad(index, err)
		}
	}
	return item, err
}

// render draws an image from memory or from its file.
func (l *Loader) render(w *worker, index int, item Item, p *augment.Params, b *Batch, dst []float32) (err error) {
	switch {
	case item.Pixels != nil:
		if err = w.RenderRGB(item.Pixels, *p, dst, b.H, b.W); err != nil {
			err = fmt.Errorf("%s: %w", item.Path, err)
		}
	case p.SrcW == UnknownSize:
		*p, err = w.RenderUnsized(item.Path, func(width, height int) augment.Params {
			return l.planSized(b.Epoch, index, width, height)
		}, dst, b.H, b.W)
	default:
		err = w.Render(item.Path, *p, dst, b.H, b.W)
	}
	return err
}

// drawLabels reads an image's label map, settles the window by it and draws it.
func (l *Loader) drawLabels(w *worker, index int, item Item, p *augment.Params, b *Batch, slot int) error {
	if l.labels == nil {
		return nil
	}
	t := time.Now()
	defer func() { w.Times.Labels += time.Since(t) }()
	var err error
	if w.labels, err = l.labels.Labels(index, w.labels); err != nil {
		return err
	}
	err = p.FitCrop(l.cfg.Augment.Crop, w.labels, labelmap.Ignore)
	if err == nil {
		size := b.H * b.W
		err = p.DrawLabels(w.labels, b.Labels[slot*size:(slot+1)*size], b.H, b.W, labelmap.Ignore)
	}
	if err != nil {
		return fmt.Errorf("%s: %w (image %s)", item.LabelPath, err, item.Path)
	}
	return nil
}

func (l *Loader) knownBad(index int) error {
	if l.cfg.OnBad == FailOnBad {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.bad[index]
}

func (l *Loader) markBad(index int, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.bad[index] == nil {
		l.bad[index] = err
	}
}

// target fills a slot's sample; boxes go to the memory it already has.
func (l *Loader) target(b *Batch, slot, index int, item Item, p augment.Params, replaces int) {
	s := &b.Samples[slot]
	if l.classes > 0 {
		b.Classes[slot] = item.Class
	}
	sx, sy := p.Scale()
	*s = Sample{
		Index: index, ImageID: item.ImageID, File: item.Path,
		Width: p.SrcW, Height: p.SrcH,
		ScaleX: sx, ScaleY: sy, CropX: p.CropX, CropY: p.CropY, Cut: p.Cut,
		Flipped: p.Flip, InW: p.InW, InH: p.InH, Class: item.Class,
		Boxes: s.Boxes[:0], Labels: s.Labels[:0], Replaces: replaces,
	}
	for k, box := range item.Boxes {
		out, ok := p.Box(box, l.cfg.MinBox)
		if !ok {
			s.Dropped++
			continue
		}
		s.Boxes = append(s.Boxes, out)
		s.Labels = append(s.Labels, item.Labels[k])
	}
}
