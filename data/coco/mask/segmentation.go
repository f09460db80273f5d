package mask

import "fmt"

// Segmentation is an instance's outline as its file gives it: polygons or run
// lengths. The zero value is "none".
type Segmentation struct {
	Polygons [][]float64 // each x0 y0 x1 y1 ... in pixels; the mask is their union
	RLE      *RLE
}

// None says that there is neither a polygon nor a mask.
func (s *Segmentation) None() bool { return s.RLE == nil && len(s.Polygons) == 0 }

// Mask returns the mask on an image of h rows and w columns. Run lengths must
// have that size.
func (s *Segmentation) Mask(h, w int) (*RLE, error) {
	if s.RLE != nil {
		if s.RLE.H != h || s.RLE.W != w {
			return nil, fmt.Errorf("mask size [%d %d] differs from the image's [%d %d]", s.RLE.H, s.RLE.W, h, w)
		}
		return s.RLE, nil
	}
	if len(s.Polygons) == 0 {
		return nil, fmt.Errorf("no segmentation")
	}
	parts := make([]*RLE, len(s.Polygons))
	for i, p := range s.Polygons {
		var err error
		if parts[i], err = FromPolygon(p, h, w); err != nil {
			return nil, err
		}
	}
	return Union(parts...)
}
