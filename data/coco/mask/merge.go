package mask

import "fmt"

// Union returns the pixels set in any of the masks, which must have one size.
func Union(masks ...*RLE) (*RLE, error) { return combine(masks, false) }

// Intersection returns the pixels set in all of the masks, which must have one
// size.
func Intersection(masks ...*RLE) (*RLE, error) { return combine(masks, true) }

func combine(masks []*RLE, all bool) (*RLE, error) {
	if len(masks) == 0 {
		return nil, fmt.Errorf("no masks to combine")
	}
	r := masks[0]
	for _, m := range masks[1:] {
		if m.H != r.H || m.W != r.W {
			return nil, fmt.Errorf("masks of sizes [%d %d] and [%d %d] do not combine", r.H, r.W, m.H, m.W)
		}
		r = combine2(r, m, all)
	}
	return r, nil
}

// cursor walks the runs of a mask; runs of length 0 are stepped over.
type cursor struct {
	counts []uint32
	i      int
	left   uint32 // pixels left in run i
}

func newCursor(counts []uint32) cursor {
	c := cursor{counts: counts}
	if len(counts) > 0 {
		c.left = counts[0]
	}
	c.settle()
	return c
}

func (c *cursor) settle() {
	for c.left == 0 && c.i+1 < len(c.counts) {
		c.i++
		c.left = c.counts[c.i]
	}
}

func (c *cursor) take(n uint32) { c.left -= n; c.settle() }

func (c *cursor) on() bool { return c.i%2 == 1 }

func combine2(a, b *RLE, all bool) *RLE {
	r := &RLE{H: a.H, W: a.W}
	ca, cb := newCursor(a.Counts), newCursor(b.Counts)
	run, on := uint32(0), false
	for {
		step := min(ca.left, cb.left)
		if step == 0 {
			break
		}
		v := ca.on() || cb.on()
		if all {
			v = ca.on() && cb.on()
		}
		if v != on {
			r.Counts = append(r.Counts, run)
			run, on = 0, v
		}
		run += step
		ca.take(step)
		cb.take(step)
	}
	r.Counts = append(r.Counts, run)
	return r
}
