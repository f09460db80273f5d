package augment

import (
	"errors"
	"fmt"
	"time"
)

// Open reads and decodes an image file and returns its size. w and h are the
// size its annotations give (another size is an error), or 0.
func (r *Renderer) Open(path string, w, h int) (int, int, error) {
	if err := r.read(path); err != nil {
		return 0, 0, err
	}
	err := r.decode(path, r.file, DecodeOptions{ApplyOrientation: r.cfg.ApplyOrientation, Width: w, Height: h})
	if err != nil {
		return 0, 0, err
	}
	return r.src.Cols(), r.src.Rows(), nil
}

// Contents are the bytes of the image file that was read last, valid until the
// next is.
func (r *Renderer) Contents() []byte { return r.file }

// Decode opens an image file that is held in memory and returns its size. name
// stands for it in errors.
func (r *Renderer) Decode(name string, contents []byte) (w, h int, err error) {
	r.opened = false
	if len(contents) == 0 {
		return 0, 0, &ImageError{File: name, Err: errors.New("the file is empty")}
	}
	if err := r.decode(name, contents, DecodeOptions{ApplyOrientation: r.cfg.ApplyOrientation}); err != nil {
		return 0, 0, err
	}
	return r.src.Cols(), r.src.Rows(), nil
}

// RGB returns the opened image's pixels, R, G, B row by row, in dst's memory where
// that is large enough.
func (r *Renderer) RGB(dst []uint8) ([]uint8, error) {
	if !r.opened {
		return dst, errors.New("no image is open")
	}
	n := r.src.Cols() * r.src.Rows() * 3
	if cap(dst) < n {
		dst = make([]uint8, n)
	}
	dst = dst[:n]
	toRGB(r.src, dst)
	return dst, nil
}

func (r *Renderer) read(path string) error {
	t := time.Now()
	r.opened = false
	var err error
	r.file, err = ReadFile(path, r.file)
	r.Times.Read += time.Since(t)
	return err
}

func (r *Renderer) decode(name string, contents []byte, o DecodeOptions) error {
	t := time.Now()
	err := decode(&r.src, r.png, name, contents, o)
	r.Times.Decode += time.Since(t)
	r.opened = err == nil
	return err
}

// Render is Open and Draw in one: the image file at path, drawn as p says into
// an h x w canvas.
func (r *Renderer) Render(path string, p Params, dst []float32, h, w int) error {
	if err := r.read(path); err != nil {
		return err
	}
	if err := r.decode(path, r.file, r.optionsFor(p)); err != nil {
		return err
	}
	return r.Draw(p, dst, h, w)
}

// RenderUnsized is Render for an image whose size nobody knows before its file is
// read: plan gets the size and returns what to draw, which is handed on.
func (r *Renderer) RenderUnsized(path string, plan func(w, h int) Params, dst []float32, h, w int) (Params, error) {
	if err := r.read(path); err != nil {
		return Params{}, err
	}
	head, err := inspect(path, r.file, DecodeOptions{})
	if err != nil {
		return Params{}, err
	}
	if head.Width > 0 { // before decoding, which may then be at a fraction
		if r.cfg.ApplyOrientation && head.Orientation >= 5 {
			head.Width, head.Height = head.Height, head.Width
		}
		p := plan(head.Width, head.Height)
		if err := r.decode(path, r.file, r.optionsFor(p)); err != nil {
			return p, err
		}
		return p, r.Draw(p, dst, h, w)
	}
	if err := r.decode(path, r.file, DecodeOptions{ApplyOrientation: r.cfg.ApplyOrientation}); err != nil {
		return Params{}, err
	}
	p := plan(r.src.Cols(), r.src.Rows())
	return p, r.Draw(p, dst, h, w)
}

// RenderRGB is Render for an image in memory: SrcW x SrcH pixels of R, G, B, row
// by row.
func (r *Renderer) RenderRGB(rgb []uint8, p Params, dst []float32, h, w int) error {
	if err := r.OpenRGB(rgb, p.SrcW, p.SrcH); err != nil {
		return err
	}
	return r.Draw(p, dst, h, w)
}

// OpenRGB opens an image of w x h pixels that is held in memory, R, G, B row by row.
func (r *Renderer) OpenRGB(rgb []uint8, w, h int) error {
	r.opened = false
	if w < 1 || h < 1 || len(rgb) != w*h*3 {
		return fmt.Errorf("%d bytes for an image of %dx%d RGB pixels", len(rgb), w, h)
	}
	t := time.Now()
	fromRGB(&r.src, rgb, w, h)
	r.opened = true
	r.Times.Decode += time.Since(t)
	return nil
}

// optionsFor are the options to decode what p draws.
func (r *Renderer) optionsFor(p Params) DecodeOptions {
	o := DecodeOptions{ApplyOrientation: r.cfg.ApplyOrientation, Width: p.SrcW, Height: p.SrcH}
	if r.cfg.ReducedDecode {
		// The whole image must stay as large as makes p's part its scaled size.
		fw, fh := p.full()
		part := p.part()
		o.TargetW = (fw*p.SrcW + part.Dx() - 1) / part.Dx()
		o.TargetH = (fh*p.SrcH + part.Dy() - 1) / part.Dy()
	}
	return o
}
