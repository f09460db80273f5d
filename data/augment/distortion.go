package augment

import "gocv.io/x/gocv"

// Distortion is one draw of the photometric distortion of SSD (Liu et al., ECCV
// 2016) in mmsegmentation's form (PhotoMetricDistortion with its default ranges;
// mmseg/datasets/pipelines/transforms.py, 0.x): brightness, contrast, saturation
// and hue in this order, or with contrast last, both orders alike likely, each
// with probability 1/2. Every step but the two in HSV cuts its result off to
// whole levels in [0,255].
//
// It differs from mmsegmentation in one way: where both saturation and hue
// change, the pixels go to HSV and back once, not twice.
//
// The zero value changes nothing.
type Distortion struct {
	On         bool
	Brightness float64 // added to 8-bit levels: [-32,32), 0 changes nothing
	Contrast   float64 // factor of 8-bit levels: [0.5,1.5), 1 changes nothing
	// ContrastLast applies Contrast after saturation and hue instead of before.
	ContrastLast bool
	Saturation   float64 // factor of S in 8-bit HSV: [0.5,1.5), 1 changes nothing
	// Hue is added to H in OpenCV's 8-bit HSV, whose 180 steps are 2 degrees each:
	// -18 to 17, 0 changes nothing.
	Hue int
}

// The ranges, after mmsegmentation.
const (
	brightnessDelta = 32
	factorLow       = 0.5
	factorHigh      = 1.5
	hueDelta        = 18
)

func drawDistortion(r *Random) Distortion {
	d := Distortion{On: true, Contrast: 1, Saturation: 1}
	// Every number is drawn, used or not: what one step does never moves another's.
	coin := func() bool { return r.Float64() < 0.5 }
	if on, v := coin(), r.Uniform(-brightnessDelta, brightnessDelta); on {
		d.Brightness = v
	}
	d.ContrastLast = coin()
	if on, v := coin(), r.Uniform(factorLow, factorHigh); on {
		d.Contrast = v
	}
	if on, v := coin(), r.Uniform(factorLow, factorHigh); on {
		d.Saturation = v
	}
	if on, v := coin(), r.Intn(2*hueDelta)-hueDelta; on {
		d.Hue = v
	}
	return d
}

// apply changes the BGR pixels of m in place; hsv is scratch.
func (d Distortion) apply(m, hsv *gocv.Mat) {
	if !d.On {
		return
	}
	before, after := sameLevels(), sameLevels()
	before.scale(1, d.Brightness)
	if d.ContrastLast {
		after.scale(d.Contrast, 0)
	} else {
		before.scale(d.Contrast, 0)
	}
	before.apply(*m)
	if d.Saturation != 1 || d.Hue != 0 {
		gocv.CvtColor(*m, hsv, gocv.ColorBGRToHSV)
		h, s := sameLevels(), sameLevels()
		for i := range h {
			h[i] = uint8((i + d.Hue + 180) % 180)
		}
		s.scale(d.Saturation, 0)
		mapLevels(planeOf(*hsv), h, s, sameLevels())
		gocv.CvtColor(*hsv, m, gocv.ColorHSVToBGR)
	}
	after.apply(*m)
}

// levels says what becomes of each 8-bit level.
type levels [256]uint8

func sameLevels() *levels {
	var t levels
	for i := range t {
		t[i] = uint8(i)
	}
	return &t
}

// scale lets factor*level+add, in float32, cut off to a whole number in [0,255],
// follow what t does already.
func (t *levels) scale(factor, add float64) {
	for i, v := range t {
		// The conversion keeps multiplication and addition apart on every machine.
		x := float32(float32(v)*float32(factor)) + float32(add)
		t[i] = uint8(max(0, min(255, x)))
	}
}

func (t *levels) apply(m gocv.Mat) {
	if *t != *sameLevels() {
		mapLevels(planeOf(m), t, t, t)
	}
}
