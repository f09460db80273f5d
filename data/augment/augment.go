// Package augment turns image files into network inputs: decode, resize, scale,
// crop, flip, colour, normalise, pad; boxes and label maps go through the same
// geometry (Params). Pixels go through GoCV; everything random is drawn from a
// counter-based stream (Random), before any pixel is touched.
package augment

import (
	"errors"
	"fmt"
	"image"
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
	// Antialias is Pillow's bilinear, pixel for pixel: a triangle that widens as
	// the image shrinks. torchvision's and timm's classification weights were
	// trained and are scored with it, on images read with Pillow.
	Antialias
	// AntialiasCubic is Pillow's bicubic (a = -0.5), which also widens.
	AntialiasCubic
)

// Config is one augmentation recipe. The zero value decodes and normalises only.
type Config struct {
	Resize        Resize
	Interpolation Interpolation
	// Scale multiplies the size that Resize gives by a random factor, uniform in
	// [Scale[0], Scale[1]], aspect kept. Zero leaves it alone.
	Scale [2]float64
	Crop  Crop
	// Part cuts a random part out of the image and resizes that; it takes the place
	// of Resize, Scale and Crop.
	Part RandomPart
	// FlipProb is the probability of a left-right mirror, in [0,1].
	FlipProb float64
	// Jitter and Photometric both change colours; a recipe has one of them.
	Jitter Jitter
	// Photometric switches the colour changes of Distortion on.
	Photometric bool
	// Mean and Std normalise RGB in [0,1]: (v/255-Mean)/Std. A zero Std stands for
	// ImageNetMean and ImageNetStd.
	Mean, Std [3]float32
	// ApplyOrientation: see DecodeOptions.
	ApplyOrientation bool
	// ReducedDecode decodes JPEGs at a fraction of their size when the target is
	// at most half as large: see DecodeOptions.TargetW.
	ReducedDecode bool
}

const maxScale = 16

// Validate reports every setting that cannot work.
func (c Config) Validate() error {
	if err := c.Resize.Validate(); err != nil {
		return err
	}
	if err := c.Crop.Validate(); err != nil {
		return err
	}
	if err := c.Part.Validate(); err != nil {
		return err
	}
	if c.Part.on() && (len(c.Resize.ShortSides) > 0 || c.Resize.LongMax > 0 || c.Resize.Width > 0 || c.Scale != [2]float64{} || c.Crop.on()) {
		return errors.New("a random part has its own size: give no resize, scale or crop beside it")
	}
	if err := c.Jitter.Validate(); err != nil {
		return err
	}
	if c.Photometric && c.Jitter != (Jitter{}) {
		return errors.New("colour jitter and photometric distortion both change colours: give one of them")
	}
	if lo, hi := c.Scale[0], c.Scale[1]; c.Scale != ([2]float64{}) && !(lo > 0 && lo <= hi && hi <= maxScale) {
		return fmt.Errorf("random scale from %v to %v: both must be positive, in ascending order and at most %v", lo, hi, maxScale)
	}
	if !(c.FlipProb >= 0 && c.FlipProb <= 1) {
		return fmt.Errorf("flip probability %v must be in [0,1]", c.FlipProb)
	}
	if c.Interpolation < Linear || c.Interpolation > AntialiasCubic {
		return fmt.Errorf("interpolation %d is none of linear (0), area (1), cubic (2), antialias (3), antialias-cubic (4)", c.Interpolation)
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

// Times is where a Renderer's time went.
type Times struct{ Read, Decode, Resize, Colour, Normalize, Labels time.Duration }

// Add adds o to t.
func (t *Times) Add(o Times) {
	t.Read += o.Read
	t.Decode += o.Decode
	t.Resize += o.Resize
	t.Colour += o.Colour
	t.Normalize += o.Normalize
	t.Labels += o.Labels
}

// Renderer makes network inputs from image files, one at a time. It keeps its
// buffers between images; it is not for use by several goroutines at once.
// Close releases what it holds outside Go's heap.
type Renderer struct {
	cfg          Config
	scale, shift [3]float32
	file         []byte
	src, in, hsv gocv.Mat
	cut          gocv.Mat // a window that leaves the image
	png          pngDecoder
	opened       bool // src holds the image to draw
	// Times sums up over all images.
	Times Times
}

// NewRenderer returns a renderer for a recipe.
func NewRenderer(cfg Config) (*Renderer, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	r := &Renderer{cfg: cfg, src: gocv.NewMat(), in: gocv.NewMat(), hsv: gocv.NewMat(), cut: gocv.NewMat(), png: newPNGDecoder()}
	r.scale, r.shift = cfg.coefficients()
	return r, nil
}

// Close frees the renderer's images.
func (r *Renderer) Close() {
	r.src.Close()
	r.in.Close()
	r.hsv.Close()
	r.cut.Close()
	r.png.close()
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

// Draw brings the opened image to p's size, cuts, flips and colours it as p
// says, and writes it normalised into the top left of dst, a canvas of h x w
// pixels, 3 RGB floats each (NHWC); the rest of the canvas becomes 0, the mean
// colour.
func (r *Renderer) Draw(p Params, dst []float32, h, w int) error {
	if p.InW < 1 || p.InH < 1 || p.InW > w || p.InH > h || len(dst) != h*w*3 {
		return fmt.Errorf("image of %dx%d does not fit a canvas of %dx%d with %d floats", p.InW, p.InH, w, h, len(dst))
	}
	if fw, fh := p.full(); p.Padding == PadNone && (p.CropX < 0 || p.CropY < 0 || p.CropX+p.InW > fw || p.CropY+p.InH > fh) {
		return fmt.Errorf("a crop of %dx%d at %d,%d leaves the image of %dx%d", p.InW, p.InH, p.CropX, p.CropY, fw, fh)
	}
	if !r.opened {
		return fmt.Errorf("no image is open")
	}
	if !p.part().In(image.Rect(0, 0, p.SrcW, p.SrcH)) {
		return fmt.Errorf("the part %v leaves the image of %dx%d", p.Cut, p.SrcW, p.SrcH)
	}
	t0 := time.Now()
	img, close := r.place(p)
	defer close()
	t1 := time.Now()
	r.Times.Resize += t1.Sub(t0)
	p.Colour.apply(&img, &r.hsv)
	p.Distortion.apply(&img, &r.hsv)
	t2 := time.Now()
	r.Times.Colour += t2.Sub(t1)
	normalizeInto(dst, w, h, planeOf(img), &r.scale, &r.shift, p.Flip)
	r.Times.Normalize += time.Since(t2)
	return nil
}
