package report

import (
	"image/color"
	"math"
)

// Colour is the colour of a class, the same in every picture: hues a golden angle
// apart, so that neighbouring classes differ clearly, in three lightnesses.
// Negative numbers are grey.
func Colour(class int) color.NRGBA {
	if class < 0 {
		return color.NRGBA{160, 160, 160, 255}
	}
	hue := math.Mod(float64(class)*137.50776405, 360)
	light := []float64{0.55, 0.42, 0.68}[class%3]
	return hsl(hue, 0.85, light)
}

// hsl converts hue (degrees), saturation and lightness (0 … 1).
func hsl(h, s, l float64) color.NRGBA {
	a := s * min(l, 1-l)
	channel := func(n float64) uint8 {
		k := math.Mod(n+h/30, 12)
		return uint8(math.Round(255 * (l - a*max(-1, min(k-3, 9-k, 1)))))
	}
	return color.NRGBA{channel(0), channel(8), channel(4), 255}
}

// inkOn is black or white, whichever reads better on c (Rec. 709 luma).
func inkOn(c color.NRGBA) color.NRGBA {
	if 0.2126*float64(c.R)+0.7152*float64(c.G)+0.0722*float64(c.B) > 140 {
		return color.NRGBA{0, 0, 0, 255}
	}
	return color.NRGBA{255, 255, 255, 255}
}
