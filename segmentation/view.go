package segmentation

import (
	"context"
	"fmt"
	"strings"

	"manvision/data/augment"
	"manvision/exec"
	"manvision/internal/lru"
	"manvision/manpp"
)

// Picture is an image that can be drawn at any size; FilePicture is one.
type Picture interface {
	// Size is the picture's width and height in pixels, and its label map's.
	Size() (w, h int)
	// Draw writes a part of the picture, normalised, into the top left of canvas
	// [h, w, 3]; the rest of the canvas becomes 0.
	Draw(p Part, canvas []float32, h, w int) error
}

// Part is a rectangle of a picture that has been brought to another size.
type Part struct {
	Width, Height int  // of the whole picture after resizing
	Flip          bool // mirrored left to right after that
	X, Y, W, H    int  // the rectangle then
}

// Mode is how a Viewer feeds pictures to the network.
type Mode int

const (
	// Auto looks at a picture whole where ViewOptions.MemoryLimit allows it, and
	// through sliding windows where it does not.
	Auto Mode = iota
	// Whole always looks at the whole picture.
	Whole
	// Sliding looks through windows of ViewOptions.Window.
	Sliding
)

var modeNames = []string{"auto", "whole", "slide"}

// String is the name that ParseMode knows.
func (m Mode) String() string {
	if m < Auto || m > Sliding {
		return fmt.Sprintf("mode %d", int(m))
	}
	return modeNames[m]
}

// ParseMode reads "auto", "whole" or "slide".
func ParseMode(name string) (Mode, error) {
	for i, n := range modeNames {
		if n == name {
			return Mode(i), nil
		}
	}
	return Auto, fmt.Errorf("mode %q is none of %s", name, strings.Join(modeNames, ", "))
}

// DefaultMemoryLimit is what Auto keeps to where no limit is given, in bytes. It is
// a constant, not the machine's memory, so that results do not depend on it.
const DefaultMemoryLimit = 4 << 30

// ViewOptions say how whole pictures are labelled. The zero value looks once at the
// picture in its own size.
type ViewOptions struct {
	Mode Mode
	// Window is the width and height of sliding windows in pixels of the resized
	// picture, Stride how far apart they begin; the last one is shifted inwards so
	// that it ends with the picture. Where windows overlap their logits are averaged
	// (slide_inference of mmsegmentation). A zero Stride is two thirds of the window.
	// A zero Window is, in Auto, the largest half, quarter … of the picture that
	// fits the limit; Sliding needs one. Inputs are padded with the mean colour to
	// multiples of 32; what the network says of the padding is not used, but an ASPP's
	// pooled image sees it, which windows of such sizes avoid.
	Window, Stride [2]int
	// Resize brings a picture to the size that Scales multiply; the zero value keeps
	// its own. The label map always has the picture's own size.
	Resize augment.Resize
	// Scales are the sizes at which the picture is looked at; none: 1. With several,
	// or Flip, the probabilities (softmax) of all views are averaged.
	Scales []float64
	// Flip adds the mirrored picture to every scale.
	Flip bool
	// MemoryLimit bounds, in Auto, the bytes of a ViewPlan; 0: DefaultMemoryLimit.
	MemoryLimit int64
	// Workers is how many goroutines draw the label map; 0: the device's threads.
	// They do not change the result.
	Workers int
}

// maxScale bounds Scales: a picture of 1024x2048 has 134 million pixels there.
const maxScale = 8

// Validate reports settings that cannot work.
func (o ViewOptions) Validate() error {
	if o.Mode < Auto || o.Mode > Sliding {
		return fmt.Errorf("unknown mode %d", o.Mode)
	}
	if err := o.Resize.Validate(); err != nil {
		return err
	}
	if n := o.Resize.Choices(); n > 1 {
		return fmt.Errorf("resize: %d short sides; a picture is brought to one size, which scales multiply", n)
	}
	for _, s := range o.Scales {
		if !(s > 0 && s <= maxScale) {
			return fmt.Errorf("scale %v must be above 0 and at most %d", s, maxScale)
		}
	}
	window := o.Window != [2]int{}
	for k, side := range []string{"width", "height"} {
		switch {
		case window && o.Window[k] < padMultiple:
			return fmt.Errorf("window %dx%d: the %s must be at least %d pixels", o.Window[0], o.Window[1], side, padMultiple)
		case o.Stride[k] < 0 || window && o.Stride[k] > o.Window[k]:
			return fmt.Errorf("stride %dx%d: its %s must be 1 to the window's, %d, or windows leave gaps", o.Stride[0], o.Stride[1], side, o.Window[k])
		}
	}
	switch {
	case o.Mode == Sliding && !window:
		return fmt.Errorf("mode %s needs the size of a window", Sliding)
	case o.Mode == Whole && window:
		return fmt.Errorf("a window of %dx%d is given, but mode %s uses none; use mode %s", o.Window[0], o.Window[1], Whole, Sliding)
	case !window && o.Stride != [2]int{}:
		return fmt.Errorf("a stride of %dx%d is given without a window", o.Stride[0], o.Stride[1])
	case (o.Stride[0] == 0) != (o.Stride[1] == 0):
		return fmt.Errorf("stride %dx%d: give both sides", o.Stride[0], o.Stride[1])
	case o.MemoryLimit < 0 || o.Workers < 0:
		return fmt.Errorf("memory limit %d and workers %d must not be negative", o.MemoryLimit, o.Workers)
	}
	return nil
}

// Viewer labels whole pictures with a network. Next to the label map its memory is
// the network's at one input size and the low-resolution logits of all views: no
// map of all pixels times all classes. It is not for use by several goroutines at
// once.
type Viewer struct {
	o       ViewOptions
	classes int
	compile func(h, w int, shared bool) (*compiled, error)
	sizes   *lru.Cache[[2]int, *compiled]
	needs   map[[2]int]compiled // what input sizes need, nothing to run

	canvas []float32
	raw    []float32   // logits of a run
	logits [][]float32 // of the views
}

// compiled is the network for one input size.
type compiled struct {
	h, w  int   // of the logits
	bytes int64 // of working memory
	run   func(canvas, logits []float32) error
	close func() error
}

// Close frees the program.
func (c *compiled) Close() error { return c.close() }

// maxPrograms bounds the input sizes that a Viewer keeps compiled.
const maxPrograms = 8

// NewViewer returns a viewer on a network and model m, whose programs work in the
// given arenas (nil: own ones).
func NewViewer(net *Net, m *manpp.Model, o ViewOptions, input, arena *exec.Arena) (*Viewer, error) {
	dev := m.Store.Device()
	if input == nil {
		input = exec.NewArena(dev)
	}
	if arena == nil {
		arena = exec.NewArena(dev)
	}
	if o.Workers == 0 {
		o.Workers = dev.Threads()
	}
	return newViewer(net.Classes, o, func(h, w int, shared bool) (*compiled, error) {
		in, work := input, arena
		if !shared { // compiling into an arena already makes it as large
			in, work = exec.NewArena(dev), exec.NewArena(dev)
		}
		inf, err := net.NewInference(m, 1, h, w, in, work)
		if err != nil {
			return nil, fmt.Errorf("input of %dx%d pixels: %w", w, h, err)
		}
		return &compiled{h: inf.H, w: inf.W, bytes: inf.Bytes() + inf.Input.Bytes(), close: inf.Close,
			run: func(canvas, logits []float32) error {
				if err := inf.Input.Upload(canvas); err != nil {
					return err
				}
				return inf.Run(logits)
			}}, nil
	})
}

func newViewer(classes int, o ViewOptions, compile func(h, w int, shared bool) (*compiled, error)) (*Viewer, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if classes < 1 || classes > Ignore {
		return nil, fmt.Errorf("%d classes; a label map holds 1 to %d", classes, Ignore)
	}
	if len(o.Scales) == 0 {
		o.Scales = []float64{1}
	}
	if o.MemoryLimit == 0 {
		o.MemoryLimit = DefaultMemoryLimit
	}
	return &Viewer{o: o, classes: classes, compile: compile, needs: map[[2]int]compiled{},
		sizes: lru.New[[2]int, *compiled](max(maxPrograms, len(o.Scales)))}, nil
}

// Close frees the programs.
func (v *Viewer) Close() { v.sizes.Close() }

// Labels returns the class of every pixel of a picture, [h, w] in its own size. dst is
// reused where it is large enough. Errors of the picture are its own, unwrapped.
func (v *Viewer) Labels(ctx context.Context, p Picture, dst []uint8) ([]uint8, error) {
	w, h := p.Size()
	plan, err := v.Plan(w, h)
	if err != nil {
		return dst, err
	}
	b := &blend{classes: v.classes}
	for _, g := range plan.Grids {
		for _, flip := range v.flips() {
			view, err := v.look(ctx, p, g, flip, len(b.views))
			if err != nil {
				return dst, err
			}
			b.views = append(b.views, view)
		}
	}
	if cap(dst) < w*h {
		dst = make([]uint8, w*h)
	}
	dst = dst[:w*h]
	b.labels(dst, h, w, v.o.Workers)
	return dst, nil
}

// look runs the network on the windows of one view, the i-th.
func (v *Viewer) look(ctx context.Context, p Picture, g Grid, flip bool, i int) (viewLogits, error) {
	h, w := padded(g.WindowH), padded(g.WindowW)
	prog, err := v.program(h, w)
	if err != nil {
		return viewLogits{}, err
	}
	strideY, strideX := h/prog.h, w/prog.w
	rows, cols := cellsOf(g.WindowH, strideY), cellsOf(g.WindowW, strideX)
	view := viewLogits{rows: rows * len(g.Y), cols: cols * len(g.X)}
	for len(v.logits) <= i {
		v.logits = append(v.logits, nil)
	}
	v.logits[i] = resized(v.logits[i], view.rows*view.cols*v.classes)
	view.logits = v.logits[i]
	v.canvas = resized(v.canvas, h*w*3)
	v.raw = resized(v.raw, prog.h*prog.w*v.classes)
	for ky, y := range g.Y {
		for kx, x := range g.X {
			if err := ctx.Err(); err != nil {
				return viewLogits{}, err
			}
			part := Part{Width: g.Width, Height: g.Height, Flip: flip, X: x, Y: y, W: g.WindowW, H: g.WindowH}
			if err := p.Draw(part, v.canvas, h, w); err != nil {
				return viewLogits{}, err
			}
			if err := prog.run(v.canvas, v.raw); err != nil {
				return viewLogits{}, err
			}
			if err := checkLogits(v.raw); err != nil {
				return viewLogits{}, err
			}
			for r := range rows {
				from := v.raw[r*prog.w*v.classes:][:cols*v.classes]
				copy(view.logits[((ky*rows+r)*view.cols+kx*cols)*v.classes:], from)
			}
		}
	}
	view.y = newAxis(g.Height, g.outH, g.Y, g.WindowH, strideY, false)
	view.x = newAxis(g.Width, g.outW, g.X, g.WindowW, strideX, flip)
	return view, nil
}

func resized(s []float32, n int) []float32 {
	if cap(s) < n {
		return make([]float32, n)
	}
	return s[:n]
}
