package segmentation

import (
	"errors"
	"fmt"
	"math"
)

// ViewPlan says how a Viewer looks at a picture and what it needs for that.
type ViewPlan struct {
	Grids []Grid
	// Bytes is the most that is in use at once, next to the network's weights and
	// the label map: the network's working memory, its input on both sides, and the
	// logits of all views.
	Bytes int64
}

// Grid is a picture at one scale and the windows it is looked at through.
type Grid struct {
	Width, Height    int   // of the resized picture
	WindowW, WindowH int   // of a window; Width and Height where there is only one
	X, Y             []int // first columns and rows of the windows

	outW, outH int
}

// Windows is how often the network looks at the picture at this scale, without the
// mirrored view.
func (g Grid) Windows() int { return len(g.X) * len(g.Y) }

func newGrid(w, h int, window, stride [2]int) Grid {
	g := Grid{Width: w, Height: h, WindowW: min(window[0], w), WindowH: min(window[1], h)}
	g.X, g.Y = windowStarts(w, g.WindowW, stride[0]), windowStarts(h, g.WindowH, stride[1])
	return g
}

// flips are the views of each scale: as it is, and mirrored.
func (v *Viewer) flips() []bool {
	if v.o.Flip {
		return []bool{false, true}
	}
	return []bool{false}
}

// errTooLarge says that no window fits the memory limit.
var errTooLarge = errors.New("more memory than the limit")

// Plan says how a picture of w x h pixels is looked at. It compiles what that takes
// but allocates nothing on the device. In Auto it returns an error where no windows
// keep to ViewOptions.MemoryLimit.
func (v *Viewer) Plan(w, h int) (*ViewPlan, error) {
	if w < 1 || h < 1 {
		return nil, fmt.Errorf("picture of %dx%d pixels", w, h)
	}
	// A grid's windows are chosen by what it needs alone. Where the logits of all
	// views together break the limit the windows get smaller.
	for limit := v.o.MemoryLimit; ; {
		p, err := v.plan(w, h, limit)
		if err != nil || v.o.Mode != Auto || p.Bytes <= v.o.MemoryLimit {
			return p, err
		}
		limit -= p.Bytes - v.o.MemoryLimit
	}
}

func (v *Viewer) plan(w, h int, limit int64) (*ViewPlan, error) {
	p := &ViewPlan{}
	bw, bh := v.o.Resize.Size(w, h, 0)
	for _, s := range v.o.Scales {
		gw, gh := scaled(bw, s), scaled(bh, s)
		// The network's sizes and those of its maps are C ints.
		if float64(gw)*float64(gh) > math.MaxInt32/4 {
			return nil, fmt.Errorf("picture of %dx%d pixels is %dx%d at scale %v: too large", w, h, gw, gh, s)
		}
		g, err := v.grid(gw, gh, limit)
		if err != nil {
			return nil, err
		}
		g.outW, g.outH = w, h
		p.Grids = append(p.Grids, g)
	}
	need := v.kept
	if v.o.Mode == Auto && len(v.o.Scales)*len(v.flips()) > 1 {
		need = v.trial // the plan may yet be refused
	}
	var err error
	p.Bytes, err = v.bytes(p.Grids, need)
	return p, err
}

// grid chooses the windows of a picture at one scale.
func (v *Viewer) grid(w, h int, limit int64) (Grid, error) {
	whole := newGrid(w, h, [2]int{w, h}, [2]int{w, h})
	switch v.o.Mode {
	case Whole:
		return whole, nil
	case Sliding:
		return newGrid(w, h, v.o.Window, v.stride(v.o.Window)), nil
	}
	need, ok, err := v.fits(whole, limit)
	if ok || err != nil {
		return whole, err
	}
	refused := func(g Grid) error {
		return fmt.Errorf("a window of %dx%d pixels needs %d MiB and the limit leaves %d: %w; raise the limit or name a smaller window",
			g.WindowW, g.WindowH, need>>20, max(limit, 0)>>20, errTooLarge)
	}
	if v.o.Window != [2]int{} {
		g := newGrid(w, h, v.o.Window, v.stride(v.o.Window))
		if need, ok, err = v.fits(g, limit); err == nil && !ok {
			err = refused(g)
		}
		return g, err
	}
	for window := [2]int{padded(w), padded(h)}; ; {
		long := 0
		if window[1] > window[0] {
			long = 1
		}
		if window[long] <= padMultiple {
			return whole, refused(newGrid(w, h, window, window))
		}
		window[long] = padded(window[long] / 2)
		g := newGrid(w, h, window, v.stride(window))
		if need, ok, err = v.fits(g, limit); ok || err != nil {
			return g, err
		}
	}
}

// stride is how far apart windows begin; mmsegmentation's recipes move a window of
// 769 by 513, about two thirds.
func (v *Viewer) stride(window [2]int) [2]int {
	if v.o.Stride != [2]int{} {
		return v.o.Stride
	}
	return [2]int{max(1, window[0]*2/3), max(1, window[1]*2/3)}
}

// fits says whether looking through a grid's windows keeps to the limit.
func (v *Viewer) fits(g Grid, limit int64) (need int64, ok bool, err error) {
	if v.surelyFits(padded(g.WindowH)*padded(g.WindowW), limit) {
		return 0, true, nil
	}
	need, err = v.bytes([]Grid{g}, v.trial)
	return need, need <= limit, err
}

// surelyFits spares a trial: what is needed grows with the pixels, and an input of
// about that many needs less than half of the limit.
func (v *Viewer) surelyFits(pixels int, limit int64) bool {
	for size, n := range v.needs {
		known := size[0] * size[1]
		per := float64(n.bytes+int64(known)*3*4+int64(n.h*n.w*v.classes)*8) / float64(known)
		if pixels <= 2*known && known <= 2*pixels && 2*per*float64(pixels) <= float64(limit) {
			return true
		}
	}
	return false
}

// bytes is what looking through the grids needs; need gives that of an input size.
func (v *Viewer) bytes(grids []Grid, need func(h, w int) (compiled, error)) (int64, error) {
	var most, logits int64
	for _, g := range grids {
		h, w := padded(g.WindowH), padded(g.WindowW)
		n, err := need(h, w)
		if err != nil {
			return 0, err
		}
		most = max(most, n.bytes+int64(h)*int64(w)*3*4+int64(n.h)*int64(n.w)*int64(v.classes)*4)
		rows, cols := cellsOf(g.WindowH, h/n.h)*len(g.Y), cellsOf(g.WindowW, w/n.w)*len(g.X)
		logits += int64(rows) * int64(cols) * int64(v.classes) * 4 * int64(len(v.flips()))
	}
	return most + logits, nil
}

// trial compiles the network for an input of h x w pixels to know what it needs,
// and drops it: compiled into the arena of the others it would enlarge that, used
// or not.
func (v *Viewer) trial(h, w int) (compiled, error) {
	if n, ok := v.needs[[2]int{h, w}]; ok {
		return n, nil
	}
	c, err := v.compile(h, w, false)
	if err != nil {
		return compiled{}, err
	}
	defer c.Close()
	return v.remember(h, w, c)
}

// kept is trial of a program that is kept.
func (v *Viewer) kept(h, w int) (compiled, error) {
	c, err := v.program(h, w)
	if err != nil {
		return compiled{}, err
	}
	return *c, nil
}

// program is the network for an input of h x w pixels.
func (v *Viewer) program(h, w int) (*compiled, error) {
	return v.sizes.Get([2]int{h, w}, func() (*compiled, error) {
		c, err := v.compile(h, w, true)
		if err != nil {
			return nil, err
		}
		if _, err = v.remember(h, w, c); err != nil {
			c.Close()
			return nil, err
		}
		return c, nil
	})
}

// remember keeps what an input size needs.
func (v *Viewer) remember(h, w int, c *compiled) (compiled, error) {
	if c.h < 1 || c.w < 1 || h%c.h != 0 || w%c.w != 0 {
		return compiled{}, fmt.Errorf("logits of %dx%d for an input of %dx%d: sizes must divide", c.w, c.h, w, h)
	}
	if len(v.needs) >= maxNeeds {
		clear(v.needs)
	}
	n := compiled{h: c.h, w: c.w, bytes: c.bytes}
	v.needs[[2]int{h, w}] = n
	return n, nil
}

// maxNeeds bounds the input sizes that a Viewer remembers the needs of.
const maxNeeds = 1000
