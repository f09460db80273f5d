package augment

import (
	"errors"
	"fmt"
	"math"
)

// Resize says to which size an image is brought before it is put on the canvas.
// The zero value keeps the size.
type Resize struct {
	// ShortSides is the length in pixels the shorter side gets; of several, one is
	// drawn for each sample. Aspect is kept.
	ShortSides []int
	// LongMax bounds the longer side; where it bites, the shorter side ends below
	// its wish. 0: no bound.
	LongMax int
	// Truncate rounds the longer side down instead of half up, as
	// torchvision.transforms.Resize does. It needs ShortSides and no LongMax.
	Truncate bool
	// Width and Height bring every image to exactly this size, squashing it.
	// Excludes ShortSides.
	Width, Height int
}

// Validate reports settings that contradict each other.
func (r Resize) Validate() error {
	if (r.Width > 0) != (r.Height > 0) || r.Width < 0 || r.Height < 0 {
		return fmt.Errorf("resize: width %d and height %d must both be positive", r.Width, r.Height)
	}
	if r.Width > 0 && len(r.ShortSides) > 0 {
		return errors.New("resize: give either a fixed size or short sides")
	}
	for _, s := range r.ShortSides {
		if s < 1 {
			return fmt.Errorf("resize: short side %d must be positive", s)
		}
		if r.LongMax > 0 && s > r.LongMax {
			return fmt.Errorf("resize: short side %d is above the longest side allowed, %d", s, r.LongMax)
		}
	}
	if r.Truncate && (len(r.ShortSides) == 0 || r.LongMax > 0) {
		return errors.New("resize: rounding the longer side down needs a short side and no longest side")
	}
	if r.LongMax < 0 {
		return fmt.Errorf("resize: longest side %d must not be negative", r.LongMax)
	}
	return nil
}

// Size returns the size of a w x h image after resizing with the k-th of
// ShortSides: both sides times min(short/shorter, LongMax/longer), rounded half
// up, at least 1; with Truncate, the longer side rounded down.
func (r Resize) Size(w, h, k int) (int, int) {
	if r.Width > 0 {
		return r.Width, r.Height
	}
	if len(r.ShortSides) == 0 && (r.LongMax == 0 || max(w, h) <= r.LongMax) {
		return w, h
	}
	if short := min(w, h); r.Truncate {
		s := r.ShortSides[k]
		return s * w / short, s * h / short
	}
	scale := math.Inf(1)
	if len(r.ShortSides) > 0 {
		scale = float64(r.ShortSides[k]) / float64(min(w, h))
	}
	if r.LongMax > 0 {
		scale = math.Min(scale, float64(r.LongMax)/float64(max(w, h)))
	}
	side := func(n int) int { return max(1, int(math.Floor(float64(n)*scale+0.5))) }
	return side(w), side(h)
}

// Choices is how many sizes Size can return for one image.
func (r Resize) Choices() int { return max(1, len(r.ShortSides)) }
