package labelmap

import (
	"context"
	"errors"
	"fmt"
	"image"
	"os"
	"runtime"
	"sync"

	"manvision/internal/finding"
)

// Severity orders findings.
type Severity = finding.Severity

// An error makes the data set unusable as it is; a warning changes what is
// learnt; a note is worth knowing.
const (
	SeverityError   = finding.Error
	SeverityWarning = finding.Warning
	SeverityNote    = finding.Note
)

// Finding is one kind of thing found in a data set: Severity, Kind, Count, the first
// Examples and what to do, Fix.
type Finding = finding.Finding

// Report is what [Check] found.
type Report struct {
	Source string `json:"source"` // the set's
	Labels string `json:"labels"` // the coding of the label files

	Pairs   int   `json:"pairs"`   // images with a label of the same size
	Broken  int   `json:"broken"`  // pairs of which a file is of no use; not in the counts below
	Pixels  int64 `json:"pixels"`  // of all maps
	Ignored int64 `json:"ignored"` // pixels that count nothing

	Classes  []ClassCount `json:"classes"`  // by training id
	Values   []ValueCount `json:"values"`   // of the label files that could be read, those with pixels
	Findings []Finding    `json:"findings"` // errors first
}

// ClassCount is one line of a class table.
type ClassCount struct {
	ID     int     `json:"id"` // training id
	Name   string  `json:"name"`
	Pixels int64   `json:"pixels"`
	Share  float64 `json:"share"`  // of the pixels that count, 0..1
	Images int     `json:"images"` // with at least one pixel
}

// ValueCount counts a value of the label files.
type ValueCount struct {
	Value  int   `json:"value"`
	Pixels int64 `json:"pixels"`
}

// Errors counts findings of severity SeverityError.
func (r *Report) Errors() int { return finding.Count(r.Findings, finding.Error) }

// CheckOptions set up [Check].
type CheckOptions struct {
	// HeadersOnly leaves the images' pixels unread: faster, but damage inside them
	// stays unseen. Label files are always read.
	HeadersOnly bool
	Examples    int // kept for each kind of finding; 0: 5
	Workers     int // 0: one a core
	// Warn, if not nil, adds findings that depend on the whole set's values, such
	// as a coding that does not fit.
	Warn func(values *[256]int64) []Finding
	// Progress, if not nil, is called after each pair, from several goroutines.
	Progress func()
}

// Check reads every label map and every image of a set, which may have Problems,
// lists everything it finds at once and counts pixels by class. The error is for
// a cancelled context only.
func Check(ctx context.Context, s *Set, o CheckOptions) (*Report, error) {
	if o.Examples == 0 {
		o.Examples = 5
	}
	if o.Workers == 0 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	c := &checker{s: s, o: o, found: map[kindOf]*Finding{}, images: make([]int, len(s.Classes)), classes: make([]int64, len(s.Classes)),
		errs: make([][]*InputError, len(s.Pairs))}
	work := make(chan int)
	var wg sync.WaitGroup
	for range min(o.Workers, len(s.Pairs)) {
		wg.Add(1)
		go func() {
			defer wg.Done()
			c.read(work)
		}()
	}
	var stopped error
feed:
	for i := range s.Pairs {
		select {
		case work <- i:
		case <-ctx.Done():
			stopped = context.Cause(ctx)
			break feed
		}
	}
	close(work)
	wg.Wait()
	if stopped != nil {
		return nil, stopped
	}
	return c.report(), nil
}

type kindOf struct {
	severity Severity
	kind     string
}

type checker struct {
	s *Set
	o CheckOptions

	found map[kindOf]*Finding
	errs  [][]*InputError // by pair

	mu      sync.Mutex
	values  [256]int64
	classes []int64
	images  []int // with a pixel of the class
	pixels  int64
	ignored int64
}

func (c *checker) read(work <-chan int) {
	var buf []uint8
	for i := range work {
		var h *[256]int64
		var err error
		if buf, h, err = c.s.read(i, buf); err != nil {
			c.errs[i] = append(c.errs[i], asInput(err))
		}
		if !c.o.HeadersOnly {
			if e := decode(c.s.Pairs[i].Image); e != nil {
				c.errs[i] = append(c.errs[i], e)
			}
		}
		c.count(h, err == nil)
		if c.o.Progress != nil {
			c.o.Progress()
		}
	}
}

func (c *checker) count(h *[256]int64, good bool) {
	if h == nil {
		return
	}
	perClass := make([]int64, len(c.classes))
	c.mu.Lock()
	defer c.mu.Unlock()
	for v, n := range h {
		c.values[v] += n
		if !good || n == 0 {
			continue
		}
		c.pixels += n
		if t := c.s.Coding.Train[v]; t == Ignore {
			c.ignored += n
		} else {
			perClass[t] += n
		}
	}
	for k, n := range perClass {
		c.classes[k] += n
		if n > 0 {
			c.images[k]++
		}
	}
}

func asInput(err error) *InputError {
	var e *InputError
	if errors.As(err, &e) {
		return e
	}
	return &InputError{Kind: Unreadable, Problem: err.Error(), Err: err}
}

// decode reads an image to its end.
func decode(path string) *InputError {
	f, err := os.Open(path)
	if err != nil {
		return unreadable(path, err)
	}
	defer f.Close()
	if _, _, err := image.Decode(f); err != nil {
		return &InputError{Path: path, Kind: Broken, Problem: fmt.Sprintf("the image is damaged: %v", err), Err: err}
	}
	return nil
}

func (c *checker) add(s Severity, kind, example string) {
	key := kindOf{s, kind}
	f := c.found[key]
	if f == nil {
		f = &Finding{Severity: s, Kind: kind}
		c.found[key] = f
	}
	f.Count++
	if example != "" && len(f.Examples) < c.o.Examples {
		f.Examples = append(f.Examples, example)
	}
}

func (c *checker) report() *Report {
	s := c.s
	r := &Report{Source: s.Source, Labels: s.Coding.Name, Pairs: len(s.Pairs), Pixels: c.pixels, Ignored: c.ignored}
	for _, p := range s.Problems {
		c.add(SeverityError, string(p.Kind), p.Error())
	}
	for _, errs := range c.errs {
		for _, e := range errs {
			c.add(SeverityError, string(e.Kind), e.Error())
		}
		if len(errs) > 0 {
			r.Broken++
		}
	}
	if len(s.Pairs) == 0 && len(s.Problems) == 0 {
		c.add(SeverityError, string(NoFiles), s.Err().Error())
	}
	for k, class := range s.Classes {
		share := 0.0
		if n := c.pixels - c.ignored; n > 0 {
			share = float64(c.classes[k]) / float64(n)
		}
		r.Classes = append(r.Classes, ClassCount{ID: k, Name: class.Name, Pixels: c.classes[k], Share: share, Images: c.images[k]})
		if c.classes[k] == 0 && c.pixels > 0 {
			c.add(SeverityWarning, "class without pixels", fmt.Sprintf("%d %q", k, class.Name))
		}
	}
	for v, n := range c.values {
		if n > 0 {
			r.Values = append(r.Values, ValueCount{Value: v, Pixels: n})
		}
	}
	if c.pixels > 0 && c.ignored == c.pixels {
		c.add(SeverityError, "nothing but ignored pixels", s.Source)
	}
	for _, f := range c.found {
		r.Findings = append(r.Findings, *f)
	}
	if c.o.Warn != nil {
		r.Findings = append(r.Findings, c.o.Warn(&c.values)...)
	}
	for i := range r.Findings {
		r.Findings[i].Fix = fixes[r.Findings[i].Kind]
	}
	finding.Sort(r.Findings)
	return r
}
