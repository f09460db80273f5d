package augment

import (
	"errors"
	"fmt"
	"image"
	"math"
)

// RandomPart cuts a random part out of an image and brings it to W x H pixels:
// torchvision.transforms.RandomResizedCrop, from Inception (Szegedy et al., Going
// Deeper with Convolutions, CVPR 2015). The part's share of the image's area is
// uniform in Scale, the logarithm of its width through its height uniform in the
// logarithms of Ratio, its place uniform. After ten draws that do not fit the
// image, the largest part in its middle whose ratio is in range is taken. The
// zero value does nothing.
type RandomPart struct {
	W, H  int
	Scale [2]float64 // in (0,1], ascending; zero: 0.08 and 1
	Ratio [2]float64 // positive, ascending; zero: 3/4 and 4/3
}

const partTries = 10

func (c RandomPart) on() bool { return c.W > 0 }

// Validate reports settings that cannot work.
func (c RandomPart) Validate() error {
	if (c.W > 0) != (c.H > 0) || c.W < 0 || c.H < 0 {
		return fmt.Errorf("random part: width %d and height %d must both be positive", c.W, c.H)
	}
	if !c.on() && (c.Scale != [2]float64{} || c.Ratio != [2]float64{}) {
		return errors.New("random part: it has a scale or ratio but no size")
	}
	c = c.filled()
	if lo, hi := c.Scale[0], c.Scale[1]; !(lo > 0 && lo <= hi && hi <= 1) {
		return fmt.Errorf("random part: shares of the area from %v to %v must be in (0,1] and ascending", lo, hi)
	}
	if lo, hi := c.Ratio[0], c.Ratio[1]; !(lo >= 0.01 && lo <= hi && hi <= 100) {
		return fmt.Errorf("random part: ratios from %v to %v must be in [0.01,100] and ascending", lo, hi)
	}
	return nil
}

func (c RandomPart) filled() RandomPart {
	if c.Scale == [2]float64{} {
		c.Scale = [2]float64{0.08, 1}
	}
	if c.Ratio == [2]float64{} {
		c.Ratio = [2]float64{3. / 4, 4. / 3}
	}
	return c
}

// draw returns the part of a w x h image.
func (c RandomPart) draw(r *Random, w, h int) image.Rectangle {
	return c.part(w, h, r.Uniform, r.Intn)
}

// part is draw with its random numbers given: uniform returns one in [lo,hi),
// intn one in [0,n).
func (c RandomPart) part(w, h int, uniform func(lo, hi float64) float64, intn func(n int) int) image.Rectangle {
	c = c.filled()
	area := float64(w) * float64(h)
	lo, hi := math.Log(c.Ratio[0]), math.Log(c.Ratio[1])
	for range partTries {
		wanted := area * uniform(c.Scale[0], c.Scale[1])
		ratio := math.Exp(uniform(lo, hi))
		pw, ph := int(math.RoundToEven(math.Sqrt(wanted*ratio))), int(math.RoundToEven(math.Sqrt(wanted/ratio)))
		if pw > 0 && pw <= w && ph > 0 && ph <= h {
			y := intn(h - ph + 1)
			x := intn(w - pw + 1)
			return image.Rect(x, y, x+pw, y+ph)
		}
	}
	pw, ph := w, h
	switch ratio := float64(w) / float64(h); {
	case ratio < c.Ratio[0]:
		ph = int(math.RoundToEven(float64(w) / c.Ratio[0]))
	case ratio > c.Ratio[1]:
		pw = int(math.RoundToEven(float64(h) * c.Ratio[1]))
	}
	pw, ph = max(1, min(w, pw)), max(1, min(h, ph))
	x, y := (w-pw)/2, (h-ph)/2
	return image.Rect(x, y, x+pw, y+ph)
}
