package detection

import (
	"errors"
	"fmt"
	"math"
)

// AnchorConfig describes the anchor boxes of a feature pyramid: at every cell of
// level l stand len(Ratios)·len(Scales) boxes around the cell's centre.
type AnchorConfig struct {
	Strides []int     // pixels between neighbouring cells, one per level
	Sizes   []float64 // side of the square anchor of scale 1 in pixels, one per level
	Ratios  []float64 // height / width
	Scales  []float64 // factors of Sizes
	// Corner is torchvision's layout, for inference with its weights: see
	// TorchvisionAnchors.
	Corner bool
}

// DefaultAnchors is RetinaNet's set (Lin et al., "Focal Loss for Dense Object
// Detection", section 4): P3 to P7, strides 8 to 128, sizes 32 to 512, ratios
// 1/2, 1, 2, scales 1, 2^(1/3), 2^(2/3); nine anchors a cell.
func DefaultAnchors() AnchorConfig {
	return AnchorConfig{
		Strides: []int{8, 16, 32, 64, 128},
		Sizes:   []float64{32, 64, 128, 256, 512},
		Ratios:  []float64{0.5, 1, 2},
		Scales:  []float64{1, math.Cbrt(2), math.Cbrt(4)},
	}
}

// PerCell is the number of anchors at one cell.
func (c AnchorConfig) PerCell() int { return len(c.Ratios) * len(c.Scales) }

// Levels returns the configuration restricted to levels from … to-1, as an
// auxiliary head uses that supervises a part of the pyramid.
func (c AnchorConfig) Levels(from, to int) AnchorConfig {
	c.Strides, c.Sizes = c.Strides[from:to], c.Sizes[from:to]
	return c
}

// Validate reports the first value that cannot make anchors.
func (c AnchorConfig) Validate() error {
	if len(c.Strides) == 0 || len(c.Strides) != len(c.Sizes) {
		return fmt.Errorf("detection: anchors: %d strides and %d sizes; give one of each per pyramid level", len(c.Strides), len(c.Sizes))
	}
	if c.PerCell() == 0 {
		return fmt.Errorf("detection: anchors: %d ratios and %d scales; give at least one of each", len(c.Ratios), len(c.Scales))
	}
	for l, s := range c.Strides {
		if s <= 0 {
			return fmt.Errorf("detection: anchors: stride %d of level %d must be positive", s, l)
		}
	}
	for _, list := range []struct {
		name   string
		values []float64
	}{{"size", c.Sizes}, {"ratio", c.Ratios}, {"scale", c.Scales}} {
		for i, v := range list.values {
			if !(v > 0) || math.IsInf(v, 0) {
				return fmt.Errorf("detection: anchors: %s %v at place %d must be positive and finite", list.name, v, i)
			}
		}
	}
	return nil
}

// LevelShapes returns [rows, columns] of every level for an image (or canvas) of
// height x width pixels: the pyramid of stride-2 convolutions with odd kernels
// rounds up at every halving, which is ceil(pixels / stride) for strides that
// are powers of two.
func (c AnchorConfig) LevelShapes(height, width int) [][2]int {
	shapes := make([][2]int, len(c.Strides))
	for l, s := range c.Strides {
		shapes[l] = [2]int{(height + s - 1) / s, (width + s - 1) / s}
	}
	return shapes
}

// Level is one level of a Grid.
type Level struct {
	Rows, Cols int
	Stride     int
	First      int // index of its first anchor
}

// Grid holds the anchors of one image size. It is read-only after NewGrid and
// may be shared by any number of goroutines.
type Grid struct {
	Config AnchorConfig
	Levels []Level

	// Boxes are the anchors' corners x1 y1 x2 y2 in pixels, not clipped to the
	// image: levels joined in order, within a level by row, column, ratio, scale
	// (anchor a of a cell is ratio·len(Scales) + scale).
	Boxes [][4]float32

	// half[l][a] is half the width and height of anchor a of level l.
	half [][][2]float32
}

// NewGrid makes the anchors for feature maps of the given [rows, columns], one
// pair per level: centres at ((column+0.5)·stride, (row+0.5)·stride), width
// size·scale/sqrt(ratio), height size·scale·sqrt(ratio), rounded to float32 before
// they are added to the centres in float32, which gives the official MAN++
// release's anchors to the bit. The shapes are those that the network really has, so
// that anchors and predictions cannot disagree.
func NewGrid(c AnchorConfig, shapes [][2]int) (*Grid, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	if len(shapes) != len(c.Strides) {
		return nil, fmt.Errorf("detection: anchors: %d feature maps for %d levels", len(shapes), len(c.Strides))
	}
	if c.Corner {
		return nil, errors.New("detection: anchors: torchvision's layout depends on the image's size, not on the feature maps' alone")
	}
	g := &Grid{Config: c}
	total := 0
	for l, s := range shapes {
		if s[0] <= 0 || s[1] <= 0 {
			return nil, fmt.Errorf("detection: anchors: feature map of level %d is %dx%d; the image is too small", l, s[0], s[1])
		}
		g.Levels = append(g.Levels, Level{Rows: s[0], Cols: s[1], Stride: c.Strides[l], First: total})
		total += s[0] * s[1] * c.PerCell()
	}
	g.Boxes = make([][4]float32, 0, total)
	for l, lev := range g.Levels {
		half := c.halves(l)
		g.half = append(g.half, half)
		for y := 0; y < lev.Rows; y++ {
			cy := (float32(y) + 0.5) * float32(lev.Stride)
			for x := 0; x < lev.Cols; x++ {
				cx := (float32(x) + 0.5) * float32(lev.Stride)
				for _, h := range half {
					g.Boxes = append(g.Boxes, [4]float32{cx - h[0], cy - h[1], cx + h[0], cy + h[1]})
				}
			}
		}
	}
	return g, nil
}

// halves returns half width and half height of every anchor of a cell of level l.
func (c AnchorConfig) halves(l int) [][2]float32 {
	out := make([][2]float32, 0, c.PerCell())
	for _, r := range c.Ratios {
		for _, s := range c.Scales {
			side := c.Sizes[l] * s / 2
			out = append(out, [2]float32{float32(side / math.Sqrt(r)), float32(side * math.Sqrt(r))})
		}
	}
	return out
}

// Len is the number of anchors.
func (g *Grid) Len() int { return len(g.Boxes) }

// end is one past the index of level l's last anchor.
func (g *Grid) end(l int) int {
	return g.Levels[l].First + g.Levels[l].Rows*g.Levels[l].Cols*g.Config.PerCell()
}

// levelOf returns the level of an anchor.
func (g *Grid) levelOf(anchor int) int {
	l := 0
	for anchor >= g.end(l) {
		l++
	}
	return l
}
