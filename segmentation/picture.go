package segmentation

import "manvision/data/augment"

// FilePicture is the Picture of an image file, decoded once by a renderer.
type FilePicture struct {
	r    *augment.Renderer
	w, h int
}

// OpenPicture decodes an image file, whose size must be w x h pixels unless both are
// 0. The picture lives until r opens another one. Errors are *augment.ImageError.
func OpenPicture(r *augment.Renderer, path string, w, h int) (*FilePicture, error) {
	w, h, err := r.Open(path, w, h)
	if err != nil {
		return nil, err
	}
	return &FilePicture{r: r, w: w, h: h}, nil
}

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
