package data

import (
	"fmt"
	"sort"

	"manvision/data/augment"
)

// Canvas is the size in pixels that the images of a batch are padded to.
type Canvas struct{ H, W int }

// canvases picks a batch's canvas: the smallest of a list that fits, or, without
// a list, the crop's size or the images' bounding size rounded up to a multiple.
type canvases struct {
	list     []Canvas // by area
	multiple int
}

func newCanvases(list []Canvas, multiple int, recipe augment.Config) (canvases, error) {
	c := canvases{list: append([]Canvas(nil), list...), multiple: multiple}
	if c.multiple == 0 {
		c.multiple = 32
	}
	if c.multiple < 0 {
		return c, fmt.Errorf("canvas multiple %d must be positive", multiple)
	}
	if w, h, ok := recipe.Window(); len(c.list) == 0 && ok {
		// Images smaller than the crop do not change a batch's shape.
		c.list = []Canvas{{c.up(h), c.up(w)}}
	}
	for _, k := range c.list {
		if k.H < 1 || k.W < 1 || k.H%c.multiple != 0 || k.W%c.multiple != 0 {
			return c, fmt.Errorf("canvas %dx%d: both sides must be positive multiples of %d", k.H, k.W, c.multiple)
		}
	}
	sort.SliceStable(c.list, func(i, j int) bool {
		a, b := c.list[i], c.list[j]
		if a.H*a.W != b.H*b.W {
			return a.H*a.W < b.H*b.W
		}
		return a.H < b.H
	})
	return c, nil
}

// up rounds up to the multiple.
func (c canvases) up(n int) int { return (n + c.multiple - 1) / c.multiple * c.multiple }

// fit returns the canvas for images of at most h x w pixels.
func (c canvases) fit(h, w int) (Canvas, bool) {
	if len(c.list) == 0 {
		return Canvas{c.up(h), c.up(w)}, true
	}
	for _, k := range c.list {
		if k.H >= h && k.W >= w {
			return k, true
		}
	}
	return Canvas{}, false
}
