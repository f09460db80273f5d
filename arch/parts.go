package arch

import (
	"fmt"

	"manvision/classification"
	"manvision/detection"
	"manvision/manpp"
	"manvision/segmentation"
)

// Parts are the filled network's: what other programs' files are written of.
func (c *Classifier) Parts() (*manpp.Model, *classification.Net) { return c.model, c.net }

// Parts are the filled network's, and what makes detections of its outputs.
func (d *Detector) Parts() (*manpp.Model, *detection.RetinaNet, detection.PostConfig) {
	return d.model, d.net, d.how
}

// Parts are the filled network's.
func (s *Segmenter) Parts() (*manpp.Model, *segmentation.Net) { return s.model, s.net }

// Normalisation is what images' RGB in [0,1] is normalised with, (v - mean)/std.
func (n *network) Normalisation() (mean, std [3]float32) { return n.config.Mean, n.config.Std }

// InputSize is what images are usually brought to for the network: all of them for a
// classifier, otherwise such as have torchvision's sizes; in words how they are brought
// there by bringing the shorter side to short, 0 for the task's own.
func (a Arch) InputSize(short int) (h, w int, how string) {
	switch a.Task {
	case Detection:
		return padded(minSide), padded(maxSide), fmt.Sprintf("shorter side to %d pixels, the longer at most %d, bilinear; upper left, zeros up to multiples of %d", minSide, maxSide, divisible)
	case Segmentation:
		return shortSide, shortSide, fmt.Sprintf("shorter side to %d pixels, bilinear with antialiasing", shortSide)
	}
	if short == 0 {
		short = 256
	}
	return side, side, fmt.Sprintf("shorter side to %d pixels, bilinear with antialiasing; the middle %dx%d", short, side, side)
}
