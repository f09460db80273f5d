package data

import (
	"fmt"
	"os"
	"path/filepath"

	"manvision/data/coco"
)

// DetectionOptions say which images and boxes of a COCO data set are used.
type DetectionOptions struct {
	// SkipEmpty leaves out images without any box to learn from.
	SkipEmpty bool
	// KeepCrowd keeps boxes of crowd regions as if they were objects; by default
	// they are left out, as everyone does in training.
	KeepCrowd bool
}

// CocoDetection is the Source of a COCO instances file and its image folder.
// Labels are the contiguous ones of the data set's id map.
type CocoDetection struct {
	ds     *coco.Dataset
	dir    string
	opts   DetectionOptions
	images []int32 // indices into ds.Images
}

// NewCocoDetection joins annotations and image folder. Image files are not
// opened yet: `data check` does that for all of them at once.
func NewCocoDetection(ds *coco.Dataset, dir string, opts DetectionOptions) (*CocoDetection, error) {
	st, err := os.Stat(dir)
	if err != nil {
		return nil, fmt.Errorf("image folder: %w", err)
	}
	if !st.IsDir() {
		return nil, fmt.Errorf("image folder %s is a file", dir)
	}
	c := &CocoDetection{ds: ds, dir: dir, opts: opts}
	for i := range ds.Images {
		if opts.SkipEmpty && len(c.item(i).Boxes) == 0 {
			continue
		}
		c.images = append(c.images, int32(i))
	}
	if len(c.images) == 0 {
		return nil, fmt.Errorf("the data set has no images with boxes to learn from (%d images in all)", len(ds.Images))
	}
	return c, nil
}

// Dataset is the data set behind the source.
func (c *CocoDetection) Dataset() *coco.Dataset { return c.ds }

// Len implements Source.
func (c *CocoDetection) Len() int { return len(c.images) }

// Size implements Source.
func (c *CocoDetection) Size(i int) (w, h int) {
	im := &c.ds.Images[c.images[i]]
	return im.Width, im.Height
}

// Item implements Source.
func (c *CocoDetection) Item(i int) Item { return c.item(int(c.images[i])) }

func (c *CocoDetection) item(i int) Item {
	im := &c.ds.Images[i]
	item := Item{ImageID: im.ID, Path: filepath.Join(c.dir, im.FileName), Width: im.Width, Height: im.Height}
	for _, a := range c.ds.Annotations(i) {
		label, ok := c.ds.IDs.Label(a.CategoryID)
		if !ok || a.Crowd && !c.opts.KeepCrowd {
			continue
		}
		x, y, w, h := a.Box[0], a.Box[1], a.Box[2], a.Box[3]
		item.Boxes = append(item.Boxes, [4]float32{float32(x), float32(y), float32(x + w), float32(y + h)})
		item.Labels = append(item.Labels, int32(label))
	}
	return item
}
