package segmentation

import (
	"fmt"
	"math"

	"manvision/device"
	"manvision/exec"
)

// Targets holds the labels of one batch, and the images where a decoder rebuilds
// them, where the graphs read them.
type Targets struct {
	net       *Net
	n, h, w   int
	labels    *exec.Tensor // int32 [N,H,W]
	image     *exec.Tensor // [N,H,W,3] in [0,1]; nil without a decoder
	hostLabel []int32
	hostImage []float32
}

func newTargets(s *Net, dev device.Device, n, h, w int, decoder bool) (*Targets, error) {
	t := &Targets{net: s, n: n, h: h, w: w}
	if n < 1 || h < 1 || w < 1 {
		return nil, fmt.Errorf("segmentation: targets of %d images of %dx%d", n, h, w)
	}
	var err error
	if t.labels, err = exec.NewTensor(dev, device.Desc{DType: device.Int32, Shape: []int{n, h, w}}); err != nil {
		return nil, err
	}
	t.hostLabel = make([]int32, n*h*w)
	if decoder {
		if t.image, err = exec.NewTensor(dev, device.Desc{Shape: []int{n, h, w, 3}}); err != nil {
			return nil, err
		}
		t.hostImage = make([]float32, n*h*w*3)
	}
	return t, nil
}

// Set checks and uploads a batch: labels [N,H,W], classes below Net.Classes or
// Ignore, and images [N,H,W,3] as the network sees them, normalised with Net.Mean
// and Net.Std. Images are read only where a decoder rebuilds them and may be nil
// elsewhere. The error of a bad label names its place.
func (t *Targets) Set(labels []uint8, images []float32) error {
	if len(labels) != len(t.hostLabel) {
		return fmt.Errorf("segmentation: %d labels for %d images of %dx%d", len(labels), t.n, t.h, t.w)
	}
	classes := t.net.Classes
	for i, l := range labels {
		if int(l) >= classes && l != Ignore {
			at := i % (t.h * t.w)
			return fmt.Errorf("segmentation: image %d of the batch: label %d at x=%d y=%d; the %d classes are 0 to %d, and %d is ignored",
				i/(t.h*t.w), l, at%t.w, at/t.w, classes, classes-1, Ignore)
		}
		t.hostLabel[i] = int32(l)
	}
	if err := t.labels.Upload(t.hostLabel); err != nil {
		return fmt.Errorf("segmentation: labels: %w", err)
	}
	if t.image == nil {
		return nil
	}
	if len(images) != len(t.hostImage) {
		return fmt.Errorf("segmentation: the reconstruction needs %d values of %d images of %dx%d, got %d", len(t.hostImage), t.n, t.h, t.w, len(images))
	}
	mean, std := t.net.Mean, t.net.Std
	for i, v := range images {
		c := i % 3
		x := v*std[c] + mean[c]
		if math.IsNaN(float64(x)) {
			return fmt.Errorf("segmentation: image %d of the batch holds a value that is no number", i/(t.h*t.w*3))
		}
		t.hostImage[i] = min(max(x, 0), 1) // padding and rounding may leave [0,1]
	}
	if err := t.image.Upload(t.hostImage); err != nil {
		return fmt.Errorf("segmentation: images: %w", err)
	}
	return nil
}

// Free gives the storage back.
func (t *Targets) Free() {
	t.labels.Free()
	if t.image != nil {
		t.image.Free()
	}
}
