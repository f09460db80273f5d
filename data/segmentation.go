package data

import "manvision/data/labelmap"

// Segmentation is the LabelSource of a set of images with label maps. Image ids
// are positions in the set.
type Segmentation struct{ set *labelmap.Set }

// NewSegmentation returns the source of a set's pairs.
func NewSegmentation(set *labelmap.Set) *Segmentation { return &Segmentation{set} }

// Set is the set behind the source.
func (s *Segmentation) Set() *labelmap.Set { return s.set }

// Len implements Source.
func (s *Segmentation) Len() int { return len(s.set.Pairs) }

// Size implements Source.
func (s *Segmentation) Size(i int) (w, h int) {
	p := &s.set.Pairs[i]
	return p.Width, p.Height
}

// Item implements Source.
func (s *Segmentation) Item(i int) Item {
	p := &s.set.Pairs[i]
	return Item{ImageID: int64(i), Path: p.Image, LabelPath: p.Label, Width: p.Width, Height: p.Height}
}

// Labels implements LabelSource. Errors are of type *labelmap.InputError.
func (s *Segmentation) Labels(i int, dst []uint8) ([]uint8, error) { return s.set.Read(i, dst) }
