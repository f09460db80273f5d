// Package data feeds networks: a Source names images and their targets, a
// Sampler orders them, a Loader decodes and augments them on worker threads and
// hands out batches. Order and augmentation are pure functions of seed, epoch
// and index: worker count and timing change nothing.
package data

import (
	"image"

	"manvision/data/augment"
)

// Source is a list of images with targets. Its methods are called by several
// goroutines at once and must give the same answer each time.
type Source interface {
	// Len is the number of images.
	Len() int
	// Size is the width and height of image i in pixels by its annotations, or
	// UnknownSize twice. It is called for every image when a Loader is built, so it
	// must not touch the disk.
	Size(i int) (w, h int)
	// Item is image i with its targets.
	Item(i int) Item
}

// UnknownSize stands for the width and height of images that nobody wrote down.
// The augmentation must then bring every image to one size: a crop or a random
// part.
const UnknownSize = -1

// ClassSource is a Source whose images have one class each: Item.Class.
type ClassSource interface {
	Source
	// ClassNames are the names of the classes, in class order.
	ClassNames() []string
}

// LabelSource is a Source whose images have label maps: one class a pixel.
type LabelSource interface {
	Source
	// Labels is the label map of image i at its Size, row by row, in dst's memory
	// where that is large enough: class numbers as a network is trained on them, or
	// labelmap.Ignore. The values are checked. An error names the file.
	Labels(i int, dst []uint8) ([]uint8, error)
}

// Item is one image of a Source.
type Item struct {
	ImageID       int64
	Path          string // image file
	LabelPath     string // label map file, of a LabelSource
	Width, Height int    // as Size
	// Pixels, if not nil, is the image itself, which then has a known size: R, G, B
	// row by row, not to be changed. Path only names it then.
	Pixels []uint8
	Class  int32 // of a ClassSource
	// Boxes are x1 y1 x2 y2 in source pixels, continuous coordinates (a box of
	// one whole pixel is 1 wide); Labels are their contiguous classes.
	Boxes  [][4]float32
	Labels []int32
}

// Open decodes the image, or takes the pixels that are there, for r to draw, and returns
// its size. Another size than the item's is an error where that is known.
func (it *Item) Open(r *augment.Renderer) (w, h int, err error) {
	if it.Pixels != nil {
		return it.Width, it.Height, r.OpenRGB(it.Pixels, it.Width, it.Height)
	}
	return r.Open(it.Path, it.Width, it.Height)
}

// Sample is one image of a batch after augmentation, with its targets in canvas
// pixels.
type Sample struct {
	Index         int // in the Source
	ImageID       int64
	File          string
	Width, Height int     // source pixels
	ScaleX        float64 // canvas pixels per source pixel
	ScaleY        float64
	// CropX and CropY are where the part of the scaled image that the canvas shows
	// begins, in canvas pixels.
	CropX, CropY int
	// Cut is the part of the source, in its pixels, that was scaled; empty: all.
	Cut      image.Rectangle
	Flipped  bool  // mirrored left to right, after scaling and cutting
	InW, InH int   // size of the image on the canvas, from the top left
	Class    int32 // of a ClassSource
	Boxes    [][4]float32
	Labels   []int32
	// Dropped counts boxes that were below LoaderConfig.MinBox pixels.
	Dropped int
	// Replaces is the index of the unreadable image whose place this one took, -1
	// if none (see SkipBad).
	Replaces int
}

// Batch is N canvases of H x W pixels.
type Batch struct {
	N, H, W, C int
	// Images is [N,H,W,C] float32, RGB, normalised; to the right of and below
	// each image, and in canvases without a sample, it is 0.
	Images []float32
	// Labels is [N,H,W], the images' label maps through the same augmentation, and
	// labelmap.Ignore where there is no image; nil without LoaderConfig.Labels.
	Labels []uint8
	// Classes is [N], the images' classes, and -1 for canvases without a sample; nil
	// if the source is no ClassSource.
	Classes []int32
	// Samples has one entry a canvas; fewer than N in the last batch under
	// LastPad.
	Samples []Sample
	Epoch   int64 // from 0
	Step    int64 // global, from 0
}
