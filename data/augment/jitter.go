package augment

import (
	"fmt"

	"gocv.io/x/gocv"
)

// Jitter changes colours at random, after torchvision.transforms.ColorJitter
// with the same ranges: the factors of brightness, contrast and saturation are
// uniform in [max(0, 1-x), 1+x], the hue shift is uniform in [-Hue, Hue] of a
// full turn.
//
// It differs from torchvision in three ways: the order is always brightness,
// contrast, saturation, hue (torchvision draws an order for each image); the
// first three are computed in float and rounded once instead of after each; it
// runs after the resize, on what the network will see.
type Jitter struct {
	Brightness, Contrast, Saturation float64 // 0 and up; 0 leaves it alone
	Hue                              float64 // 0 to 0.5
}

// Validate reports values out of range.
func (j Jitter) Validate() error {
	for _, v := range []struct {
		name string
		x    float64
	}{{"brightness", j.Brightness}, {"contrast", j.Contrast}, {"saturation", j.Saturation}} {
		if !(v.x >= 0) || v.x > 100 {
			return fmt.Errorf("colour jitter: %s %v must be in [0,100]", v.name, v.x)
		}
	}
	if !(j.Hue >= 0 && j.Hue <= 0.5) {
		return fmt.Errorf("colour jitter: hue %v must be in [0,0.5]", j.Hue)
	}
	return nil
}

// Colour is one draw of Jitter. The zero value changes nothing.
type Colour struct {
	On                               bool
	Brightness, Contrast, Saturation float64 // factors, 1 changes nothing
	Hue                              float64 // shift in turns
}

func (j Jitter) draw(r *Random) Colour {
	if j == (Jitter{}) {
		return Colour{}
	}
	factor := func(x float64) float64 { return r.Uniform(max(0, 1-x), 1+x) }
	return Colour{
		On:         true,
		Brightness: factor(j.Brightness),
		Contrast:   factor(j.Contrast),
		Saturation: factor(j.Saturation),
		Hue:        r.Uniform(-j.Hue, j.Hue),
	}
}

// apply changes the BGR pixels of m in place; hsv is scratch. The hue turns in
// OpenCV's full-range 8-bit HSV, whose H wraps at 256.
func (c Colour) apply(m, hsv *gocv.Mat) {
	if !c.On {
		return
	}
	if c.Brightness != 1 || c.Contrast != 1 || c.Saturation != 1 {
		colour(planeOf(*m), c.Brightness, c.Contrast, c.Saturation)
	}
	add := int(c.Hue*255 + 256.5) // rounded, positive
	if add&255 == 0 {
		return
	}
	gocv.CvtColor(*m, hsv, gocv.ColorBGRToHSVFull)
	shiftHue(planeOf(*hsv), add&255)
	gocv.CvtColor(*hsv, m, gocv.ColorHSVToBGRFull)
}
