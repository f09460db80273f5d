// Package augment turns image files into network inputs: decode, resize, flip,
// colour jitter, normalise, pad. Pixels go through GoCV; everything random is
// drawn from a counter-based stream (Random), before any pixel is touched.
package augment

import (
	"fmt"
	"image"
	"math"
	"time"

	"gocv.io/x/gocv"
)

// ImageNetMean and ImageNetStd are torchvision's, for RGB in [0,1].
var (
	ImageNetMean = [3]float32{0.485, 0.456, 0.406}
	ImageNetStd  = [3]float32{0.229, 0.224, 0.225}
)

// Interpolation is how pixels are resampled.
type Interpolation int

const (
	// Linear is bilinear with half-pixel centres; it does not smooth when it
	// shrinks, as torch's interpolate(mode="bilinear", antialias=False).
	Linear Interpolation = iota
	// Area averages the covered pixels when it shrinks (no aliasing, slower) and
	// is Linear when it grows.
	Area
	// Cubic is bicubic (a = -0.75), without smoothing.
	Cubic
)

// Config is one augmentation recipe. The zero value decodes and normalises only.
type Config struct {
	Resize        Resize
	Interpolation Interpolation
	FlipProb      float64 // probability of a left-right mirror, in [0,1]
	Jitter        Jitter
	// Mean and Std normalise RGB in [0,1]: (v/255-Mean)/Std. A zero Std stands for
	// ImageNetMean and ImageNetStd.
	Mean, Std [3]float32
	// ApplyOrientation: see DecodeOptions.
	ApplyOrientation bool
	// ReducedDecode decodes JPEGs at a fraction of their size when the target is
	// at most half as large: see DecodeOptions.TargetW.
	ReducedDecode bool
}

// Validate reports every setting that cannot work.
func (c Config) Validate() error {
	if err := c.Resize.Validate(); err != nil {
		return err
	}
	if err := c.Jitter.Validate(); err != nil {
		return err
	}
	if !(c.FlipProb >= 0 && c.FlipProb <= 1) {
		return fmt.Errorf("flip probability %v must be in [0,1]", c.FlipProb)
	}
	if c.Interpolation < Linear || c.Interpolation > Cubic {
		return fmt.Errorf("interpolation %d is none of linear (0), area (1), cubic (2)", c.Interpolation)
	}
	for i := range c.Std {
		if c.Std != ([3]float32{}) && !(c.Std[i] > 0) {
			return fmt.Errorf("std %v must be positive", c.Std)
		}
	}
	return nil
}

// coefficients returns scale and shift with (v/255-mean)/std = v*scale+shift.
func (c Config) coefficients() (scale, shift [3]float32) {
	mean, std := c.Mean, c.Std
	if std == ([3]float32{}) {
		mean, std = ImageNetMean, ImageNetStd
	}
	for i := range scale {
		scale[i] = float32(1 / (255 * float64(std[i])))
		shift[i] = float32(-float64(mean[i]) / float64(std[i]))
	}
	return scale, shift
}

// Params is everything random about one sample, drawn.
type Params struct {
	SrcW, SrcH int // size of the image by its annotations
	InW, InH   int // size on the canvas
	Flip       bool
	Colour     Colour
}

// Plan draws the parameters of one sample of w x h pixels. The draws happen in
// a fixed order: size, flip, jitter.
func (c Config) Plan(r *Random, w, h int) Params {
	k := 0
	if n := c.Resize.Choices(); n > 1 {
		k = r.Intn(n)
	}
	p := Params{SrcW: w, SrcH: h}
	p.InW, p.InH = c.Resize.Size(w, h, k)
	if c.FlipProb > 0 {
		p.Flip = r.Float64() < c.FlipProb
	}
	p.Colour = c.Jitter.draw(r)
	return p
}

// Shrink reduces the size on the canvas, aspect kept, to at most w x h.
func (p *Params) Shrink(w, h int) {
	if p.InW <= w && p.InH <= h {
		return
	}
	scale := math.Min(float64(w)/float64(p.InW), float64(h)/float64(p.InH))
	p.InW = max(1, min(w, int(float64(p.InW)*scale+0.5)))
	p.InH = max(1, min(h, int(float64(p.InH)*scale+0.5)))
}

// Box maps a box (x1 y1 x2 y2, source pixels) to canvas pixels, clipped to the
// image. ok is false where less than minSide pixels are left in width or height.
func (p Params) Box(b [4]float32, minSide float32) (out [4]float32, ok bool) {
	sx, sy := float64(p.InW)/float64(p.SrcW), float64(p.InH)/float64(p.SrcH)
	x1, y1, x2, y2 := float64(b[0])*sx, float64(b[1])*sy, float64(b[2])*sx, float64(b[3])*sy
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
	sx, sy := float32(p.SrcW)/float32(p.InW), float32(p.SrcH)/float32(p.InH)
	return [4]float32{b[0] * sx, b[1] * sy, b[2] * sx, b[3] * sy}
}

// Times is where a Renderer's time went.
type Times struct{ Read, Decode, Resize, Colour, Normalize time.Duration }

// Add adds o to t.
func (t *Times) Add(o Times) {
	t.Read += o.Read
	t.Decode += o.Decode
	t.Resize += o.Resize
	t.Colour += o.Colour
	t.Normalize += o.Normalize
}

// Renderer makes network inputs from image files, one at a time. It keeps its
// buffers between images; it is not for use by several goroutines at once.
// Close releases what it holds outside Go's heap.
type Renderer struct {
	cfg          Config
	scale, shift [3]float32
	file         []byte
	src, in, hsv gocv.Mat
	opened       bool // src holds the image to draw
	// Times sums up over all images.
	Times Times
}

// NewRenderer returns a renderer for a recipe.
func NewRenderer(cfg Config) (*Renderer, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	r := &Renderer{cfg: cfg, src: gocv.NewMat(), in: gocv.NewMat(), hsv: gocv.NewMat()}
	r.scale, r.shift = cfg.coefficients()
	return r, nil
}

// Close frees the renderer's images.
func (r *Renderer) Close() {
	r.src.Close()
	r.in.Close()
	r.hsv.Close()
}

// Open reads and decodes an image file and returns its size. w and h are the
// size its annotations give (another size is an error), or 0.
func (r *Renderer) Open(path string, w, h int) (int, int, error) {
	return r.open(path, DecodeOptions{ApplyOrientation: r.cfg.ApplyOrientation, Width: w, Height: h})
}

func (r *Renderer) open(path string, o DecodeOptions) (int, int, error) {
	t0 := time.Now()
	r.opened = false
	var err error
	if r.file, err = ReadFile(path, r.file); err != nil {
		return 0, 0, err
	}
	t1 := time.Now()
	r.Times.Read += t1.Sub(t0)
	err = decode(&r.src, path, r.file, o)
	r.Times.Decode += time.Since(t1)
	if err != nil {
		return 0, 0, err
	}
	r.opened = true
	return r.src.Cols(), r.src.Rows(), nil
}

// Inspect is Open without decoding: it reads the file and checks its container
// and, for JPEG and PNG, its size.
func (r *Renderer) Inspect(path string, w, h int) error {
	var err error
	if r.file, err = ReadFile(path, r.file); err != nil {
		return err
	}
	_, err = inspect(path, r.file, DecodeOptions{ApplyOrientation: r.cfg.ApplyOrientation, Width: w, Height: h})
	return err
}

// Draw brings the opened image to p's size, flips and colours it as p says, and
// writes it normalised into the top left of dst, a canvas of h x w pixels, 3
// RGB floats each (NHWC); the rest of the canvas becomes 0, the mean colour.
func (r *Renderer) Draw(p Params, dst []float32, h, w int) error {
	if p.InW < 1 || p.InH < 1 || p.InW > w || p.InH > h || len(dst) != h*w*3 {
		return fmt.Errorf("image of %dx%d does not fit a canvas of %dx%d with %d floats", p.InW, p.InH, w, h, len(dst))
	}
	if !r.opened {
		return fmt.Errorf("no image is open")
	}
	t0 := time.Now()
	img := &r.src
	if r.src.Cols() != p.InW || r.src.Rows() != p.InH {
		resizeInto(r.src, &r.in, p.InW, p.InH, r.cfg.Interpolation)
		img = &r.in
	}
	t1 := time.Now()
	r.Times.Resize += t1.Sub(t0)
	p.Colour.apply(img, &r.hsv)
	t2 := time.Now()
	r.Times.Colour += t2.Sub(t1)
	normalizeInto(dst, w, h, planeOf(*img), &r.scale, &r.shift, p.Flip)
	r.Times.Normalize += time.Since(t2)
	if p.Colour.On && img == &r.src {
		// The jitter changed the opened image itself: it cannot be drawn twice.
		r.opened = false
	}
	return nil
}

// Render is Open and Draw in one: the image file at path, drawn as p says into
// an h x w canvas.
func (r *Renderer) Render(path string, p Params, dst []float32, h, w int) error {
	o := DecodeOptions{ApplyOrientation: r.cfg.ApplyOrientation, Width: p.SrcW, Height: p.SrcH}
	if r.cfg.ReducedDecode {
		o.TargetW, o.TargetH = p.InW, p.InH
	}
	if _, _, err := r.open(path, o); err != nil {
		return err
	}
	return r.Draw(p, dst, h, w)
}

func resizeInto(src gocv.Mat, dst *gocv.Mat, w, h int, how Interpolation) {
	flag := gocv.InterpolationLinear
	switch how {
	case Area:
		if w < src.Cols() || h < src.Rows() {
			flag = gocv.InterpolationArea
		}
	case Cubic:
		flag = gocv.InterpolationCubic
	}
	gocv.Resize(src, dst, image.Pt(w, h), 0, 0, flag)
}
