package augment

import (
	"image"

	"gocv.io/x/gocv"
)

// place returns the pixels of the opened image that p shows, resized, and how to
// give them back. The image itself is lent where nothing has to be resized or
// padded; if colours are to change in it, it counts as opened no more.
func (r *Renderer) place(p Params) (gocv.Mat, func()) {
	fw, fh := p.full()
	whole := image.Rect(0, 0, fw, fh)
	window := image.Rect(p.CropX, p.CropY, p.CropX+p.InW, p.CropY+p.InH)
	if !window.In(whole) {
		m, _, done := r.scaled(p, whole)
		defer done()
		cutOut(m, &r.cut, window, p.Padding)
		return r.cut, func() {}
	}
	m, lent, done := r.scaled(p, window)
	if lent && (p.Colour.On || p.Distortion.On) {
		r.opened = false
	}
	return m, done
}

// scaled returns a window of p's scaled image; lent says that the pixels are the
// opened image's own.
func (r *Renderer) scaled(p Params, window image.Rectangle) (m gocv.Mat, lent bool, done func()) {
	fw, fh := p.full()
	whole := window.Dx() == fw && window.Dy() == fh
	m, lent, done = r.src, true, func() {}
	if cut := r.cutOf(p); cut.Dx() != m.Cols() || cut.Dy() != m.Rows() {
		part := m.Region(cut)
		m, done = part, func() { part.Close() }
	}
	if m.Cols() != fw || m.Rows() != fh {
		lent = false
		defer done()
		done = func() {}
		switch how := r.cfg.Interpolation; {
		case how == Antialias || how == AntialiasCubic:
			resample(m, &r.in, fw, fh, window, how)
			return r.in, false, done
		case how == Linear && !whole:
			resizeWindow(m, &r.in, fw, fh, window)
			return r.in, false, done
		default:
			resizeInto(m, &r.in, fw, fh, how)
		}
		m = r.in
	}
	if whole {
		return m, lent, done
	}
	before := done
	view := m.Region(window)
	return view, lent, func() { view.Close(); before() }
}

// cutOf is p's part of the image in pixels of the opened one, which may have been
// decoded at a fraction of its size.
func (r *Renderer) cutOf(p Params) image.Rectangle {
	w, h := r.src.Cols(), r.src.Rows()
	if p.Cut.Empty() {
		return image.Rect(0, 0, w, h)
	}
	if w == p.SrcW && h == p.SrcH {
		return p.Cut
	}
	return image.Rect(p.Cut.Min.X*w/p.SrcW, p.Cut.Min.Y*h/p.SrcH,
		(p.Cut.Max.X*w+p.SrcW-1)/p.SrcW, (p.Cut.Max.Y*h+p.SrcH-1)/p.SrcH)
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
