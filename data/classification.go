package data

import "manvision/data/classes"

// Classification is the ClassSource of a set of images with one class each. Image
// ids are positions in the set.
type Classification struct{ set *classes.Set }

// NewClassification checks a set (classes in range, images in memory of their
// size) and returns its source. Image files are not opened.
func NewClassification(set *classes.Set) (*Classification, error) {
	if err := set.Validate(); err != nil {
		return nil, err
	}
	if err := set.Err(); err != nil {
		return nil, err
	}
	return &Classification{set}, nil
}

// Set is the set behind the source.
func (c *Classification) Set() *classes.Set { return c.set }

// ClassNames implements ClassSource.
func (c *Classification) ClassNames() []string { return c.set.Names }

// Len implements Source.
func (c *Classification) Len() int { return c.set.Len() }

// Size implements Source: unknown for image files.
func (c *Classification) Size(i int) (w, h int) {
	if c.set.Pixels == nil {
		return UnknownSize, UnknownSize
	}
	return c.set.Width, c.set.Height
}

// Item implements Source.
func (c *Classification) Item(i int) Item {
	item := Item{ImageID: int64(i), Path: c.set.Files[i], Class: c.set.Classes[i]}
	item.Width, item.Height = c.Size(i)
	if c.set.Pixels != nil {
		item.Pixels = c.set.Pixels[i]
	}
	return item
}
