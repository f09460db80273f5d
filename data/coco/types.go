// Package coco reads and writes COCO files: instances (images, categories,
// boxes, masks) and detection results. Readers stream, so train2017's 450 MB
// pass through a small buffer, and every problem in a file is an error or a
// counted skip that names the file, the image and the annotation.
package coco

import "manvision/data/coco/mask"

// Image is one picture of a data set; sizes are in pixels.
type Image struct {
	ID            int64
	FileName      string
	Width, Height int
}

// Category is one class as its file numbers it. Ids may have gaps.
type Category struct {
	ID            int    `json:"id"`
	Name          string `json:"name"`
	Supercategory string `json:"supercategory,omitempty"`
}

// Annotation is one object of one image.
type Annotation struct {
	ID, ImageID  int64
	CategoryID   int
	Box          [4]float64 // x, y, w, h in pixels from the image's top left corner
	Area         float64    // area of the mask in pixels as the file says it
	Crowd        bool       // a region of many objects: ignored by training, special in evaluation
	Segmentation mask.Segmentation
}

// Dataset is an instances file in memory.
type Dataset struct {
	Path       string
	Images     []Image    // in file order
	Categories []Category // in file order
	IDs        *IDMap
	Report     Report

	annotations []Annotation // by image, then in file order
	first       []int        // of Images[i]: annotations[first[i]:first[i+1]]
	index       map[int64]int
}

// Annotations returns the annotations of Images[i] in file order. The slice is
// the data set's own.
func (d *Dataset) Annotations(i int) []Annotation {
	return d.annotations[d.first[i]:d.first[i+1]:d.first[i+1]]
}

// NumAnnotations returns the number of annotations of all images.
func (d *Dataset) NumAnnotations() int { return len(d.annotations) }

// ImageIndex returns the position in Images of an image id.
func (d *Dataset) ImageIndex(id int64) (int, bool) {
	i, ok := d.index[id]
	return i, ok
}

// Outside says what becomes of a box that leaves its image by more than a pixel.
// Less is taken for rounding and always clipped.
type Outside int

const (
	OutsideClip  Outside = iota // cut to the image, counted in the report
	OutsideError                // an error (or a skip, with SkipBadBoxes)
)

// Options says how strict a reader is. The zero value suits training: bad boxes
// are errors, boxes that leave the image are clipped and counted, outlines are
// not kept.
type Options struct {
	// SkipBadBoxes leaves out annotations whose box has no area, is not finite
	// or lies outside its image, and counts them in the report.
	SkipBadBoxes bool
	// SkipUnknown leaves out annotations of images or categories that the file
	// does not list, and counts them in the report.
	SkipUnknown bool
	// KeepSegmentation keeps polygons and masks; without it they are stepped
	// over.
	KeepSegmentation bool
	// Outside rules boxes that leave their image.
	Outside Outside
	// AsIs keeps every box and area as written, as an evaluator needs it: no
	// clipping, boxes without area are warnings, images may lack name and size,
	// and a file may have no annotations. Numbers must still be finite.
	AsIs bool
}
