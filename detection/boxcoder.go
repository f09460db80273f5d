package detection

import "math"

// BoxCoder turns a box into the four numbers that a detector regresses against
// an anchor, and back: dx = (gx-ax)/aw, dy = (gy-ay)/ah, dw = ln(gw/aw),
// dh = ln(gh/ah), with centres (x1+x2)/2 and widths x2-x1 (Girshick et al.,
// R-CNN, appendix C). Anchor widths and heights below one pixel count as one
// pixel; the box's own do not. The zero BoxCoder works.
type BoxCoder struct {
	// Weights multiply dx, dy, dw, dh in Encode and divide them in Decode (the
	// inverse standard deviations of other detectors); all zero means none.
	Weights [4]float64

	// NoClamp leaves dw and dh as they are. Otherwise Decode limits them to
	// MaxLogSize, so that a wild prediction cannot overflow.
	NoClamp bool
}

// MaxLogSize is the largest dw or dh that Decode uses, ln(1000/16), torchvision's
// and detectron2's value: a box at most 62.5 times as wide as its anchor.
var MaxLogSize = math.Log(1000.0 / 16)

func (c BoxCoder) weights() [4]float64 {
	if c.Weights == [4]float64{} {
		return [4]float64{1, 1, 1, 1}
	}
	return c.Weights
}

// frame returns an anchor's centre and size in float32 arithmetic, the precision
// that the golden trajectories were computed in, widened.
func frame(a [4]float32) (cx, cy, w, h float64) {
	return float64((a[0] + a[2]) / 2), float64((a[1] + a[3]) / 2),
		float64(max(a[2]-a[0], 1)), float64(max(a[3]-a[1], 1))
}

// Encode returns the regression target of a box (x1 y1 x2 y2, of positive width
// and height) against an anchor.
func (c BoxCoder) Encode(anchor [4]float32, box [4]float64) [4]float64 {
	ax, ay, aw, ah := frame(anchor)
	k := c.weights()
	return [4]float64{
		k[0] * ((box[0]+box[2])/2 - ax) / aw,
		k[1] * ((box[1]+box[3])/2 - ay) / ah,
		k[2] * math.Log((box[2]-box[0])/aw),
		k[3] * math.Log((box[3]-box[1])/ah),
	}
}

// Decode returns the box (x1 y1 x2 y2, not clipped) that the numbers d describe.
func (c BoxCoder) Decode(anchor [4]float32, d [4]float64) [4]float64 {
	ax, ay, aw, ah := frame(anchor)
	k := c.weights()
	dw, dh := d[2]/k[2], d[3]/k[3]
	if !c.NoClamp {
		dw, dh = min(dw, MaxLogSize), min(dh, MaxLogSize)
	}
	cx, cy := d[0]/k[0]*aw+ax, d[1]/k[1]*ah+ay
	w, h := math.Exp(dw)*aw/2, math.Exp(dh)*ah/2
	return [4]float64{cx - w, cy - h, cx + w, cy + h}
}

// ClipBox moves a box's corners into an image of the given width and height.
func ClipBox(box [4]float64, width, height float64) [4]float64 {
	return [4]float64{
		min(max(box[0], 0), width), min(max(box[1], 0), height),
		min(max(box[2], 0), width), min(max(box[3], 0), height),
	}
}

// IoU is the intersection over union of two boxes, 0 if they share no area.
func IoU(a, b [4]float64) float64 {
	w := min(a[2], b[2]) - max(a[0], b[0])
	h := min(a[3], b[3]) - max(a[1], b[1])
	if !(w > 0) || !(h > 0) {
		return 0
	}
	inter := w * h
	return inter / ((a[2]-a[0])*(a[3]-a[1]) + (b[2]-b[0])*(b[3]-b[1]) - inter)
}
