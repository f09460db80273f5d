package augment

import (
	"image"
	"math"
)

// Params is everything random about one sample, drawn. It is one geometry for
// the image, its boxes and its label map: of the image the part Cut is brought to
// ScaledW x ScaledH, the window of InW x InH pixels at CropX, CropY is cut out, and
// that is mirrored if Flip is set.
//
// Pixel i of n that were m before has its centre at (i+0.5)*m/n-0.5 (half-pixel
// centres) for images and label maps alike.
type Params struct {
	SrcW, SrcH int // size of the image by its annotations
	// Cut is the part of the image, in source pixels, that is used at all; what is
	// outside of it does not count when pixels are resampled. Empty: all.
	Cut image.Rectangle
	// ScaledW and ScaledH are the size of all of that after resizing; 0 stands for
	// InW and InH.
	ScaledW, ScaledH int
	CropX, CropY     int // of the window in the scaled image, before the mirror
	InW, InH         int // size on the canvas
	// Padding is what the window shows where it leaves the scaled image.
	Padding    Padding
	Flip       bool
	Colour     Colour
	Distortion Distortion

	crops  Random // further windows to try: see FitCrop
	margin int    // of padding around the scaled image
}

// Plan draws the parameters of one sample of w x h pixels. The draws happen in
// a fixed order: size, factor, part, window, flip, colours.
func (c Config) Plan(r *Random, w, h int) Params {
	k := 0
	if n := c.Resize.Choices(); n > 1 {
		k = r.Intn(n)
	}
	p := Params{SrcW: w, SrcH: h}
	factor := 1.0
	if c.Scale != ([2]float64{}) {
		factor = r.Uniform(c.Scale[0], c.Scale[1])
	}
	if c.Part.on() {
		p.Cut = c.Part.draw(r, w, h)
		p.ScaledW, p.ScaledH = c.Part.W, c.Part.H
	} else {
		p.ScaledW, p.ScaledH = c.scaled(w, h, k, factor)
	}
	p.InW, p.InH = p.ScaledW, p.ScaledH
	switch {
	case c.Crop.Center:
		p.InW, p.InH = c.Crop.W, c.Crop.H
		p.CropX, p.CropY = central(p.ScaledW, p.InW), central(p.ScaledH, p.InH)
		if p.ScaledW < p.InW || p.ScaledH < p.InH {
			p.Padding = PadBlack
		}
	case c.Crop.on():
		p.crops = NewRandom(r.Uint64())
		if p.margin = c.Crop.Pad; p.margin > 0 {
			p.Padding = PadBlack
			if c.Crop.Reflect {
				p.Padding = PadReflect
			}
		}
		p.InW, p.InH = min(p.InW+2*p.margin, c.Crop.W), min(p.InH+2*p.margin, c.Crop.H)
		p.drawWindow()
	}
	if c.FlipProb > 0 {
		p.Flip = r.Float64() < c.FlipProb
	}
	p.Colour = c.Jitter.draw(r)
	if c.Photometric {
		p.Distortion = drawDistortion(r)
	}
	return p
}

// MaxSize is the largest size on the canvas that Plan can give a w x h image
// with the k-th of Resize's sizes.
func (c Config) MaxSize(w, h, k int) (int, int) {
	if w, h, ok := c.Window(); ok && (c.Part.on() || c.Crop.Center) {
		return w, h
	}
	factor := 1.0
	if c.Scale != ([2]float64{}) {
		factor = c.Scale[1]
	}
	w, h = c.scaled(w, h, k, factor)
	if c.Crop.on() {
		w, h = min(w+2*c.Crop.Pad, c.Crop.W), min(h+2*c.Crop.Pad, c.Crop.H)
	}
	return w, h
}

// Window is the largest size on the canvas whatever an image's own size: that of
// the crop or of the random part. ok is false where neither is set.
func (c Config) Window() (w, h int, ok bool) {
	switch {
	case c.Part.on():
		return c.Part.W, c.Part.H, true
	case c.Crop.on():
		return c.Crop.W, c.Crop.H, true
	}
	return 0, 0, false
}

// part is the part of the image that is used, source pixels.
func (p Params) part() image.Rectangle {
	if p.Cut.Empty() {
		return image.Rect(0, 0, p.SrcW, p.SrcH)
	}
	return p.Cut
}

func (c Config) scaled(w, h, k int, factor float64) (int, int) {
	w, h = c.Resize.Size(w, h, k)
	if factor != 1 {
		side := func(n int) int { return max(1, int(math.Floor(float64(n)*factor+0.5))) }
		w, h = side(w), side(h)
	}
	return w, h
}

// full is the size of the whole image after resizing.
func (p Params) full() (w, h int) {
	if p.ScaledW == 0 {
		return p.InW, p.InH
	}
	return p.ScaledW, p.ScaledH
}

// Scale is how many canvas pixels a source pixel takes, across and down.
func (p Params) Scale() (x, y float64) {
	w, h := p.full()
	part := p.part()
	return float64(w) / float64(part.Dx()), float64(h) / float64(part.Dy())
}

// Shrink reduces the size on the canvas to at most w x h: of a window by cutting
// at its right and bottom, of a whole image by scaling, aspect kept.
func (p *Params) Shrink(w, h int) {
	if p.InW <= w && p.InH <= h {
		return
	}
	if fw, fh := p.full(); fw != p.InW || fh != p.InH {
		p.InW, p.InH = min(p.InW, w), min(p.InH, h)
		return
	}
	scale := math.Min(float64(w)/float64(p.InW), float64(h)/float64(p.InH))
	p.InW = max(1, min(w, int(float64(p.InW)*scale+0.5)))
	p.InH = max(1, min(h, int(float64(p.InH)*scale+0.5)))
	p.ScaledW, p.ScaledH = p.InW, p.InH
}

// Box maps a box (x1 y1 x2 y2, source pixels) to canvas pixels, clipped to what
// the canvas shows of the image. ok is false where less than minSide pixels are
// left in width or height.
func (p Params) Box(b [4]float32, minSide float32) (out [4]float32, ok bool) {
	sx, sy := p.Scale()
	dx, dy := float64(p.CropX)+float64(p.Cut.Min.X)*sx, float64(p.CropY)+float64(p.Cut.Min.Y)*sy
	x1, y1, x2, y2 := float64(b[0])*sx-dx, float64(b[1])*sy-dy, float64(b[2])*sx-dx, float64(b[3])*sy-dy
	if p.Flip {
		x1, x2 = float64(p.InW)-x2, float64(p.InW)-x1
	}
	w, h := float64(p.InW), float64(p.InH)
	x1, x2 = math.Max(0, math.Min(w, x1)), math.Max(0, math.Min(w, x2))
	y1, y2 = math.Max(0, math.Min(h, y1)), math.Max(0, math.Min(h, y2))
	out = [4]float32{float32(x1), float32(y1), float32(x2), float32(y2)}
	return out, out[2]-out[0] >= minSide && out[3]-out[1] >= minSide
}

// Unbox maps a box in canvas pixels back to source pixels: the inverse of Box,
// for detections.
func (p Params) Unbox(b [4]float32) [4]float32 {
	if p.Flip {
		b[0], b[2] = float32(p.InW)-b[2], float32(p.InW)-b[0]
	}
	fw, fh := p.full()
	part := p.part()
	sx, sy := float32(part.Dx())/float32(fw), float32(part.Dy())/float32(fh)
	dx, dy := float32(p.CropX), float32(p.CropY)
	x, y := float32(part.Min.X), float32(part.Min.Y)
	return [4]float32{(b[0]+dx)*sx + x, (b[1]+dy)*sy + y, (b[2]+dx)*sx + x, (b[3]+dy)*sy + y}
}
