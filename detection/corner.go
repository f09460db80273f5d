package detection

import (
	"fmt"
	"math"
)

// TorchvisionAnchors is the set of torchvision's retinanet_resnet50_fpn, which its
// published weights need. Sizes, ratios and scales are DefaultAnchors', but a scaled
// size is rounded down to whole pixels, an anchor's corners are rounded to whole
// pixels around its cell's point (half to even), and that point is the cell's upper
// left corner, at multiples of what whole pixels of the padded image come to each cell:
// on P6 and P7 less than 64 and 128 where these do not divide the image.
func TorchvisionAnchors() AnchorConfig {
	c := DefaultAnchors()
	c.Corner = true
	return c
}

// Grid makes the anchors for images of height x width pixels, padding included.
func (c AnchorConfig) Grid(height, width int) (*Grid, error) {
	shapes := c.LevelShapes(height, width)
	if !c.Corner {
		return NewGrid(c, shapes)
	}
	if err := c.Validate(); err != nil {
		return nil, err
	}
	g := &Grid{Config: c}
	for l, s := range shapes {
		if s[0] <= 0 || s[1] <= 0 {
			return nil, fmt.Errorf("detection: anchors: an image of %dx%d pixels is too small", width, height)
		}
		g.Levels = append(g.Levels, Level{Rows: s[0], Cols: s[1], Stride: c.Strides[l], First: len(g.Boxes)})
		half := c.wholeHalves(l)
		g.half = append(g.half, half)
		dy, dx := height/s[0], width/s[1]
		for y := range s[0] {
			for x := range s[1] {
				px, py := float32(x*dx), float32(y*dy)
				for _, h := range half {
					g.Boxes = append(g.Boxes, [4]float32{px - h[0], py - h[1], px + h[0], py + h[1]})
				}
			}
		}
	}
	return g, nil
}

// wholeHalves is halves in whole pixels, in float32 as torchvision computes them.
func (c AnchorConfig) wholeHalves(l int) [][2]float32 {
	out := make([][2]float32, 0, c.PerCell())
	for _, r := range c.Ratios {
		tall := float32(math.Sqrt(float64(float32(r))))
		wide := 1 / tall
		for _, s := range c.Scales {
			side := float32(math.Floor(c.Sizes[l] * s))
			out = append(out, [2]float32{float32(math.RoundToEven(float64(wide * side / 2))), float32(math.RoundToEven(float64(tall * side / 2)))})
		}
	}
	return out
}
