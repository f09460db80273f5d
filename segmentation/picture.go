package segmentation

import "manvision/data/augment"

// FilePicture is the Picture of an image file, decoded once by a renderer.
type FilePicture struct {
	r    *augment.Renderer
	w, h int
}

// Opened is the picture of w x h pixels that r has opened. It lives until r opens
// another one.
func Opened(r *augment.Renderer, w, h int) *FilePicture { return &FilePicture{r: r, w: w, h: h} }

// Size implements Picture.
func (f *FilePicture) Size() (w, h int) { return f.w, f.h }

// Draw implements Picture.
func (f *FilePicture) Draw(p Part, canvas []float32, h, w int) error {
	x := p.X
	if p.Flip { // the renderer mirrors what it has cut out
		x = p.Width - p.X - p.W
	}
	return f.r.Draw(augment.Params{SrcW: f.w, SrcH: f.h, ScaledW: p.Width, ScaledH: p.Height, CropX: x, CropY: p.Y, InW: p.W, InH: p.H, Flip: p.Flip}, canvas, h, w)
}
