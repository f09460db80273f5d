package augment

import (
	"errors"
	"fmt"
	"math"
)

// Crop cuts a random window out of the resized and scaled image, every position
// alike likely. A side of the image that is shorter than the window's stays as
// it is, and the canvas is padded. The zero value cuts nothing.
type Crop struct {
	W, H int // of the window, pixels
	// Pad puts so many pixels around the image before the window is drawn: black
	// ones, or with Reflect the image mirrored at its outermost pixels
	// (torchvision's RandomCrop with padding). Not for label maps.
	Pad     int
	Reflect bool
	// Center takes the window in the middle, for evaluation, where
	// torchvision.transforms.CenterCrop takes it; a side that is shorter is padded
	// with black on both ends. Not for label maps.
	Center bool
	// MaxShare in (0,1) draws windows until no class has that share or more of the
	// window's pixels that are not ignored, and more than one class is there: see
	// Params.FitCrop. 0 or 1 takes the first. It needs label maps.
	MaxShare float64
}

func (c Crop) on() bool { return c.W > 0 }

// Limited reports whether windows are chosen by what their label maps hold.
func (c Crop) Limited() bool { return c.on() && c.MaxShare > 0 && c.MaxShare < 1 }

// Validate reports settings that cannot work.
func (c Crop) Validate() error {
	if (c.W > 0) != (c.H > 0) || c.W < 0 || c.H < 0 {
		return fmt.Errorf("crop: width %d and height %d must both be positive", c.W, c.H)
	}
	if !(c.MaxShare >= 0 && c.MaxShare <= 1) {
		return fmt.Errorf("crop: the largest share of one class, %v, must be in [0,1]", c.MaxShare)
	}
	if c.MaxShare > 0 && !c.on() {
		return fmt.Errorf("crop: the largest share of one class is %v, but no crop size is given", c.MaxShare)
	}
	if c.Pad < 0 || c.Pad > maxPad {
		return fmt.Errorf("crop: padding of %d pixels must be in [0,%d]", c.Pad, maxPad)
	}
	if !c.on() && (c.Pad > 0 || c.Center) {
		return errors.New("crop: padding and a central crop need a crop size")
	}
	if c.Reflect && c.Pad == 0 {
		return errors.New("crop: mirrored padding needs a number of pixels to pad")
	}
	if c.Center && (c.Pad > 0 || c.Limited()) {
		return errors.New("crop: a central crop is neither padded nor chosen by what it holds")
	}
	if c.Pad > 0 && c.Limited() {
		return errors.New("crop: a padded crop cannot be chosen by what its label map holds")
	}
	return nil
}

// Outside reports whether windows may reach beyond the image, where label maps
// have nothing.
func (c Crop) Outside() bool { return c.Pad > 0 || c.Center }

const maxPad = 4096

// Padding says what is beyond the image's border.
type Padding int

const (
	// PadNone is for windows that stay inside.
	PadNone Padding = iota
	// PadBlack is 0 in every channel, before normalisation.
	PadBlack
	// PadReflect is the image mirrored at its outermost pixels, which are not
	// repeated (NumPy's and PyTorch's "reflect").
	PadReflect
)

// central is where torchvision's CenterCrop begins a window of c pixels on a side
// of n: halves are rounded to even, and missing pixels go to both ends, the odd
// one to the far end.
func central(n, c int) int {
	if n < c {
		return -((c - n) / 2)
	}
	return int(math.RoundToEven(float64(n-c) / 2))
}

// drawWindow moves the window to the next random place.
func (p *Params) drawWindow() {
	w, h := p.full()
	p.CropY = p.crops.Intn(h+2*p.margin-p.InH+1) - p.margin
	p.CropX = p.crops.Intn(w+2*p.margin-p.InW+1) - p.margin
}

// cropTries is mmsegmentation's.
const cropTries = 10

// FitCrop draws windows until one suits c.MaxShare; labels are the SrcH x SrcW
// label map of p's image. As in mmsegmentation's RandomCrop (cat_max_ratio;
// mmseg/datasets/pipelines/transforms.py, 0.x), a window suits if it holds at
// least two classes and the most frequent has less than MaxShare of its pixels,
// those with the value ignore not counted; ten windows are looked at, and if
// none suits, the one drawn next is taken as it is. The outcome is a function of
// p and labels only.
func (p *Params) FitCrop(c Crop, labels []uint8, ignore uint8) error {
	if err := p.checkLabels(labels); err != nil {
		return err
	}
	if w, h := p.full(); !c.Limited() || w == p.InW && h == p.InH {
		return nil
	}
	var cols []int32
	for try := 0; try < cropTries; try++ {
		cols = p.columns(cols)
		if p.suits(c.MaxShare, labels, cols, ignore) {
			break
		}
		p.drawWindow()
	}
	return nil
}

func (p *Params) suits(share float64, labels []uint8, cols []int32, ignore uint8) bool {
	// Four tables, so that runs of one class do not wait for one counter.
	var n [4][256]int
	for y := 0; y < p.InH; y++ {
		row := p.labelRow(labels, y)
		for i, x := range cols {
			n[i&3][row[x]]++
		}
	}
	classes, most, sum := 0, 0, 0
	for v := 0; v < 256; v++ {
		m := n[0][v] + n[1][v] + n[2][v] + n[3][v]
		if m == 0 || uint8(v) == ignore {
			continue
		}
		classes++
		most, sum = max(most, m), sum+m
	}
	return classes > 1 && float64(most)/float64(sum) < share
}
